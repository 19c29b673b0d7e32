"""Reading base64 and numbers of attestations, with the one error that all of it raises."""

from __future__ import annotations

import base64
import binascii

from dpip.simple.attested.model import Malformed


def octets(text: str, what: str) -> bytes:
    """Return the bytes that base64 text stands for. Raises Malformed."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(f"{what} is no base64") from None


def number(text: str, what: str) -> int:
    """Return a number that is at least 0. Raises Malformed."""
    if not text.isascii() or not text.isdigit() or len(text) > 19:
        raise Malformed(f"{what} is no number")
    return int(text)
