"""The wrapping that gzip puts around a DEFLATE stream (RFC 1952)."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

from ..errors import InvalidArchive
from .inflate import Budget, inflate

MAGIC = b"\x1f\x8b\x08"
TIME = slice(4, 8)
"""Where the header keeps its time."""
_FLAGS, _CRC, _EXTRA, _NAME, _COMMENT = 3, 2, 4, 8, 16
_LONGEST = 4096


@dataclass(frozen=True, slots=True)
class Gzip:
    """One gzip member that fills its buffer: header bytes, DEFLATE stream, content."""

    header: bytes
    stream: memoryview
    content: memoryview


def read(data: memoryview, budget: Budget) -> Gzip:
    """Open a buffer that is exactly one gzip member whose trailer tells the truth.

    Raises InvalidArchive for anything else.
    """
    header = _header(bytes(data[:_LONGEST]))
    inflated = inflate(data[len(header) :], budget)
    end = len(header) + inflated.stream_size
    if data[end:] != trailer(inflated.content):
        raise InvalidArchive("gzip trailer does not fit, or is not the end")
    return Gzip(header, data[len(header) : end], inflated.content)


def _header(start: bytes) -> bytes:
    if start[:3] != MAGIC or len(start) < 18:
        raise InvalidArchive("not gzip")
    flags, at = start[_FLAGS], 10
    if flags & ~(_CRC | _EXTRA | _NAME | _COMMENT | 1):
        raise InvalidArchive("gzip header with unknown flags")
    if flags & _EXTRA:
        at += 2 + int.from_bytes(start[at : at + 2], "little")
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            at = start.find(b"\0", at) + 1
            if at == 0:
                raise InvalidArchive("gzip header without end")
    at += 2 if flags & _CRC else 0
    if at > len(start):
        raise InvalidArchive("gzip header without end")
    return start[:at]


def trailer(content: memoryview) -> bytes:
    """Return the eight bytes that end a gzip member of that content."""
    return struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
