"""DAG-CBOR: the deterministic CBOR of IPLD (https://ipld.io/specs/codecs/dag-cbor/spec/).

One value, one byte string: shortest integers and lengths, 64-bit floats, text keys sorted by
length and then by bytes, no duplicates, no indefinite lengths, no tags but 42 (a CID), no
NaN or infinity. Reading refuses whatever writing would not have produced, and never
allocates by a length that it has not seen the bytes of.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

from .cid import CID
from .errors import InvalidBlock, InvalidCid, LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 128

Value = None | bool | int | float | str | bytes | CID | list[Any] | dict[str, Any]


def encode(value: Value) -> bytes:
    """Return the one encoding. Raises InvalidBlock for what the data model does not have."""
    out: list[bytes] = []
    _encode(value, out, 0)
    return b"".join(out)


def decode(data: bytes) -> Value:
    """Return the value that `data` is, from its first to its last byte. Raises InvalidBlock."""
    reader = _Reader(data)
    value = reader.value(0)
    if reader.at != len(data):
        raise InvalidBlock(f"{len(data) - reader.at} bytes after the DAG-CBOR value")
    return value


def links(value: Value) -> Iterator[CID]:
    """Yield every CID in a value, in its order."""
    if isinstance(value, CID):
        yield value
    elif isinstance(value, dict):
        for child in value.values():
            yield from links(child)
    elif isinstance(value, list):
        for child in value:
            yield from links(child)


def _head(major: int, number: int) -> bytes:
    if number < 24:
        return bytes([major << 5 | number])
    for extra, limit, form in ((24, 1 << 8, ">BB"), (25, 1 << 16, ">BH"), (26, 1 << 32, ">BI")):
        if number < limit:
            return struct.pack(form, major << 5 | extra, number)
    if number >= 1 << 64:
        raise InvalidBlock("DAG-CBOR integers have at most 64 bits")
    return struct.pack(">BQ", major << 5 | 27, number)


def _encode(value: Value, out: list[bytes], depth: int) -> None:
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"DAG-CBOR nested deeper than {MAX_DEPTH}")
    match value:
        case bytes():
            out += (_head(2, len(value)), value)
        case str():
            text = _utf8(value)
            out += (_head(3, len(text)), text)
        case CID():
            out += (b"\xd8\x2a", _head(2, len(value.raw) + 1), b"\0", value.raw)
        case list():
            out.append(_head(4, len(value)))
            for child in value:
                _encode(child, out, depth + 1)
        case dict():
            out.append(_head(5, len(value)))
            for text, key in _ordered(value):
                out += (_head(3, len(text)), text)
                _encode(value[key], out, depth + 1)
        case _:
            out.append(_scalar(value))


def _scalar(value: Value) -> bytes:
    if value is None:
        return b"\xf6"
    if isinstance(value, bool):
        return b"\xf5" if value else b"\xf4"
    if isinstance(value, int):
        return _head(0, value) if value >= 0 else _head(1, -1 - value)
    if isinstance(value, float) and math.isfinite(value):
        return struct.pack(">Bd", 0xFB, value)
    raise InvalidBlock(f"DAG-CBOR has no {value!r:.40}")


def _ordered(value: dict[str, Any]) -> list[tuple[bytes, str]]:
    return sorted(((_utf8(key), key) for key in value), key=lambda pair: _rank(pair[0]))


def _rank(key: bytes) -> tuple[int, bytes]:
    return len(key), key


def _utf8(text: str) -> bytes:
    if not isinstance(text, str):
        raise InvalidBlock(f"DAG-CBOR keys are text, not {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise InvalidBlock("DAG-CBOR text must be valid Unicode") from None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def value(self, depth: int) -> Value:
        if depth > MAX_DEPTH:
            raise LimitExceeded(f"DAG-CBOR nested deeper than {MAX_DEPTH}")
        first = self.take(1)[0]
        major, short = first >> 5, first & 31
        if major == 7:
            return self.simple(first)
        number = self.number(short)
        match major:
            case 0:
                return number
            case 1:
                return -1 - number
            case 2:
                return self.take(number)
            case 3:
                return self.text(number)
            case 4:
                return [self.value(depth + 1) for _ in range(self.countable(number))]
            case 5:
                return self.mapping(number, depth)
        return self.link(number)

    def simple(self, first: int) -> Value:
        if first in {0xF4, 0xF5, 0xF6}:
            return {0xF4: False, 0xF5: True, 0xF6: None}[first]
        if first != 0xFB:
            raise InvalidBlock(f"DAG-CBOR does not use the byte {first:#x}")
        (number,) = struct.unpack(">d", self.take(8))
        if not math.isfinite(number):
            raise InvalidBlock(f"DAG-CBOR has no {number}")
        return float(number)

    def number(self, short: int) -> int:
        if short < 24:
            return short
        if short > 27:
            raise InvalidBlock("DAG-CBOR has no indefinite lengths")
        width = 1 << short - 24
        number = int.from_bytes(self.take(width), "big")
        if number < (24 if width == 1 else 1 << 4 * width):
            raise InvalidBlock("DAG-CBOR integer is not in its shortest form")
        return number

    def take(self, length: int) -> bytes:
        if length > len(self.data) - self.at:
            raise InvalidBlock("DAG-CBOR is cut off")
        self.at += length
        return self.data[self.at - length : self.at]

    def countable(self, number: int) -> int:
        """Refuse a count that the rest of the data cannot hold, before it is looped over."""
        if number > len(self.data) - self.at:
            raise InvalidBlock("DAG-CBOR is cut off")
        return number

    def text(self, length: int) -> str:
        try:
            return self.take(length).decode()
        except UnicodeDecodeError:
            raise InvalidBlock("DAG-CBOR text is not UTF-8") from None

    def mapping(self, number: int, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        last: tuple[int, bytes] | None = None
        for _ in range(self.countable(number)):
            first = self.take(1)[0]
            if first >> 5 != 3:
                raise InvalidBlock("DAG-CBOR keys are text")
            key = self.text(self.number(first & 31))
            rank = _rank(key.encode())
            if last is not None and rank <= last:
                raise InvalidBlock("DAG-CBOR keys are twice there or out of order")
            last = rank
            found[key] = self.value(depth + 1)
        return found

    def link(self, tag: int) -> CID:
        first = self.take(1)[0]
        if tag != 42 or first >> 5 != 2:
            raise InvalidBlock("DAG-CBOR has no tag but 42, over bytes")
        raw = self.take(self.number(first & 31))
        if raw[:1] != b"\0":
            raise InvalidBlock("DAG-CBOR link without its leading zero")
        try:
            return CID.from_bytes(raw[1:])
        except InvalidCid as error:
            raise InvalidBlock(f"DAG-CBOR link: {error}") from None
