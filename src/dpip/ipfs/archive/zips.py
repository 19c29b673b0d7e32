"""The structure of a zip file, taken apart so that little of it changes between releases.

(.ZIP File Format Specification 6.3.) A zip is, for each member, a local header, a stream
and perhaps a data descriptor; then the central directory, which says it all again; then an
end record. Nearly everything in a header follows from elsewhere: checksum and sizes from
the content, offsets from what stands before, time from its neighbours. So a header is kept
with holes in those places, and rendered again by filling them: of two releases, the
headers of unchanged files are then equal.

Only plain zips are taken apart: members one after another without gap or overlap, told the
same way by both headers, no encryption, no zip64. Every other file is an InvalidArchive
here, and its bytes are kept as they are.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ..errors import InvalidArchive

END_MAGIC, CENTRAL_MAGIC, LOCAL_MAGIC, DESCRIPTOR_MAGIC = (
    b"PK\x05\x06",
    b"PK\x01\x02",
    b"PK\x03\x04",
    b"PK\x07\x08",
)
END, CENTRAL, LOCAL = 22, 46, 30
STORED, DEFLATED = 0, 8
ENCRYPTED, STREAMED = 0x1, 0x8
TIME_SIZE = 4
DESCRIPTORS = (0, 12, 16)
"""Sizes of what may follow a stream: nothing, a descriptor, one with its magic."""


@dataclass(frozen=True, slots=True)
class Member:
    """Where one member lies. Offsets and sizes are bytes of the archive."""

    name: str
    method: int
    crc: int
    content_size: int
    local: slice
    stream: slice
    after: int
    """Size of what follows the stream, one of DESCRIPTORS."""
    central: slice


@dataclass(frozen=True, slots=True)
class Zip:
    """Members in file order, and the end record."""

    members: tuple[Member, ...]
    end: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """A member's two headers with holes, and the bytes of the one hole that nothing tells."""

    stable: bytes
    time: bytes


def read(data: memoryview) -> Zip:
    """Take a zip file apart. Raises InvalidArchive if it is not one of the plain kind."""
    end_at = _find_end(data)
    end = bytes(data[end_at:])
    disk, first, here, count, size, start, _ = struct.unpack("<HHHHIIH", end[4:END])
    if disk or first or here != count or start + size != end_at:
        raise InvalidArchive("zip end record does not fit the file")
    members, at = [], start
    position = 0
    for _ in range(count):
        member = _member(data, at, position, start)
        members.append(member)
        position, at = member.stream.stop + member.after, member.central.stop
        _check_after(data, member)
    if at != end_at or position != start:
        raise InvalidArchive("zip with bytes that belong to no member")
    return Zip(tuple(members), end)


def _find_end(data: memoryview) -> int:
    tail_at = max(0, len(data) - END - 0xFFFF)
    at = bytes(data[tail_at:]).rfind(END_MAGIC)
    if at < 0 or len(data) - tail_at - at < END:
        raise InvalidArchive("not a zip file")
    at += tail_at
    if at + END + int.from_bytes(data[at + 20 : at + END], "little") != len(data):
        raise InvalidArchive("zip end record is not at the end")
    return at


def _member(data: memoryview, at: int, position: int, limit: int) -> Member:
    """Read the central record at `at`, whose member must begin at `position`."""
    record = bytes(data[at : at + CENTRAL])
    if len(record) < CENTRAL or record[:4] != CENTRAL_MAGIC:
        raise InvalidArchive("zip central directory is damaged")
    flags, method, _, crc, packed, size, name, extra, comment = struct.unpack(
        "<HHIIIIHHH", record[8:34]
    )
    offset = int.from_bytes(record[42:46], "little")
    if flags & ENCRYPTED or offset != position or size == 0xFFFFFFFF:
        raise InvalidArchive("zip with encrypted, unordered or very large members")
    local = bytes(data[position : position + LOCAL])
    if len(local) < LOCAL or local[:4] != LOCAL_MAGIC:
        raise InvalidArchive("zip local header is damaged")
    names = sum(struct.unpack("<HH", local[26:30]))
    stream = position + LOCAL + names
    stop = stream + packed
    if stop > limit:
        raise InvalidArchive("zip member overlaps the central directory")
    raw = bytes(data[at + CENTRAL : at + CENTRAL + name])
    central = slice(at, at + CENTRAL + name + extra + comment)
    after = _after(data, stop, limit) if flags & STREAMED else 0
    return Member(
        decode_name(raw), method, crc, size,
        slice(position, stream), slice(stream, stop), after, central,
    )  # fmt: skip


def _after(data: memoryview, stop: int, limit: int) -> int:
    for size in DESCRIPTORS:
        if stop + size == limit or bytes(data[stop + size : stop + size + 4]) == LOCAL_MAGIC:
            return size
    raise InvalidArchive("zip member with something unknown behind it")


def _check_after(data: memoryview, member: Member) -> None:
    stop = member.stream.stop
    packed = stop - member.stream.start
    told = descriptor(member.after, member.crc, packed, member.content_size)
    if bytes(data[stop : stop + member.after]) != told:
        raise InvalidArchive("zip data descriptor does not fit")


def descriptor(size: int, crc: int, packed: int, content: int) -> bytes:
    """Return the data descriptor of that size, one of DESCRIPTORS."""
    told = struct.pack("<4sIII", DESCRIPTOR_MAGIC, crc, packed, content)
    return told[16 - size :]


def decode_name(raw: bytes) -> str:
    """Return a member's name; bytes that are not UTF-8 become lone surrogates."""
    return raw.decode("utf-8", "surrogateescape")


def take_head(data: memoryview, member: Member) -> Head | None:
    """Return the headers with holes, or None where filling them would not give them back."""
    local, central = bytearray(data[member.local]), bytearray(data[member.central])
    head = Head(b"", bytes(local[10:14]))
    local[10:26] = bytes(16)
    central[12:28] = bytes(16)
    central[42:46] = bytes(4)
    head = Head(bytes(local + central), head.time)
    packed = member.stream.stop - member.stream.start
    given = fill_head(head, member.crc, packed, member.content_size, member.local.start)
    return head if given == (bytes(data[member.local]), bytes(data[member.central])) else None


def fill_head(head: Head, crc: int, packed: int, size: int, offset: int) -> tuple[bytes, bytes]:
    """Return the local header and the central record."""
    split = LOCAL + sum(struct.unpack("<HH", head.stable[26:30]))
    local, central = bytearray(head.stable[:split]), bytearray(head.stable[split:])
    told = struct.pack("<III", crc, packed, size)
    streamed = int.from_bytes(local[6:8], "little") & STREAMED
    local[10:26] = head.time + (bytes(12) if streamed else told)
    central[12:28] = head.time + told
    central[42:46] = struct.pack("<I", offset)
    return bytes(local), bytes(central)


def whole_head(data: memoryview, member: Member) -> bytes:
    """Return the headers as they are, without the offset that `place_head` fills in."""
    central = bytearray(data[member.central])
    central[42:46] = bytes(4)
    return bytes(data[member.local]) + bytes(central)


def place_head(whole: bytes, offset: int) -> tuple[bytes, bytes]:
    """Return the local header and the central record of a `whole_head`."""
    split = LOCAL + sum(struct.unpack("<HH", whole[26:30]))
    central = whole[split : split + 42] + struct.pack("<I", offset) + whole[split + 46 :]
    return whole[:split], central


def head_sums(whole: bytes) -> tuple[int, int]:
    """Return checksum and size of the content, as a `whole_head` tells them."""
    central = whole[LOCAL + sum(struct.unpack("<HH", whole[26:30])) :]
    crc, _, size = struct.unpack("<III", central[16:28])
    return crc, size


def head_name(stable: bytes) -> str:
    """Return the name in a head's central record. Raises InvalidArchive if it is cut off."""
    central = stable[LOCAL + sum(struct.unpack("<HH", stable[26:30])) :]
    length = int.from_bytes(central[28:30], "little")
    if len(central) < CENTRAL + length:
        raise InvalidArchive("zip header in a recipe is cut off")
    return decode_name(central[CENTRAL : CENTRAL + length])


def fill_end(end: bytes, count: int, size: int, start: int) -> bytes:
    """Return the end record for a central directory of `size` bytes at `start`."""
    return end[:8] + struct.pack("<HHII", count, count, size, start) + end[20:]
