"""A set that may err on one side: what it does not hold was certainly never added.

A Bloom filter of four bits an element for short random byte strings, such as parts of hashes,
which are their own hash functions. Asking it costs a fraction of asking a database, and nearly
always the answer is no. Of a million bytes and half a million elements, about one answer in two
hundred is a false "perhaps".
"""

from __future__ import annotations

import struct

SIZE = 1 << 20  # bytes; a power of two
_PLACES = struct.Struct(">4I")
_BITS = SIZE * 8 - 1


class Sieve:
    """Holds byte strings of at least 16 random bytes."""

    __slots__ = ("_bits",)

    def __init__(self) -> None:
        self._bits = bytearray(SIZE)

    def add(self, element: bytes) -> None:
        """Add an element."""
        bits = self._bits
        for number in _PLACES.unpack_from(element):
            place = number & _BITS
            bits[place >> 3] |= 1 << (place & 7)

    def may_hold(self, element: bytes) -> bool:
        """Say whether the element was added, perhaps; False is certain."""
        bits = self._bits
        for number in _PLACES.unpack_from(element):
            place = number & _BITS
            if not bits[place >> 3] & (1 << (place & 7)):
                return False
        return True
