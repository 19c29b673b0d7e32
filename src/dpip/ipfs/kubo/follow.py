"""Following names over PubSub: newer records are kept as soon as the daemon has heard of them.

Only where the daemon has IPNS over PubSub on: there a look at a name is answered from what
came in, within a millisecond, so it may be done every second; elsewhere each look would be a
search of the network, which a `Finder` does when somebody asks for it.
"""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from ..errors import IpfsError
from ..ipns import SECOND
from ..keys import parse_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ..records import RecordStore
    from .rpc import Kubo

LOOK = 1.0
"""Seconds between two looks at the names."""
SEARCH = 60.0
"""Longest pause, in seconds, for a name that is not found: it is searched for in the network."""
PATIENCE = 2.0
"""Seconds that `stop` waits for a look at hand, which may be a search of the network."""


class Finder:
    """Finds records by asking the daemon, which may search its network for them."""

    def __init__(self, kubo: Kubo) -> None:
        self._kubo = kubo

    def records(self, name: str) -> list[bytes]:
        """Return the record that the daemon finds, unverified, or nothing; never raises."""
        try:
            return [self._kubo.name_get(name)]
        except IpfsError:
            return []


class Follower:
    """Keeps the newest records of some names. `start` and `stop` its thread, or call `step`."""

    def __init__(
        self,
        kubo: Kubo,
        names: Iterable[str],
        kept: RecordStore,
        *,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._kubo = kubo
        self._finder = Finder(kubo)
        self._last = dict.fromkeys(names, b"")
        self._absent = dict.fromkeys(self._last, 0)
        self._due = dict.fromkeys(self._last, 0)
        self._kept = kept
        self._clock = clock
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None

    def step(self) -> int:
        """Look at each name that is due; return how many records came that were new.

        A name that is not found is due later each time, one that is found always.
        """
        try:
            if not self._last or not self._kubo.pubsub.names_enabled():
                return 0
        except IpfsError:
            return 0
        now = self._clock()
        return sum(self._look(name) for name in self._last if self._due[name] <= now)

    def start(self) -> None:
        """Start the thread, if there is any name to follow."""
        if self._last:
            self._thread = threading.Thread(target=self._run, name="kubo-names", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Stop after the look at hand."""
        self._wake.set()
        if self._thread is not None:
            self._thread.join(PATIENCE)

    def _run(self) -> None:
        while not self._wake.is_set():
            self.step()
            self._wake.wait(LOOK)

    def _look(self, name: str) -> bool:
        found = self._finder.records(name)
        self._absent[name] = 0 if found else self._absent[name] + 1
        if not found:
            pause = min(SEARCH, LOOK * 2.0 ** min(self._absent[name], 10))
            self._due[name] = self._clock() + int(pause * SECOND)
        for raw in found:
            if raw == self._last[name]:
                return False
            self._last[name] = raw
            with contextlib.suppress(IpfsError):
                self._kept.put(parse_name(name), raw, self._clock())
                return True
        return False
