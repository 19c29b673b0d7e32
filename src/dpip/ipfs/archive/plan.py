"""The plan: one row for each member of an archive, in archive order, written as bytes.

A row depends on its own member only (no offsets, no counters), so the plans of two releases
differ where the releases differ, and cut by content they share their chunks. What changes
everywhere at once, the times, stands in a second sequence of bytes beside it.

A row is: encoder, inner encoder, flags (varints); the gzip header if there is an inner
encoder; the member's head. Both byte strings are written by runs: <varint count> <bytes>
<varint zeros>, because a tar header is mostly zeros.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .. import varint
from ..errors import InvalidArchive, InvalidBlock

if TYPE_CHECKING:
    from collections.abc import Iterator

PLAIN = 0
"""Encoder number of a stream that is its content."""
VERBATIM = 1
"""Flag of a row whose head has no holes."""
KEPT = 2
"""Flag of a row whose content is the compressed stream; its head is verbatim too."""
AFTER_SHIFT = 2
"""Above this bit the flags say which zip descriptor follows the stream."""
MAX_HEAD = 2**21
_ZEROS = re.compile(rb"\0{3,}")


@dataclass(frozen=True, slots=True)
class Row:
    """How one member's bytes are made again from its content.

    `encoder` and `inner` are numbers in the recipe's list of encoders, counted from 1;
    `inner` is that of a gzip file's stream, whose content is what is stored.
    """

    head: bytes
    encoder: int = PLAIN
    inner: int = PLAIN
    gzip_header: bytes = b""
    flags: int = 0

    @property
    def verbatim(self) -> bool:
        """True if the head is kept as it is."""
        return bool(self.flags & VERBATIM)

    @property
    def kept(self) -> bool:
        """True if the compressed stream itself is stored."""
        return bool(self.flags & KEPT)

    @property
    def after(self) -> int:
        """Which descriptor follows a zip stream: an index into `zips.DESCRIPTORS`."""
        return (self.flags >> AFTER_SHIFT) % 3


def encode(row: Row) -> bytes:
    """Return the bytes of a row."""
    parts = [varint.encode(number) for number in (row.encoder, row.inner, row.flags)]
    if row.inner:
        parts.append(_pack(row.gzip_header))
    parts.append(_pack(row.head))
    return b"".join(parts)


def decode(data: bytes) -> Iterator[Row]:
    """Yield the rows of a plan. Raises InvalidArchive if it is damaged."""
    at = 0
    try:
        while at < len(data):
            encoder, at = varint.decode(data, at)
            inner, at = varint.decode(data, at)
            flags, at = varint.decode(data, at)
            gzip_header, at = _unpack(data, at) if inner else (b"", at)
            head, at = _unpack(data, at)
            yield Row(head, encoder, inner, gzip_header, flags)
    except InvalidBlock as error:
        raise InvalidArchive(f"damaged recipe: {error}") from None


def _pack(data: bytes) -> bytes:
    out, at = [varint.encode(len(data))], 0
    for zeros in _ZEROS.finditer(data):
        start, end = zeros.span()
        out += (varint.encode(start - at), data[at:start], varint.encode(end - start))
        at = end
    if at < len(data):
        out += (varint.encode(len(data) - at), data[at:], varint.encode(0))
    return b"".join(out)


def _unpack(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = varint.decode(data, at)
    if size > MAX_HEAD:
        raise InvalidArchive("damaged recipe: a head is too long")
    out = bytearray()
    while len(out) < size:
        count, at = varint.decode(data, at)
        out += data[at : at + count]
        zeros, at = varint.decode(data, at + count)
        if len(out) + zeros > size or not count + zeros:
            raise InvalidArchive("damaged recipe: a head does not fit")
        out += bytes(zeros)
    return bytes(out), at
