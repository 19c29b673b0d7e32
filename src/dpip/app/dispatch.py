"""One ASGI application out of many, by the first part of the path.

A room mounts with one line: `Dispatcher({"simple": simple_app, "ipfs": gateway, "": page})`.
The whole path is passed on unchanged, so an application sees the URLs that it documents.
"""

from __future__ import annotations

import json
import logging
from typing import TYPE_CHECKING, Any

from dpip.errors import DpipError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, MutableMapping

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Message, Receive, Send], Awaitable[None]]

log = logging.getLogger(__name__)


class Dispatcher:
    """Sends each request to the application mounted under its first path segment.

    An exception that escapes an application is logged and answered with 500 and a slug if
    nothing was sent yet, else the connection is broken off; no traceback leaves the process.
    """

    def __init__(self, mounts: Mapping[str, Application]) -> None:
        self._mounts = dict(mounts)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        end = path.find("/", 1)
        application = self._mounts.get(path[1:] if end < 0 else path[1:end])
        if application is None:
            await respond(send, 404, {"error": "not-found", "message": "no such path"})
            return
        try:
            await application(scope, receive, send)
        except DpipError as error:
            await respond(send, 502 if error.side == "theirs" else 500, error.as_dict())
        except OSError:
            log.exception("answering %s", path)
            await respond(send, 500, {"error": "internal-error", "message": "see the log"})


async def respond(
    send: Send,
    status: int,
    body: bytes | Mapping[str, Any],
    content_type: str = "application/json",
) -> None:
    """Send one small, complete response."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() + b"\n"
    headers = [
        (b"content-type", content_type.encode()),
        (b"content-length", str(len(data)).encode()),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": data})
