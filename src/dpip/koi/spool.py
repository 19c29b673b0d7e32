"""A file that only grows: what was accepted, in the order in which it came.

Accepting a message costs one `write`; what the bytes mean is the reader's business. A record
is complete or it is not there: its length and CRC-32 come first, and what follows the last
whole record, as a kill in the middle of a write leaves it, is cut off when the file is opened.
A record survives the death of the process as soon as `append` returns, and a power cut after
`sync`.

The file has a *generation*. Once everything in it has been dealt with, `renew` ends it: the
next record begins an empty file of the next generation, put in its place by one rename. So a
place in the spool is a generation and an offset, and a reader that remembers a place of an
older generation has seen all of that one and begins at the start of this.

One process writes. It locks the file with its first record, and another that tries is told so.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import UnreadableState

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAGIC = b"koi-spl\x01"
_HEADER = struct.Struct(">8sQ")  # magic, generation
_RECORD = struct.Struct(">II")  # length, CRC-32
START = _HEADER.size


class Spool:
    """One spool file; it is made with the first record. Not safe for several threads."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1
        self._mine = False
        self._closed = False
        self.generation = 1
        self.start = self.end = START
        if path.exists() and path.stat().st_size >= START:
            self._open()

    def append(self, record: bytes) -> int:
        """Write one record and return the offset behind it; raises UnreadableState."""
        whole = _RECORD.pack(len(record), zlib.crc32(record)) + record
        try:
            if not self._mine:
                self._claim()
            if os.write(self._file, whole) != len(whole):
                raise OSError("the disk took only a part of it")
        except OSError as error:
            if self._mine:
                os.ftruncate(self._file, self.end)
            raise UnreadableState(f"{self._path}: {error}") from None
        self.end += len(whole)
        return self.end

    def records(self, offset: int) -> Iterator[tuple[int, bytes]]:
        """Yield the records from an offset on, each with the offset behind it."""
        while offset + _RECORD.size <= self.end:
            length, check = _RECORD.unpack(os.pread(self._file, _RECORD.size, offset))
            record = os.pread(self._file, length, offset + _RECORD.size)
            offset += _RECORD.size + length
            if len(record) != length or zlib.crc32(record) != check:
                return
            yield offset, record

    def sync(self) -> None:
        """Wait until everything is on the disk."""
        if self._file >= 0:
            os.fsync(self._file)

    def renew(self, generation: int = 0) -> None:
        """Begin another generation (default: the next), without the records of this one."""
        self._let_go()
        self.generation, self.end = generation or self.generation + 1, START

    def close(self) -> None:
        """Let go of the file; nothing can be written afterwards."""
        self._let_go()
        self._closed = True

    def _let_go(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file, self._mine = -1, False

    def _claim(self) -> None:
        """Become the process that writes; raises OSError if there is one, or if this is closed."""
        if self._closed:
            raise OSError("it is closed")
        if self._file < 0 and self._path.exists():
            other = os.open(self._path, os.O_RDWR)
            try:
                _lock(other)
            finally:
                os.close(other)
        if self._file < 0:
            self._create()
        _lock(self._file)
        if self._whole() != self.end:
            _lock(self._file, free=True)
            raise OSError("another process has written it since it was read")
        os.ftruncate(self._file, self.end)
        self._mine = True

    def _whole(self) -> int:
        """Return the offset behind the last whole record."""
        read, self.end = self.end, os.fstat(self._file).st_size
        found = max((offset for offset, _ in self.records(read)), default=read)
        self.end = read
        return found

    def _open(self) -> None:
        try:
            self._file = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
            magic, self.generation = _HEADER.unpack(os.pread(self._file, START, 0))
            if magic != _MAGIC:
                raise UnreadableState(f"{self._path} was written by another program")
            self.end = self._whole()
        except (OSError, struct.error) as error:
            raise UnreadableState(f"{self._path}: {error}") from None

    def _create(self) -> None:
        """Put an empty spool in place of any other; it is never seen without its header."""
        partial = self._path.with_name(f"{self._path.name}.partial")
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        self._file = os.open(partial, flags, 0o600)
        os.write(self._file, _HEADER.pack(_MAGIC, self.generation))
        partial.replace(self._path)


def _lock(file: int, *, free: bool = False) -> None:
    """Lock a file, or free it. Raises OSError where another process has locked it."""
    if sys.platform != "win32":
        import fcntl

        try:
            fcntl.flock(file, fcntl.LOCK_UN if free else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OSError("another process writes it") from None
