"""Multibase: text whose first letter says how it encodes bytes.

https://github.com/multiformats/multibase: base16 (f, F), base32 (b, B), base36 (k, K),
base58btc (z), base64 (m), base64url (u) and base64urlpad (U). Reading is strict: one text
stands for one byte string.
"""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from .errors import InvalidCid

if TYPE_CHECKING:
    from collections.abc import Callable

MAX_TEXT = 1024
"""Longest text accepted, in characters: radix conversion costs its square."""

_BASE36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"


def encode(data: bytes, base: str = "b") -> str:
    """Return `data` as text in the base of that prefix letter, the prefix included."""
    if base not in _CODECS:
        raise InvalidCid(f"unknown multibase prefix {base!r}")
    return base + _CODECS[base][0](data)


def decode(text: str) -> bytes:
    """Return the bytes of a multibase text. Raises InvalidCid."""
    if not text or text[0] not in _CODECS:
        raise InvalidCid(f"not multibase text: {text[:20]!r}")
    if len(text) > MAX_TEXT:
        raise InvalidCid(f"multibase text of {len(text)} characters is too long")
    try:
        data = _CODECS[text[0]][1](text[1:])
    except (ValueError, binascii.Error):
        raise InvalidCid(f"not valid in base {text[0]!r}: {text[:80]!r}") from None
    if _CODECS[text[0]][0](data) != text[1:]:
        raise InvalidCid(f"not the canonical text in base {text[0]!r}: {text[:80]!r}")
    return data


def encode_base58(data: bytes) -> str:
    """Return base58btc text without a prefix, as CIDv0 and old peer IDs are written."""
    return _to_radix(data, _BASE58)


def decode_base58(text: str) -> bytes:
    """Return the bytes of base58btc text without a prefix. Raises InvalidCid."""
    if len(text) > MAX_TEXT:
        raise InvalidCid(f"base58 text of {len(text)} characters is too long")
    try:
        return _from_radix(text, _BASE58)
    except ValueError:
        raise InvalidCid(f"not base58: {text[:80]!r}") from None


def _to_radix(data: bytes, alphabet: str) -> str:
    radix = len(alphabet)
    zeros = len(data) - len(data.lstrip(b"\0"))
    number = int.from_bytes(data, "big")
    digits: list[str] = []
    while number:
        number, digit = divmod(number, radix)
        digits.append(alphabet[digit])
    return alphabet[0] * zeros + "".join(reversed(digits))


def _from_radix(text: str, alphabet: str) -> bytes:
    radix = len(alphabet)
    zeros = len(text) - len(text.lstrip(alphabet[0]))
    number = 0
    for letter in text:
        number = number * radix + alphabet.index(letter)
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _from_base32(text: str) -> bytes:
    return base64.b32decode(text + "=" * (-len(text) % 8))


def _from_base64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _from_base64url(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


_CODECS: dict[str, tuple[Callable[[bytes], str], Callable[[str], bytes]]] = {
    "f": (bytes.hex, bytes.fromhex),
    "F": (lambda data: data.hex().upper(), bytes.fromhex),
    "b": (
        lambda data: base64.b32encode(data).decode().rstrip("=").lower(),
        lambda text: _from_base32(text.upper()),
    ),
    "B": (lambda data: base64.b32encode(data).decode().rstrip("="), _from_base32),
    "k": (lambda data: _to_radix(data, _BASE36), lambda text: _from_radix(text, _BASE36)),
    "K": (
        lambda data: _to_radix(data, _BASE36).upper(),
        lambda text: _from_radix(text.lower(), _BASE36),
    ),
    "z": (encode_base58, decode_base58),
    "m": (lambda data: base64.b64encode(data).decode().rstrip("="), _from_base64),
    "u": (lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="), _from_base64url),
    "U": (lambda data: base64.urlsafe_b64encode(data).decode(), _from_base64url),
}
