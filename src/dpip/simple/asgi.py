"""The few words of ASGI that the server speaks, and how an error becomes a response."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

import msgspec

from dpip.errors import DpipError
from dpip.simple.negotiation import NotAcceptable
from dpip.simple.repository import (
    FileNotFound,
    ProjectNotFound,
    UpstreamInvalid,
    UpstreamUnavailable,
)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

ZEROCOPY = "http.response.zerocopysend"


class BadRequest(DpipError):
    """The request makes no sense: a path trick, a name that cannot be."""

    slug = "bad-request"


class MethodNotAllowed(DpipError):
    """The resource is only read."""

    slug = "method-not-allowed"


# 504 rather than 503 for an upstream that cannot be asked: it is what HTTP says of a cache
# that has nothing stored, and clients do not spend their retries on it.
STATUSES: tuple[tuple[type[DpipError], int], ...] = (
    (ProjectNotFound, 404),
    (FileNotFound, 404),
    (BadRequest, 400),
    (MethodNotAllowed, 405),
    (NotAcceptable, 406),
    (UpstreamInvalid, 502),
    (UpstreamUnavailable, 504),
)


def status_of(error: DpipError) -> int:
    """Return the HTTP status that says what the error says."""
    for kind, status in STATUSES:
        if isinstance(error, kind):
            return status
    return 502 if error.side == "theirs" else 500


def header(scope: Scope, name: bytes) -> str | None:
    """Return a request header; a repeated one is joined as RFC 9110 section 5.3 says."""
    values = [value for key, value in scope["headers"] if key == name]
    return b", ".join(values).decode("latin-1") if values else None


async def send_whole(
    send: Send,
    status: int,
    headers: Headers,
    body: bytes = b"",
    *,
    reusable: Callable[[], bool] | None = None,
) -> None:
    """Send a response that is all there.

    `reusable` tells a server that knows the word for how long the same request gets this
    answer; other servers ignore it.
    """
    start = {"type": "http.response.start", "status": status, "headers": headers}
    if reusable is not None:
        start["reusable"] = reusable
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def send_error(send: Send, error: DpipError) -> None:
    """Send an error as a small JSON body with its slug; never cached."""
    body = msgspec.json.encode({"error": error.slug, "message": error.message, "hint": error.hint})
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    if isinstance(error, MethodNotAllowed):
        headers.append((b"allow", b"GET, HEAD"))
    await send_whole(send, status_of(error), headers, body)
