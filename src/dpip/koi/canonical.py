"""JSON that two programs write alike, and the hashes over it.

Two different forms are needed. *Wire form* is compact JSON as pydantic writes it: keys in
the order given, non-ASCII literal, positive exponents with a plus (`1e+21`): signatures are
over it. *Hash form* is sorted, and there have been three recipes of it over the years: the
first two are Python's own `json.dumps`, the last is JCS (RFC 8785). We write the last and
recognise all three.
"""

from __future__ import annotations

import json
import math
import re
from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec

from .errors import InvalidContents
from .rid import RID, RIDType

_SAFE_INTEGER = 2**53
_MAYBE_EXPONENT = re.compile(rb"e\d")  # begins with a letter: the scan is several times faster
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"')
_STRING_OR_EXPONENT = re.compile(rb'"(?:[^"\\]|\\.)*"|(?<=\d)e(?=\d)')
# A number that JCS may write otherwise than we do, or a character outside the basic plane.
# Looked for with `in` after folding characters into classes: a tenth of a regex's time.
_CLASSES = bytes.maketrans(b"123456789.E\xf1\xf2\xf3\xf4", b"000000000ee" + b"\xf0" * 4)
_LONG_NUMBER = b"0" * 16


def to_json_value(value: Any) -> Any:
    """Turn RIDs and their types into text, for encoders that do not know them."""
    if isinstance(value, RID | RIDType):
        return str(value)
    raise InvalidContents(f"{type(value).__name__} cannot be written as JSON")


_wire = msgspec.json.Encoder(enc_hook=to_json_value)
_sorted = msgspec.json.Encoder(enc_hook=to_json_value, order="sorted")


def wire_form(value: Any) -> bytes:
    """Return `value` as compact JSON, numbers as pydantic writes them.

    Raises InvalidContents for what JSON cannot hold.
    """
    try:
        written = _wire.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidContents(str(error)) from None
    if _MAYBE_EXPONENT.search(written) is None:
        return written
    return _STRING_OR_EXPONENT.sub(lambda m: b"e+" if m[0] == b"e" else m[0], written)


def numberless_form(value: Any) -> bytes:
    """Return `value` as compact JSON: `wire_form` for what holds no fractions, but faster."""
    return _wire.encode(value)


def content_hash(contents: Any) -> str:
    """Return the lower-case hex SHA-256 of the JCS form, as rid-lib 3.2.6 and later do."""
    return sha256(jcs(contents)).hexdigest()


def matches(contents: Any, digest: str) -> bool:
    """Say whether `digest` is the hash of `contents` by any of the three recipes."""
    try:
        # Nearly always right already, by one recipe or the other; and whatever has this
        # hash is these contents.
        if sha256(_sorted.encode(contents)).hexdigest() == digest:
            return True
        if content_hash(contents) == digest:
            return True
    except (TypeError, ValueError, RecursionError, InvalidContents):
        pass
    return any(
        sha256(_python_form(contents, separators)).hexdigest() == digest
        for separators in ((",", ":"), (", ", ": "))
    )


def _python_form(contents: Any, separators: tuple[str, str]) -> bytes:
    return json.dumps(contents, sort_keys=True, separators=separators, default=str).encode()


def jcs(value: Any) -> bytes:
    """Return the JSON Canonicalization Scheme form (RFC 8785); raise InvalidContents."""
    try:
        plain = _sorted.encode(value)
        if _is_plain(plain):
            return plain
        return "".join(_jcs(msgspec.to_builtins(value, enc_hook=to_json_value))).encode()
    except (TypeError, ValueError, RecursionError, OverflowError) as error:
        raise InvalidContents(f"contents have no canonical form: {error}") from None


def _is_plain(written: bytes) -> bool:
    """Say whether sorted JSON is in canonical form for sure: no number, and no key, is doubtful."""
    if b"\xf0" in written.translate(_CLASSES):
        return False
    return _numbers_are_plain(written) or _numbers_are_plain(_STRING.sub(b"", written))


def _numbers_are_plain(written: bytes) -> bool:
    if b"-0" in written or b"null" in written:
        return False
    folded = written.translate(_CLASSES)
    return b"0e" not in folded and _LONG_NUMBER not in folded


def _jcs(value: Any) -> list[str]:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        parts = [f"{_text(key)}:{''.join(_jcs(value[key]))}" for key in keys]
        return ["{", ",".join(parts), "}"]
    if isinstance(value, list):
        return ["[", ",".join("".join(_jcs(item)) for item in value), "]"]
    if isinstance(value, str):
        return [_text(value)]
    if isinstance(value, bool) or value is None:
        return [json.dumps(value)]
    return [_number(value)]


def _text(value: str) -> str:
    return msgspec.json.encode(value).decode()


def _number(value: int | float) -> str:
    """Write a number as ECMAScript does (RFC 8785 section 3.2.2.3)."""
    if isinstance(value, int) and abs(value) <= _SAFE_INTEGER:
        return str(value)
    number = float(value)
    if not math.isfinite(number):
        raise ValueError("not a finite number")
    if number == 0:
        return "0"
    sign, digits_, exponent = Decimal(repr(number)).normalize().as_tuple()
    digits = "".join(map(str, digits_))
    point = len(digits) + int(exponent)
    return ("-" if sign else "") + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    if len(digits) <= point <= 21:
        return digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{digits[0]}{fraction}e{point - 1:+d}"
