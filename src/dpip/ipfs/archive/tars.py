"""The structure of a tar file, taken apart so that little of it changes between releases.

(POSIX.1-2017 pax, and the GNU long-name extension.) A tar is, for each member, blocks of
512 bytes that describe it, then its content padded to a block; zero blocks end it. The last
describing block holds name, size, time and a checksum over itself; pax blocks before it
hold what does not fit, as lines "<length> <key>=<value>\\n".

As with zips, headers are kept with holes: the size follows from the content, the checksum
from the header, and times are kept apart, because a release may change them all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import InvalidArchive

BLOCK = 512
NAME, SIZE, TIME, CHECKSUM = slice(0, 100), slice(124, 135), slice(136, 147), slice(148, 154)
PREFIX = slice(345, 500)
MAX_HEAD, MAX_END = 2**20, 2**24
_CHECKSUM_FIELD = slice(148, 156)
_TYPE = 156
_REGULAR, _DESCRIBING, _EMPTY = b"0\0", b"xgLK", b"123456"
_RECORD = re.compile(rb"(\d{1,7}) ([^=]{1,200})=")


@dataclass(frozen=True, slots=True)
class Member:
    """Where one member lies. `content` is empty for anything but a regular file."""

    name: str
    is_file: bool
    head: slice
    content: slice


@dataclass(frozen=True, slots=True)
class Tar:
    """Members in order, and how many zero bytes end the archive."""

    members: tuple[Member, ...]
    end: int


@dataclass(frozen=True, slots=True)
class Head:
    """A member's describing blocks with holes, and the bytes of the times."""

    stable: bytes
    times: bytes


def read(data: memoryview) -> Tar:
    """Take a tar apart. Raises InvalidArchive if it is damaged or of an unknown kind."""
    members, at = [], 0
    while at < len(data) and data[at] != 0:
        member = _member(data, at)
        members.append(member)
        at = _padded(member.content.stop)
        if at > len(data) or any(data[member.content.stop : at]):
            raise InvalidArchive("tar member is cut off, or its padding is not empty")
    if not members or len(data) - at > MAX_END or not _is_zero(data[at:]):
        raise InvalidArchive("not a tar, or one with something after its end")
    return Tar(tuple(members), len(data) - at)


def _is_zero(data: memoryview) -> bool:
    return not any(any(data[at : at + 65536]) for at in range(0, len(data), 65536))


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _member(data: memoryview, at: int) -> Member:
    start, described = at, True
    while described:
        block = bytes(data[at : at + BLOCK])
        size = _size(block)
        described = block[_TYPE] in _DESCRIBING
        at += BLOCK + (_padded(size) if described else 0)
        if at - start > MAX_HEAD:
            raise InvalidArchive("tar member with too long a description")
    is_file = block[_TYPE] in _REGULAR
    if not is_file and block[_TYPE] not in _EMPTY:
        raise InvalidArchive(f"tar member of unknown type {block[_TYPE : _TYPE + 1]!r}")
    stop = at + (size if is_file else 0)
    if stop > len(data):
        raise InvalidArchive("tar member is cut off")
    return Member(head_name(bytes(data[start:at])), is_file, slice(start, at), slice(at, stop))


def _size(block: bytes) -> int:
    if len(block) < BLOCK or _checksum(block) != _octal(block[_CHECKSUM_FIELD]):
        raise InvalidArchive("tar header is damaged")
    return _octal(block[124:136])


def _octal(field: bytes) -> int:
    text = field.split(b"\0", 1)[0].strip()
    if not re.fullmatch(rb"[0-7]{0,12}", text):
        raise InvalidArchive("tar header with a number of an unknown kind")
    return int(text or b"0", 8)


def _checksum(block: bytes) -> int:
    return sum(block) - sum(block[_CHECKSUM_FIELD]) + 8 * 0x20


def _describing(head: bytes) -> list[tuple[int, slice]]:
    """Return (type, where its body lies) for each describing block before the last one."""
    found, at = [], 0
    while at + BLOCK < len(head):
        size = _octal(head[at + 124 : at + 136])
        found.append((head[at + _TYPE], slice(at + BLOCK, at + BLOCK + size)))
        at += BLOCK + _padded(size)
    return found


def is_file(head: bytes) -> bool:
    """Say whether a head is that of a regular file."""
    return len(head) >= BLOCK and head[-BLOCK:][_TYPE] in _REGULAR


def head_name(head: bytes) -> str:
    """Return the path that a head gives its member."""
    main = head[-BLOCK:]
    name = main[NAME].split(b"\0", 1)[0]
    prefix = main[PREFIX].split(b"\0", 1)[0] if main[257:263] == b"ustar\0" else b""
    if prefix:
        name = prefix + b"/" + name
    for kind, where in _describing(head):
        if kind == ord("L"):
            name = head[where].rstrip(b"\0")
        elif kind == ord("x"):
            for value in _values(head, where, b"path"):
                name = head[value]
    return name.decode("utf-8", "surrogateescape")


def take_head(head: bytes, size: int) -> Head | None:
    """Return the head with holes, or None where filling them would not give it back."""
    blank, times = bytearray(head), [head[-BLOCK:][TIME]]
    main = len(head) - BLOCK
    for field in (SIZE, TIME, CHECKSUM):
        blank[main + field.start : main + field.stop] = bytes(field.stop - field.start)
    for where in _pax_times(head):
        times.append(head[where])
        blank[where] = bytes(where.stop - where.start)
    taken = Head(bytes(blank), b"".join(times))
    return taken if fill_head(taken, size) == head else None


def time_size(stable: bytes) -> int:
    """Return how many bytes of times the holes of a head take."""
    fields = (TIME, *_pax_times(stable))
    return sum(int(one.stop - one.start) for one in fields)


def fill_head(head: Head, size: int) -> bytes:
    """Return the describing blocks of a member of `size` bytes."""
    filled = bytearray(head.stable)
    at = TIME.stop - TIME.start
    for where in _pax_times(head.stable):
        filled[where] = head.times[at : at + where.stop - where.start]
        at += where.stop - where.start
    main = bytearray(filled[-BLOCK:])
    main[SIZE] = b"%011o" % size
    main[TIME] = head.times[: TIME.stop - TIME.start]
    main[CHECKSUM] = b"%06o" % _checksum(bytes(main))
    filled[-BLOCK:] = main
    return bytes(filled)


def _pax_times(head: bytes) -> list[slice]:
    """Return where the digits of the pax times lie; they may be holes by now."""
    return [
        value
        for kind, where in _describing(head)
        if kind == ord("x")
        for value in _values(head, where, b"mtime")
    ]


def _values(head: bytes, body: slice, key: bytes) -> list[slice]:
    """Return where the values of a key lie among the pax records of `body`."""
    found, at = [], body.start
    while record := _RECORD.match(head, at, body.stop):
        end = at + int(record[1])
        if end > body.stop or end <= record.end():
            break
        if record[2] == key:
            found.append(slice(record.end(), end - 1))
        at = end
    return found
