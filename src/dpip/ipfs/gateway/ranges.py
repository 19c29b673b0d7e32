"""HTTP Range requests: the first range of those asked for (RFC 9110, section 14)."""

from __future__ import annotations

import re
from http import HTTPStatus

from .answer import Answer, failure

_RANGE = re.compile(r"\s*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\s*\Z", re.ASCII)


def requested(header: str, size: int) -> tuple[int, int] | Answer | None:
    """Return the (start, stop) of the first range, None for the whole, or why it cannot be.

    A header that is no byte range is answered 400; one that covers nothing, 416.
    """
    if not header:
        return None
    unit, equals, options = header.partition("=")
    found = _RANGE.match(options.split(",")[0])
    if not equals or unit.strip() != "bytes" or found is None:
        return failure(HTTPStatus.BAD_REQUEST, f"invalid range request: {header[:100]!r}")
    first, last, suffix = found.groups()
    if first is None:
        start, stop = max(0, size - int(suffix)), size
    else:
        start, stop = int(first), min(int(last) + 1, size) if last else size
        if last and int(last) < start:
            return failure(HTTPStatus.BAD_REQUEST, f"invalid range request: {header[:100]!r}")
    if size == 0:
        return None
    if start >= stop:
        refused = failure(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "range covers nothing")
        refused.headers["content-range"] = f"bytes */{size}"
        return refused
    return start, stop
