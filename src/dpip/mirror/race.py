"""A file from two sides at once: from neighbours and, if they do badly, from upstream too.

Neighbours write to a place of their own, and what they wrote is right when they say that they
have it; so whoever follows the file from upstream never sees a byte of theirs too early.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
from typing import TYPE_CHECKING, Protocol

from dpip.mirror.hedge import Pace, Progress
from dpip.simple.repository import FileNotFound, UpstreamUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from dpip.mirror.catalog import FileRecord
    from dpip.mirror.hedge import Gift

LOOK_EVERY = 0.05
"""Seconds between looks at how neighbours do."""
_numbers = itertools.count()


class Nearby(Protocol):
    """Somewhere closer than upstream that may have a file."""

    async def obtain(
        self, record: FileRecord, place: Path, progress: Progress, *, insistent: bool = False
    ) -> Gift | None:
        """Put the whole file, checked, at `place`; None where it cannot be had. Never raises.

        With `insistent` there is nobody else to turn to: all are asked, and waited for.
        """
        ...

    async def metadata(self, record: FileRecord) -> bytes | None:
        """Return a wheel's metadata file, checked by the hash in its page. Never raises."""
        ...

    def settle(self, gift: Gift | None, progress: Progress, beside: int) -> None:
        """Count what came: a gift that was used, or all for nothing where it is None.

        `beside` bytes of the same file came from upstream meanwhile.
        """
        ...


class Rival:
    """The neighbours' side of one race. `folder` is where it may write."""

    def __init__(
        self,
        nearby: Nearby,
        record: FileRecord,
        folder: Path,
        *,
        rate: float | None = None,
        insistent: bool = False,
    ) -> None:
        # Named as what the store's check takes for the rest of something that was cut short.
        name = f"making-near-{os.getpid()}-{next(_numbers)}"
        self.place = folder / name
        self.progress = Progress()
        self._nearby = nearby
        self._record = record
        self._rate = rate
        self._counted = False
        self.task = self._begin(insistent=insistent)

    def _begin(self, *, insistent: bool) -> asyncio.Task[Gift | None]:
        obtaining = self._nearby.obtain(
            self._record, self.place, self.progress, insistent=insistent
        )
        return asyncio.create_task(obtaining, name=f"near {self._record.filename}")

    async def head_start(self) -> bool:
        """Leave the race to the neighbours while they do well; say whether they have the file."""
        clock = asyncio.get_running_loop().time
        pace = Pace(self._record.size, self._rate, clock())
        while not self.task.done() and not pace.is_poor(self.progress, clock()):
            await asyncio.wait({self.task}, timeout=LOOK_EVERY)
        return self.task.done() and self.task.result() is not None

    async def ended(self) -> bool:
        """Wait for the neighbours; say whether they have the file."""
        return await asyncio.shield(self.task) is not None

    async def outruns(self, download: asyncio.Task[None]) -> bool:
        """Wait for the first that has the file; False for `download`, which is ended else.

        A download that fails leaves it to the neighbours, who are then asked once more and
        waited for. Raises what the download raised if they have not got it either.
        """
        try:
            await asyncio.wait({download, self.task}, return_when=asyncio.FIRST_COMPLETED)
            if not download.done() and self.task.result() is None:
                await asyncio.wait({download})
            if not download.done():
                return True
            passing = isinstance(download.exception(), (UpstreamUnavailable, FileNotFound))
            if passing and await self.last_resort():
                return True
            await download
        finally:
            download.cancel()
            await asyncio.gather(download, return_exceptions=True)
        return False

    async def last_resort(self) -> bool:
        """Wait for the neighbours whatever it takes, asking them anew if they had nothing."""
        if await asyncio.shield(self.task) is not None:
            return True
        self.task = self._begin(insistent=True)
        return await asyncio.shield(self.task) is not None

    def settle(self, beside: int, *, used: bool) -> None:
        """Count what the neighbours gave; once."""
        if not self._counted:
            self._counted = True
            gift = self.task.result() if used else None
            self._nearby.settle(gift, self.progress, beside)

    async def close(self) -> None:
        """End what is under way and remove what is left of it."""
        self.progress.stopped = True
        self.task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(self.task, return_exceptions=True)
        self.place.unlink(missing_ok=True)
