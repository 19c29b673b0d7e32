"""One ASGI application out of many, by the first part of the path.

A room mounts with one line: `Dispatcher({"simple": simple_app, "ipfs": gateway, "": page})`.
The whole path is passed on unchanged, so an application sees the URLs that it documents.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from dpip.errors import DpipError
from dpip.simple.asgi import send_error, send_whole
from dpip.simple.repository import FileNotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from dpip.simple.asgi import Receive, Scope, Send

    Application = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger(__name__)


class Dispatcher:
    """Sends each request to the application mounted under its first path segment.

    A DpipError that leaves an application is answered with its slug; where a response has
    begun, returning without its end makes the server break the connection off.
    """

    def __init__(self, mounts: Mapping[str, Application]) -> None:
        self._mounts = dict(mounts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        end = path.find("/", 1)
        application = self._mounts.get(path[1:] if end < 0 else path[1:end])
        if application is None:
            await send_error(send, FileNotFound(f"there is nothing at {path[:200]!r}"))
            return
        try:
            await application(scope, receive, send)
        except DpipError as error:
            log.warning("%s: %s", path[:200], error.message)
            await _unless_begun(send, error)


class Lazily:
    """An application that is built, and its modules imported, at its first request."""

    def __init__(self, build: Callable[[], Application]) -> None:
        self._build = build
        self._application: Application | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if self._application is None:
            self._application = self._build()
        await self._application(scope, receive, send)


async def _unless_begun(send: Send, error: DpipError) -> None:
    try:
        await send_error(send, error)
    except RuntimeError:
        # The server refuses a second head: something was sent already.
        return


async def send_json(send: Send, status: int, value: Any) -> None:
    """Send a small JSON value; never cached."""
    body = json.dumps(value).encode() + b"\n"
    await send_text(send, status, body, b"application/json")


async def send_text(send: Send, status: int, body: bytes, content_type: bytes) -> None:
    """Send a small body of any type; never cached."""
    headers = [
        (b"content-type", content_type),
        (b"content-length", b"%d" % len(body)),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send_whole(send, status, headers, body)
