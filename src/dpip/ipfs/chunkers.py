"""Where a file is cut into chunks. The same cuts as Kubo for the same chunker string.

Content-defined chunkers (https://specs.ipfs.tech/unixfs/, Kubo's `ipfs add --chunker`) put a
cut where a hash over the last few bytes has its low bits zero, so that a change moves only
the cuts near it. `rabin` hashes 16 bytes by a polynomial over GF(2), `buzhash` 32 bytes by a
table, `fastcdc` by a gear table; each starts anew at every cut, so a chunk depends on
nothing before it. That is what lets `cut` be a pure function of the bytes from `start` on.

The two rolling hashes of Kubo are in `rolling.py` and, where it could be built, in C.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from .errors import InvalidArgument

try:
    from . import _rolling as rolling
except ImportError:  # built without a compiler
    from . import rolling  # type: ignore[no-redef]

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_CHUNK = 2 * 2**20 - 256
"""Largest chunk, in bytes, whose block still passes between IPFS implementations."""


RABIN_WINDOW = 16


class Chunker(Protocol):
    """Says where chunks end.

    `cut(data, start)` returns the end of the chunk that begins at `start`. It is the true
    cut if `max_size` bytes follow `start`, or if `data` goes to the end of the file.
    """

    @property
    def max_size(self) -> int:
        """Longest chunk, in bytes."""
        ...

    def cut(self, data: bytes, start: int) -> int:
        """Return the end of the chunk that begins at `start`."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """Chunks of one size, the last one shorter."""

    max_size: int

    def cut(self, data: bytes, start: int) -> int:
        """Return the end of the chunk that begins at `start`."""
        return min(start + self.max_size, len(data))


@dataclass(frozen=True, slots=True)
class Rabin:
    """Cuts by a Rabin fingerprint of 16 bytes; sizes as in `rabin-<min>-<avg>-<max>`."""

    min_size: int
    avg_size: int
    max_size: int

    def cut(self, data: bytes, start: int) -> int:
        """Return the end of the chunk that begins at `start`."""
        mask = (1 << self.avg_size.bit_length() - 1) - 1
        return rolling.rabin(data, start, self.min_size, self.max_size, mask)


@dataclass(frozen=True, slots=True)
class Buzhash:
    """Cuts by a buzhash of 32 bytes, from 128 to 512 KiB."""

    max_size: int = 512 * 1024

    def cut(self, data: bytes, start: int) -> int:
        """Return the end of the chunk that begins at `start`."""
        return rolling.buzhash(data, start)


class FastCDC:
    """Cuts by a gear hash; chunks from a quarter to four times `avg_size`, most near it."""

    def __init__(self, avg_size: int) -> None:
        from pyfastcdc import FastCDC as Gear

        self.max_size = 4 * avg_size
        self._gear = Gear(avg_size, min_size=avg_size // 4, max_size=4 * avg_size)

    def cut(self, data: bytes, start: int) -> int:
        """Return the end of the chunk that begins at `start`."""
        first = next(self._gear.cut_buf(memoryview(data)[start : start + self.max_size]))
        return start + first.length


class Splitter:
    """Cuts a stream that arrives in pieces; copies as little as it can."""

    def __init__(self, chunker: Chunker) -> None:
        self._chunker = chunker
        self._held: list[bytes | memoryview] = []
        self._length = 0

    def push(self, data: bytes) -> Iterator[memoryview]:
        """Take the next bytes and yield the chunks that are certain by now."""
        if not data:
            return
        self._held.append(data)
        self._length += len(data)
        if self._length < self._chunker.max_size:
            return
        joined, start = self._join(), 0
        view = memoryview(joined)
        while len(joined) - start >= self._chunker.max_size:
            end = self._chunker.cut(joined, start)
            yield view[start:end]
            start = end
        self._held = [view[start:]] if start < len(joined) else []
        self._length = len(joined) - start

    def finish(self) -> list[memoryview]:
        """Return the chunks of what is left."""
        joined, start, chunks = self._join(), 0, []
        while start < len(joined):
            end = self._chunker.cut(joined, start)
            chunks.append(memoryview(joined)[start:end])
            start = end
        self._held, self._length = [], 0
        return chunks

    def _join(self) -> bytes:
        first = self._held[0] if self._held else b""
        return first if len(self._held) == 1 and isinstance(first, bytes) else b"".join(self._held)


def chunker(text: str) -> Chunker:
    """Return the chunker that a string names, as `ipfs add --chunker` reads it.

    `size-N`, `rabin`, `rabin-AVG`, `rabin-MIN-AVG-MAX`, `buzhash`, and our own `fastcdc-AVG`.
    Raises InvalidArgument for an unknown name or sizes out of range.
    """
    name, *numbers = text.split("-")
    if name == "rabin":
        numbers = [number.rpartition(":")[2] for number in numbers]
    if not all(number.isascii() and number.isdigit() and len(number) < 9 for number in numbers):
        raise InvalidArgument(f"chunker {text!r}: sizes are whole numbers of bytes")
    found = _named(name, [int(number) for number in numbers])
    if found is None:
        raise InvalidArgument(f"chunker {text!r} is not known, or its sizes are out of range")
    return found


def _named(name: str, sizes: list[int]) -> Chunker | None:
    match name, sizes:
        case "size", [size] if 1 <= size <= MAX_CHUNK:
            return Fixed(size)
        case "rabin", []:
            return Rabin(87381, 262144, 393216)
        case "rabin", [avg] if avg >= RABIN_WINDOW * 3 and avg * 3 // 2 <= MAX_CHUNK:
            return Rabin(avg // 3, avg, avg + avg // 2)
        case "rabin", [low, avg, high] if RABIN_WINDOW <= low < avg < high <= MAX_CHUNK:
            return Rabin(low, avg, high)
        case "buzhash", []:
            return Buzhash()
        case "fastcdc", [avg] if 1024 <= avg <= MAX_CHUNK // 4:
            return FastCDC(avg)
    return None
