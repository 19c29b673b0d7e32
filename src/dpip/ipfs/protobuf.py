"""The part of the protobuf wire format that DAG-PB, UnixFS, IPNS and libp2p keys use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import varint
from .errors import InvalidBlock

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


def number(field: int, value: int) -> bytes:
    """Return a varint field; a negative value is written as its 64-bit complement."""
    return varint.encode(field << 3) + varint.encode(value & (1 << 64) - 1)


def blob(field: int, value: bytes) -> bytes:
    """Return a length-delimited field."""
    return varint.encode(field << 3 | BYTES) + varint.encode(len(value)) + value


def fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield (field number, wire type, value) in the order written.

    The value of a varint or fixed field is an int, of a length-delimited one its bytes.
    Raises InvalidBlock for anything cut off, and for wire types out of use.
    """
    at, end = 0, len(data)
    while at < end:
        key, at = varint.decode_protobuf(data, at)
        field, wire = key >> 3, key & 7
        if field == 0:
            raise InvalidBlock("protobuf field 0 does not exist")
        if wire == VARINT:
            value, at = varint.decode_protobuf(data, at)
            yield field, wire, value
            continue
        if wire == BYTES:
            length, at = varint.decode_protobuf(data, at)
        elif wire in {FIXED32, FIXED64}:
            length = 4 if wire == FIXED32 else 8
        else:
            raise InvalidBlock(f"protobuf wire type {wire} is not supported")
        if length > end - at:
            raise InvalidBlock("protobuf field is cut off")
        piece = data[at : at + length]
        at += length
        yield field, wire, piece if wire == BYTES else int.from_bytes(piece, "little")
