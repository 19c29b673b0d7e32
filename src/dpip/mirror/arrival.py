"""One file that is arriving: a growing part on disk, and everyone who waits for it.

The fetch appends to the part and calls `advance`. Each reader has its own position and reads
what is already there, so a slow reader delays nobody and a late one misses nothing. The last
byte is held back until the hash is right: whatever length a client was told, it never gets
all of a wrong file.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING

from dpip.errors import DpipError
from dpip.simple.repository import FileNotFound, WholeFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

READ_SIZE = 256 * 1024


class Arrival:
    """The state of one fetch. `size` is the total in bytes once upstream has said it."""

    def __init__(self, key: str) -> None:
        self.key = key
        self.size: int | None = None
        self.written = 0
        self._part: Path | None = None
        self._outcome: WholeFile | DpipError | None = None
        self._changed = asyncio.Event()

    @property
    def outcome(self) -> WholeFile | DpipError | None:
        """The stored file, or what went wrong; None while bytes are arriving."""
        return self._outcome

    @property
    def started(self) -> bool:
        """Whether upstream has answered, so that readers may be at work."""
        return self._part is not None

    def start(self, part: Path, size: int | None) -> None:
        """Say that bytes are coming, and how many there will be in all."""
        self._part, self.size = part, size
        self._wake()

    def advance(self, count: int) -> None:
        """Say that `count` more bytes are in the part."""
        self.written += count
        self._wake()

    def finish(self, outcome: WholeFile | DpipError) -> None:
        """End the arrival with the checked file, or with an error."""
        self._outcome = outcome
        self._wake()

    async def begun(self) -> WholeFile | None:
        """Wait until bytes come (None) or all is over; raises what went wrong before that."""
        while self._part is None and self._outcome is None:
            await self._changed.wait()
        if isinstance(self._outcome, DpipError):
            raise self._outcome
        return self._outcome

    async def finished(self) -> WholeFile:
        """Wait for the checked file; raises what went wrong."""
        while self._outcome is None:
            await self._changed.wait()
        if isinstance(self._outcome, DpipError):
            raise self._outcome
        return self._outcome

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the file from its first byte; ends only when it is complete and right."""
        descriptor = await self._open()
        try:
            async for chunk in self._from(descriptor):
                yield chunk
        finally:
            os.close(descriptor)

    async def _open(self) -> int:
        """Open the part, or the whole file that it has become."""
        while True:
            changed, outcome = self._changed, self._outcome
            if isinstance(outcome, DpipError):
                raise outcome
            path = self._part if outcome is None else outcome.path
            assert path is not None, "chunks() before begun()"
            try:
                return os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                if outcome is not None:
                    raise FileNotFound("the file was removed as it came in") from None
            # The part is renamed a moment before the outcome is told.
            await changed.wait()

    async def _from(self, descriptor: int) -> AsyncIterator[bytes]:
        position = 0
        while True:
            changed, done = self._changed, isinstance(self._outcome, WholeFile)
            readable = self.written - (0 if done else 1)
            while position < readable:
                if isinstance(self._outcome, DpipError):
                    break
                chunk = os.pread(descriptor, min(READ_SIZE, readable - position), position)
                position += len(chunk)
                yield chunk
            if isinstance(self._outcome, DpipError):
                raise self._outcome
            if done:
                return
            await changed.wait()

    def _wake(self) -> None:
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
