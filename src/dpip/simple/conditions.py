"""Conditional and range requests, decided (RFC 9110 sections 13 and 14)."""

from __future__ import annotations

import re
from dataclasses import dataclass

_TAG = re.compile(r'(?:W/)?("[^"]*")')
_RANGE = re.compile(r"bytes\s*=\s*(\d*)\s*-\s*(\d*)", re.IGNORECASE)
_MOST_DIGITS = 18


def not_modified(if_none_match: str | None, etag: str) -> bool:
    """Say whether the client has this version; tags compare weakly, `*` is any version."""
    if if_none_match is None:
        return False
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)


def range_holds(if_range: str | None, etag: str) -> bool:
    """Say whether a range may be sent: without If-Range, or with the very same strong tag."""
    return if_range is None or if_range.strip() == etag


class Unsatisfiable(ValueError):
    """The range begins behind the end of the file."""


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of a file from `start` to before `end`."""

    start: int
    end: int

    @property
    def length(self) -> int:
        """Number of bytes."""
        return self.end - self.start


def requested_span(header: str | None, size: int) -> Span | None:
    """Return the one range that a Range header asks for, or None for the whole file.

    Several ranges, other units and broken headers are answered with the whole file, as the
    RFC allows. Raises Unsatisfiable.
    """
    match = _RANGE.fullmatch(header.strip()) if header else None
    if match is None or match.group(1) == match.group(2) == "":
        return None
    first, last = match.groups()
    if len(first) > _MOST_DIGITS or len(last) > _MOST_DIGITS:
        raise Unsatisfiable
    if not first:
        return _suffix(int(last), size)
    start, end = int(first), int(last) + 1 if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return Span(start, min(end, size))


def _suffix(length: int, size: int) -> Span:
    if length == 0 or size == 0:
        raise Unsatisfiable
    return Span(max(0, size - length), size)
