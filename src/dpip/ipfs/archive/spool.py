"""Bytes of unknown length: in memory while they are few, then in an unnamed file.

Members of archives inflate to anything from nothing to gigabytes. A spool takes them as
they come and gives one buffer in the end, so that everything after it works on a buffer and
memory stays bounded.
"""

from __future__ import annotations

import mmap
import tempfile
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterable

IN_MEMORY = 2 * 2**20
"""Most bytes that a spool keeps in memory."""


class Spool:
    """Collects bytes; `finish` returns them as one read-only buffer, good after `with` too."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None
        self.size = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()

    def write(self, piece: bytes) -> None:
        """Take the next bytes."""
        self.size += len(piece)
        if self._file is not None:
            self._file.write(piece)
            return
        self._pieces.append(piece)
        if self.size > IN_MEMORY:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the buffer
            self._file.writelines(self._pieces)
            self._pieces = []

    def finish(self) -> memoryview:
        """Return all bytes; nothing may be written afterwards."""
        if self._file is None:
            return memoryview(b"".join(self._pieces))
        self._file.flush()
        return memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))


def gather(pieces: Iterable[bytes]) -> memoryview:
    """Return all pieces as one buffer."""
    with Spool() as spool:
        for piece in pieces:
            spool.write(piece)
        return spool.finish()
