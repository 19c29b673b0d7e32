"""CAR v1: blocks in a row (https://ipld.io/specs/transport/car/carv1/).

A header (DAG-CBOR: version and roots), then sections of CID and bytes, each after its length
as a varint. Reading is streaming and checks every block against its CID; memory is bounded
by the largest section allowed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from . import dagcbor, varint
from .blockstore import Block
from .cid import CID, verify
from .errors import InvalidBlock, InvalidCar, InvalidCid, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MAX_HEADER = 1 << 20
MAX_SECTION = 4 * 2**20
"""Longest section read: the largest block that travels, twice over for what others made."""


class Source(Protocol):
    """Anything that reads: a file, a response body, BytesIO."""

    def read(self, size: int, /) -> bytes:
        """Return up to `size` bytes, none at the end."""
        ...


def header(roots: Sequence[CID]) -> bytes:
    """Return the header with its length before it."""
    body = dagcbor.encode({"version": 1, "roots": list(roots)})
    return varint.encode(len(body)) + body


def section(block: Block) -> bytes:
    """Return one block with its CID and length before it."""
    raw = block.cid.raw
    return b"".join((varint.encode(len(raw) + len(block.data)), raw, block.data))


def write(roots: Sequence[CID], blocks: Iterable[Block]) -> Iterator[bytes]:
    """Yield a CAR piece by piece."""
    yield header(roots)
    for block in blocks:
        yield section(block)


@dataclass(frozen=True, slots=True)
class Reader:
    """An open CAR: its roots, and its blocks, to be iterated once."""

    roots: tuple[CID, ...]
    _source: Source

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks in order, each verified.

        Raises HashMismatch, InvalidCar where the stream ends in the middle, LimitExceeded.
        """
        while (length := _length(self._source, MAX_SECTION)) is not None:
            body = _exactly(self._source, length)
            try:
                cid, at = CID.read(body)
            except InvalidCid as error:
                raise InvalidCar(f"CAR section: {error}") from None
            yield Block(cid, verify(cid, body[at:]))


def read(source: Source) -> Reader:
    """Read the header and return the open CAR. Raises InvalidCar or LimitExceeded."""
    length = _length(source, MAX_HEADER)
    if not length:
        raise InvalidCar("CAR without a header")
    try:
        found = dagcbor.decode(_exactly(source, length))
    except InvalidBlock as error:
        raise InvalidCar(f"CAR header: {error}") from None
    if not isinstance(found, dict) or found.get("version") != 1:
        raise InvalidCar("not a CAR of version 1")
    roots = found.get("roots")
    if not isinstance(roots, list) or not all(isinstance(root, CID) for root in roots):
        raise InvalidCar("CAR header without a list of roots")
    return Reader(tuple(roots), source)


def _length(source: Source, limit: int) -> int | None:
    """Return the varint that comes next, or None at the end of the stream."""
    found = b""
    while not found or found[-1] & 0x80:
        byte = source.read(1)
        if not byte and not found:
            return None
        if not byte or len(found) == varint.MAX_BYTES:
            raise InvalidCar("CAR ends or is malformed in the length of a section")
        found += byte
    try:
        length, _ = varint.decode(found)
    except InvalidBlock as error:
        raise InvalidCar(f"CAR section: {error}") from None
    if length > limit:
        raise LimitExceeded(f"CAR section of {length} bytes; at most {limit} are read")
    return length


def _exactly(source: Source, length: int) -> bytes:
    parts, missing = [], length
    while missing:
        part = source.read(missing)
        if not part:
            raise InvalidCar(f"CAR ends {missing} bytes before the end of a section")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)
