"""The METADATA of a wheel, read from a few ranges of it and not from the whole.

A zip is read from its end: the end record says where the central directory is, the directory
where each member is. In practice one read of the last 32 KiB holds all three, because wheels
are written with the .dist-info folder last. The bytes returned are the member's own, checked
by its CRC. In a zip64 archive, fields that are too small say so by being full, and the true
values stand elsewhere: in a second end record, and in an extra field of each entry. (PKWARE
APPNOTE 4.3 and 4.5.3; PEP 427; PEP 658.)
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.simple.names import normalize
from dpip.simple.repository import UpstreamInvalid

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    Read = Callable[[int, int], Awaitable[bytes]]
    """Returns the bytes from an offset, at most so many."""

TAIL = 32 * 1024
LARGEST_DIRECTORY = 64 * 2**20
LARGEST_METADATA = 16 * 2**20
_END = struct.Struct("<4s4H2LH")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_LOCAL = struct.Struct("<4s5H3L2H")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_END64_MAGIC, _LOCATOR_MAGIC = b"PK\x06\x06", b"PK\x06\x07"
_FULL, _FULL_COUNT = 0xFFFFFFFF, 0xFFFF
_ZIP64_FIELD = 1
_END_MAGIC, _ENTRY_MAGIC, _LOCAL_MAGIC = b"PK\x05\x06", b"PK\x01\x02", b"PK\x03\x04"
_METADATA = re.compile(r"([^/]+)\.dist-info/METADATA")


class NotAWheel(UpstreamInvalid):
    """The file is not a zip archive with one METADATA in it."""

    slug = "not-a-wheel"


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    method: int
    crc: int
    packed: int
    size: int
    offset: int


async def metadata_of(filename: str, size: int, read: Read) -> bytes:
    """Return the METADATA bytes of the wheel `filename` of `size` bytes. Raises NotAWheel."""
    start = max(0, size - TAIL)
    tail = _Window(start, await read(start, size - start))
    directory_at, directory_size = await _end_record(filename, tail, read)
    if directory_size > LARGEST_DIRECTORY or directory_at + directory_size > size:
        raise NotAWheel(f"{filename}: the zip directory cannot be where the end record says")
    directory = await tail.get(directory_at, directory_size, read)
    member = _find(filename, list(_entries(filename, directory)))
    if member.packed > LARGEST_METADATA or member.size > LARGEST_METADATA:
        raise NotAWheel(f"{filename}: METADATA is larger than {LARGEST_METADATA} bytes")
    header = await tail.get(member.offset, _LOCAL.size, read)
    if len(header) < _LOCAL.size or not header.startswith(_LOCAL_MAGIC):
        raise NotAWheel(f"{filename}: no zip member where the directory says")
    *_, name_size, extra_size = _LOCAL.unpack(header)
    body_at = member.offset + _LOCAL.size + name_size + extra_size
    return _inflate(filename, member, await tail.get(body_at, member.packed, read))


@dataclass(frozen=True, slots=True)
class _Window:
    """Bytes of the file that are already here."""

    start: int
    data: bytes

    async def get(self, offset: int, count: int, read: Read) -> bytes:
        if offset >= self.start:
            return self.data[offset - self.start : offset - self.start + count]
        return await read(offset, count)


async def _end_record(filename: str, tail: _Window, read: Read) -> tuple[int, int]:
    """Return where the directory is, and its size."""
    at = tail.data.rfind(_END_MAGIC)
    if at < 0 or len(tail.data) - at < _END.size:
        raise NotAWheel(f"{filename} is not a zip archive")
    *_, count, size, offset, _comment = _END.unpack_from(tail.data, at)
    if _FULL not in {size, offset} and count != _FULL_COUNT:
        return offset, size
    if at < _LOCATOR.size or not tail.data.startswith(_LOCATOR_MAGIC, at - _LOCATOR.size):
        return offset, size  # no zip64: it just happens to have so many entries
    _, _, where, _ = _LOCATOR.unpack_from(tail.data, at - _LOCATOR.size)
    record = await tail.get(where, _END64.size, read)
    if len(record) < _END64.size or not record.startswith(_END64_MAGIC):
        raise NotAWheel(f"{filename}: no zip64 end record where it must be")
    *_, size, offset = _END64.unpack(record)
    return offset, size


def _entries(filename: str, directory: bytes) -> Iterator[_Member]:
    at = 0
    while at + _ENTRY.size <= len(directory):
        (magic, _, _, _, method, _, _, crc, packed, size, name_size, extra_size, comment_size,
         _, _, _, offset) = _ENTRY.unpack_from(directory, at)  # fmt: skip
        if magic != _ENTRY_MAGIC:
            raise NotAWheel(f"{filename}: the zip directory is damaged")
        name_at = at + _ENTRY.size
        name = directory[name_at : name_at + name_size].decode("utf-8", "replace")
        extra = directory[name_at + name_size : name_at + name_size + extra_size]
        yield _Member(name, method, crc, *_true_sizes(extra, size, packed, offset))
        at = name_at + name_size + extra_size + comment_size


def _true_sizes(extra: bytes, size: int, packed: int, offset: int) -> tuple[int, int, int]:
    """Return packed size, size and offset; those that are full are in the extra field."""
    values = [size, packed, offset]
    if _FULL not in values:
        return packed, size, offset
    at = 0
    while at + 4 <= len(extra):
        kind, length = struct.unpack_from("<2H", extra, at)
        if kind == _ZIP64_FIELD:
            held = extra[at + 4 : at + 4 + length]
            wide = iter(struct.unpack(f"<{len(held) // 8}Q", held[: len(held) // 8 * 8]))
            values = [next(wide, each) if each == _FULL else each for each in values]
            break
        at += 4 + length
    return values[1], values[0], values[2]


def _find(filename: str, members: list[_Member]) -> _Member:
    """Choose the METADATA of the folder that bears the wheel's own name."""
    project = normalize(filename.partition("-")[0])
    for member in members:
        match = _METADATA.fullmatch(member.name)
        if match and normalize(match[1].partition("-")[0]) == project:
            return member
    raise NotAWheel(f"{filename} has no METADATA")


def _inflate(filename: str, member: _Member, packed: bytes) -> bytes:
    try:
        body = packed
        if member.method == zlib.DEFLATED:
            body = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, member.size + 1)
    except zlib.error as error:
        raise NotAWheel(f"{filename}: METADATA cannot be inflated: {error}") from None
    if len(body) != member.size or zlib.crc32(body) != member.crc:
        raise NotAWheel(f"{filename}: METADATA is damaged")
    return body
