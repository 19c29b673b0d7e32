"""Unsigned varints: seven bits a byte, least significant first.

Multiformats (https://github.com/multiformats/unsigned-varint) allow at most nine bytes and
only the shortest form. Protobuf allows ten bytes and 64 bits.
"""

from __future__ import annotations

from .errors import InvalidBlock

MAX_BYTES = 9
_SMALL = [bytes([n]) for n in range(128)]


def encode(number: int) -> bytes:
    """Return the shortest form of a number from 0 to 2**64 - 1."""
    if 0 <= number < 0x80:
        return _SMALL[number]
    if not 0 <= number < 1 << 64:
        raise InvalidBlock(f"{number} does not fit an unsigned varint")
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def length(number: int) -> int:
    """Return how many bytes `encode` gives."""
    return 1 if number < 0x80 else (number.bit_length() + 6) // 7


def decode(data: bytes, at: int = 0) -> tuple[int, int]:
    """Return the number at `at` and the offset after it; strict, as multiformats are.

    Raises InvalidBlock if it is cut off, longer than nine bytes or not the shortest form.
    """
    number, end = _read(data, at, MAX_BYTES)
    if end - at > 1 and data[end - 1] == 0:
        raise InvalidBlock("varint is not in its shortest form")
    return number, end


def decode_protobuf(data: bytes, at: int = 0) -> tuple[int, int]:
    """Return the 64-bit number at `at` and the offset after it, as protobuf reads it."""
    number, end = _read(data, at, 10)
    if number >= 1 << 64:
        raise InvalidBlock("protobuf varint is larger than 64 bits")
    return number, end


def _read(data: bytes, at: int, longest: int) -> tuple[int, int]:
    number = 0
    for shift in range(0, 7 * longest, 7):
        if at >= len(data):
            raise InvalidBlock("varint is cut off")
        byte = data[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
    raise InvalidBlock(f"varint is longer than {longest} bytes")
