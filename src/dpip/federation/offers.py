"""What a neighbour says that it has, and one attempt at having a file from neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dpip.errors import DpipError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from dpip.ipfs.cid import CID
    from dpip.mirror.catalog import FileRecord
    from dpip.mirror.hedge import Progress, Way

    Sign = Callable[[str], Mapping[str, str]]

STALL = 2.0
"""Seconds without a byte after which a neighbour is given up."""


class NeighbourFailed(DpipError):
    """A neighbour broke off, stalled, or sent what cannot be."""

    slug = "neighbour-failed"
    side = "theirs"
    default_hint = "nothing to do: the file is fetched elsewhere"


def unsigned(_path: str) -> Mapping[str, str]:
    """Return no headers: what is public is asked for by nobody in particular."""
    return {}


@dataclass(frozen=True, slots=True)
class Offer:
    """A neighbour that holds a file; by which recipe, and under which root it is published.

    `sign` returns the headers that a request for a path of this neighbour must have.
    """

    url: str
    recipe: str | None = None
    root: str | None = None
    sign: Sign = unsigned


@dataclass(slots=True)
class Attempt:
    """One file, the place to write it to, and how far it is.

    `prefix` says that the first bytes at `place` are those of the published file `root`, each
    leaf checked, so that another neighbour with the same root goes on from there.
    """

    record: FileRecord
    place: Path
    progress: Progress
    prefix: tuple[CID, int] | None = None

    @property
    def most(self) -> int | None:
        """Bytes that the file has, None where its page does not say."""
        return self.record.size

    def discard(self) -> None:
        """Forget what was written."""
        self.prefix = None
        self.progress.share = 0.0
        self.place.unlink(missing_ok=True)


class Means(Protocol):
    """A way to bring a file over."""

    way: Way

    async def bring(self, offer: Offer, attempt: Attempt) -> bool:
        """Write the file; False where this way is not open or not worth it.

        Nothing is believed of what was written: whoever asks checks its SHA-256. Raises
        NeighbourFailed where this neighbour should be left alone.
        """
        ...

    def close(self) -> None:
        """Begin nothing more; what is under way ends by itself."""
        ...
