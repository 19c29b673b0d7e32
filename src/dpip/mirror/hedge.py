"""When upstream is asked although a neighbour has said that it gives the file. Pure.

What a neighbour gives costs upstream nothing, so a neighbour is asked first, and alone for as
long as it does well: until the bound if it has not offered the file by then, and after that
while bytes move and what is left takes less time than all of the file from upstream would. A
neighbour that does worse is not given up: both go on, and the first right file wins.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

BOUND = 0.1
"""Seconds that neighbours have to offer a file."""
QUIET = 0.5
"""Seconds without a byte after which a neighbour does badly."""
SETTLED = 0.3
"""Seconds of a transfer from which on its rate says something."""
START = 0.5
"""Seconds that upstream is granted before its first byte."""
UNKNOWN_RATE = 2**20
"""Bytes per second that upstream is taken for while it has given nothing yet."""
TELLING = 2**18
"""Bytes of a transfer from which on its rate says something about upstream."""
WEIGHT = 0.3
"""Share of the newest transfer in what is known of upstream's rate."""

Way = Literal["recipe", "leaves", "whole"]


@dataclass(slots=True)
class Progress:
    """How far neighbours are with one file. Written by whoever fetches, from any thread.

    `came` counts bytes over the network, also those that turned out wrong; `share` is the part
    of the file that is done, 0 to 1. `stopped` asks whoever fetches to leave off.
    """

    offered: bool = False
    came: int = 0
    share: float = 0.0
    stopped: bool = False


@dataclass(frozen=True, slots=True)
class Gift:
    """A file of `size` bytes that neighbours gave."""

    size: int
    way: Way


@dataclass(slots=True)
class Pace:
    """Watches one transfer from `begun` on; `rate` is what upstream gives, bytes per second."""

    size: int | None
    rate: float | None
    begun: float
    _offered_at: float | None = None
    _last: tuple[int, float] = (0, 0.0)
    _moved_at: float = 0.0

    def is_poor(self, progress: Progress, now: float) -> bool:
        """Say whether upstream should be asked by now."""
        if not progress.offered:
            return now - self.begun >= BOUND
        if self._offered_at is None:
            self._offered_at = self._moved_at = now
        if (progress.came, progress.share) != self._last:
            self._last, self._moved_at = (progress.came, progress.share), now
        if now - self._moved_at >= QUIET:
            return True
        return self._left(progress.share, now - self._offered_at) > self._from_upstream()

    def _left(self, share: float, elapsed: float) -> float:
        if elapsed < SETTLED or share <= 0:
            return 0.0
        return elapsed / share * (1 - share)

    def _from_upstream(self) -> float:
        if self.size is None:
            return float("inf")
        return START + self.size / (self.rate or UNKNOWN_RATE)


def learned(rate: float | None, size: int, seconds: float) -> float | None:
    """Return upstream's rate after a transfer of `size` bytes; short ones tell nothing."""
    if size < TELLING or seconds <= 0:
        return rate
    return size / seconds if rate is None else rate + WEIGHT * (size / seconds - rate)
