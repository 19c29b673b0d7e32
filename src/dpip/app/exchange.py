"""One request and its response, as an ASGI application sees them."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from dpip.app.reuse import Reusable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from dpip.app.connection import Connection

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    Application = Callable[[Message, Receive, Send], Awaitable[None]]

log = logging.getLogger(__name__)

ZEROCOPY = "http.response.zerocopysend"
JOINED = 2**14
"""Bodies up to this size are copied behind their head, to be one write."""

STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status, status.phrase.encode()) for status in HTTPStatus
}
BODILESS = frozenset({204, 304})


class ClientGone(ConnectionError):
    """The client closed the connection before the response was sent."""


class Exchange:
    """Implements `receive` and `send`; the connection owns the socket and the order."""

    __slots__ = (
        "_body",
        "_chunked",
        "_complete",
        "_connection",
        "_delivered",
        "_expects_continue",
        "_head",
        "_headers",
        "_left",
        "_more_body",
        "_started",
        "_status_line",
        "_valid",
        "_wake",
        "keep_alive",
        "request",
        "scope",
    )

    def __init__(
        self, connection: Connection, scope: Message, *, keep_alive: bool, expects_continue: bool
    ) -> None:
        self.scope = scope
        self.keep_alive = keep_alive
        self.request: bytes | None = None
        """All bytes of the request, where they are known to be this request and no more."""
        self._valid: Callable[[], bool] | None = None
        self._connection = connection
        self._expects_continue = expects_continue
        self._body = bytearray()
        self._more_body = True
        self._delivered = False
        self._wake: asyncio.Event | None = None
        self._head = b""
        self._started = False
        self._complete = False
        self._chunked = False
        self._left: int | None = None

    async def run(self, application: Application) -> None:
        """Let the application answer; whatever it does, the response ends or breaks off."""
        try:
            await application(self.scope, self.receive, self.send)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            self._connection.abort()
            raise
        except Exception as error:  # noqa: BLE001 - the border of every application
            self._log_failure(error)
        if not self._complete:
            await self._give_up()
        self._connection.finished(self)

    def _log_failure(self, error: Exception) -> None:
        # An error that carries a slug was expected; its place in the code says nothing more.
        expected = hasattr(error, "slug")
        path = self.scope["path"]
        log.error("answering %s: %s", path, error, exc_info=None if expected else error)

    async def _give_up(self) -> None:
        self.keep_alive = False
        if self._started or self._connection.lost:
            return
        body = b'{"error":"internal-error","message":"see the log of the node"}'
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        try:
            await self.send({"type": "http.response.start", "status": 500, "headers": headers})
            await self.send({"type": "http.response.body", "body": body})
        except ClientGone:
            return

    @property
    def body_left(self) -> bool:
        """Whether the client has not sent the whole request yet."""
        return self._more_body

    # What the connection hands in.

    def add_body(self, data: bytes) -> int:
        """Take a piece of the request's body; return how much is waiting to be read."""
        if self._complete:
            return 0
        self._body += data
        self.wake()
        return len(self._body)

    def end_body(self) -> None:
        """Note that the request's body is complete."""
        self._more_body = False
        self.wake()

    def wake(self) -> None:
        """Let a waiting `receive` look again."""
        if self._wake is not None:
            self._wake.set()

    # What the application calls.

    async def receive(self) -> Message:
        """Return the next piece of the request's body, or that the exchange is over."""
        if self._expects_continue and not self._started:
            self._expects_continue = False
            self._connection.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not self._receivable():
            await self._wait()
        if self._over():
            return {"type": "http.disconnect"}
        data, self._body = bytes(self._body), bytearray()
        self._delivered = not self._more_body
        return {"type": "http.request", "body": data, "more_body": self._more_body}

    def _over(self) -> bool:
        return self._complete or self._connection.lost

    def _receivable(self) -> bool:
        last_piece = not self._more_body and not self._delivered
        return bool(self._body) or last_piece or self._over()

    async def _wait(self) -> None:
        self._wake = asyncio.Event()
        if self._more_body:
            self._connection.want_body()
        try:
            await self._wake.wait()
        finally:
            self._wake = None
            self._connection.got_body()

    async def send(self, message: Message) -> None:
        """Send one ASGI message. Raises ClientGone once nobody listens."""
        if self._connection.lost:
            raise ClientGone
        kind = message["type"]
        if kind == "http.response.start" and not self._started:
            self._start(message["status"], message.get("headers", ()))
            self._valid = message.get("reusable")
        elif kind == "http.response.body" and self._started and not self._complete:
            await self._send_body(message.get("body", b""), message.get("more_body", False))
        elif kind == ZEROCOPY and self._started and not self._complete:
            await self._send_file(message)
        else:
            raise RuntimeError(f"{kind} is out of order here")

    def _start(self, status: int, headers: Any) -> None:
        self._started = True
        lines = []
        length = None
        for name, value in headers:
            lines.append(b"%b: %b\r\n" % (name, value))
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and value.lower() == b"close":
                self.keep_alive = False
        lines.append(self._framing(status, length))
        self._headers = b"".join(lines)
        # One line break for each line: nothing from outside can begin a line of its own.
        if self._headers.count(b"\n") != len(headers) + lines[-1].count(b"\n"):
            raise ValueError("a response header holds a line break")
        self._status_line = STATUS_LINES[status]
        self._head = b"".join((self._status_line, self._connection.date(), self._headers))

    def _framing(self, status: int, length: int | None) -> bytes:
        """Decide how the end of the body is marked; return the lines that say so."""
        if self.scope["method"] == "HEAD" or status in BODILESS:
            self._left = None
            framing = b""
        elif length is not None:
            self._left = length
            framing = b""
        elif self.scope["http_version"] == "1.1":
            self._chunked = True
            framing = b"transfer-encoding: chunked\r\n"
        else:
            self.keep_alive = False
            framing = b""
        if not self.keep_alive:
            return framing + b"connection: close\r\n\r\n"
        if self.scope["http_version"] == "1.0":
            return framing + b"connection: keep-alive\r\n\r\n"
        return framing + b"\r\n"

    async def _send_body(self, body: bytes, more_body: bool) -> None:
        head, self._head = self._head, b""
        if self.scope["method"] == "HEAD":
            body = b""
        elif self._chunked:
            body = _chunk(body, last=not more_body)
        self._account(len(body), more_body)
        if self._valid is not None and self.request is not None and head and not more_body:
            self._keep(self.request, self._valid, body)
        if len(body) <= JOINED:
            self._connection.write(head + body)
        else:
            if head:
                self._connection.write(head)
            self._connection.write(body)
        self._finish(more_body)
        if self._connection.writing_paused:
            await self._connection.drained()

    def _keep(self, request: bytes, valid: Callable[[], bool], body: bytes) -> None:
        if self.keep_alive:
            answer = Reusable(valid, self._status_line, self._headers, body)
            self._connection.keep_answer(request, answer)

    async def _send_file(self, message: Message) -> None:
        head, self._head = self._head, b""
        count, more_body = message["count"], message.get("more_body", False)
        if self._chunked:
            raise RuntimeError(f"{ZEROCOPY} needs a content-length")
        if self.scope["method"] == "HEAD":
            self._connection.write(head)
        else:
            self._account(count, more_body)
            await self._connection.send_file(head, message["file"], message["offset"], count)
        self._finish(more_body)

    def _finish(self, more_body: bool) -> None:
        if not more_body:
            self._complete = True
            self.wake()

    def _account(self, length: int, more_body: bool) -> None:
        if self._left is None:
            return
        self._left -= length
        if self._left < 0 or (self._left > 0 and not more_body):
            raise RuntimeError("the body is not as long as its content-length")


def _chunk(body: bytes, *, last: bool) -> bytes:
    chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
    return chunk + b"0\r\n\r\n" if last else chunk
