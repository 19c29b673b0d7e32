"""Where arriving bytes go: the part on disk, the SHA-256 and the CID, in one pass.

Network, disk and the two hashes overlap. While one batch is being written and hashed in
threads (all of that releases the interpreter lock), the next collects; a batch is whatever came
meanwhile, so a trickle is passed on at once and a torrent in large pieces.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING

from dpip.ipfs.importer import FileHasher
from dpip.mirror.archives import from_os, open_part

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

MOST_WAITING = 4 * 2**20
READ_SIZE = 2**20


class Sink:
    """Appends to a part and hashes. `advanced(count)` is called once bytes are readable."""

    def __init__(self, part: Path, advanced: Callable[[int], None]) -> None:
        self._path = part
        self._file = open_part(part)
        self._sha256 = hashlib.sha256()
        self._content = FileHasher()
        self._advanced = advanced
        self._waiting: list[bytes] = []
        self._waiting_size = 0
        self._flush: asyncio.Task[None] | None = None
        self.fed = 0
        """Bytes taken so far, those of the part included; also right after a cancelled `feed`."""

    async def resume(self) -> int:
        """Hash what an earlier fetch left in the part; return how many bytes that is."""
        size = os.fstat(self._file.fileno()).st_size
        for offset in range(0, size, READ_SIZE):
            data = os.pread(self._file.fileno(), READ_SIZE, offset)
            await asyncio.to_thread(self._hash, data)
        self._advanced(size)
        self.fed = size
        return size

    async def feed(self, data: bytes) -> None:
        """Take the next bytes; waits only while too much is on its way to the disk.

        Raises DiskFull or HomeNotWritable, possibly for bytes that were fed before.
        """
        self._waiting.append(data)
        self._waiting_size += len(data)
        self.fed += len(data)
        if self._flush is None or self._flush.done() or self._waiting_size >= MOST_WAITING:
            await self._start_flush()

    async def finish(self) -> tuple[str, str]:
        """Write what is waiting; return the SHA-256 in hexadecimal and the CID."""
        while self._waiting:
            await self._start_flush()
        if self._flush is not None:
            await self._flush
        content = await asyncio.to_thread(self._content.finish)
        self._file.close()
        return self._sha256.hexdigest(), str(content.cid)

    async def abandon(self) -> None:
        """Let the part be; close it after what is on its way."""
        if self._flush is not None:
            await asyncio.gather(self._flush, return_exceptions=True)
        self._file.close()

    async def _start_flush(self) -> None:
        if self._flush is not None:
            # Whoever feeds may be cancelled; what is on its way to the disk must not be.
            await asyncio.shield(self._flush)
            self._flush = None
        if self._waiting:
            data = b"".join(self._waiting)
            self._waiting, self._waiting_size = [], 0
            self._flush = asyncio.create_task(self._store(data))

    async def _store(self, data: bytes) -> None:
        await asyncio.gather(
            asyncio.to_thread(self._write, data), asyncio.to_thread(self._hash, data)
        )
        self._advanced(len(data))

    def _hash(self, data: bytes) -> None:
        # The leaves are hashed on threads of their own: start them first.
        self._content.update(data)
        self._sha256.update(data)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            raise from_os(error, self._path) from None


async def pieces(path: Path, start: int) -> AsyncIterator[bytes]:
    """Yield a file's bytes from `start` on."""
    with path.open("rb", buffering=0) as file:
        file.seek(start)
        while data := await asyncio.to_thread(file.read, READ_SIZE):
            yield data
