"""One HTTP/1.1 connection: bytes to requests, one response after the other.

When a request's head is complete it becomes an `Exchange`, which runs in a task of its own.
Requests that arrive while one is being answered wait in line, and reading pauses. Time limits
cost nothing per request: a connection only notes by when something must have happened, and
the server looks now and then for those that are late.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections import deque
from email.utils import formatdate
from math import inf
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from dpip.app.exchange import JOINED, STATUS_LINES, ZEROCOPY, ClientGone, Exchange
from dpip.app.request_parser import Refused, RequestParser
from dpip.app.reuse import LONGEST_REQUEST
from dpip.app.zerocopy import AVAILABLE, FilePump, SendfileRefused

if TYPE_CHECKING:
    from dpip.app.exchange import Application
    from dpip.app.limits import Limits
    from dpip.app.reuse import Answers, Reusable

READ_SIZE = 2**18
WAITING_BODY = 2**16
"""Bytes of a request's body that may wait for the application."""

LINGER = 2.0
"""Seconds that a refused client may go on talking to nobody."""


class Connection(asyncio.Protocol):
    """The protocol object that a listening socket makes for each client."""

    def __init__(
        self,
        application: Application,
        limits: Limits,
        connections: set[Connection],
        answers: Answers,
    ) -> None:
        self._answers = answers
        self._application = application
        self._limits = limits
        self._connections = connections
        self._loop = asyncio.get_running_loop()
        self._parser = RequestParser(self, limits)
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._waiting: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._reading: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._reading_paused = False
        self._draining: asyncio.Future[None] | None = None
        self._out: socket.socket | None = None
        self._pump: FilePump | None = None
        self._closing = False
        self._begun = 0
        self.lost = False
        self.writing_paused = False
        if not self._closing:
            self.deadline = inf

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with an empty connection."""
        self._transport = cast("asyncio.Transport", transport)
        secure = transport.get_extra_info("sslcontext") is not None
        self._zerocopy = AVAILABLE and not secure
        self._facts: dict[str, Any] = {
            "scheme": "https" if secure else "http",
            "client": _address(transport.get_extra_info("peername")),
            "server": _address(transport.get_extra_info("sockname")),
            "extensions": {ZEROCOPY: {}} if self._zerocopy else {},
        }
        self._connections.add(self)
        self._set_deadline(self._limits.head_time)
        if len(self._connections) > self._limits.connections:
            self._refuse(503, "too many connections")

    def connection_lost(self, _error: Exception | None) -> None:
        """Let everything that waits for this client know."""
        self.lost = True
        self._connections.discard(self)
        if self._pump is not None:
            self._pump.fail(ClientGone())
        else:
            self._close_out()
        self.resume_writing()
        for exchange in (self._current, *self._waiting):
            if exchange is not None:
                exchange.wake()
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        """Parse what arrived; the parser calls the `on_` methods."""
        if self._closing:
            return
        alone = self._current is None and not self._parser.in_head
        if alone and len(data) <= LONGEST_REQUEST and not self.writing_paused:
            answer = self._answers.find(data)
            if answer is not None:
                self._answer_again(answer)
                return
        if alone:
            self._set_deadline(self._limits.head_time)
        self._begun = 0
        try:
            self._parser.feed(data)
        except Refused as refused:
            self._refuse(refused.status, refused.message)
            return
        # The bytes of a request stand for it only if it came alone and whole.
        reading = self._reading
        if alone and self._begun == 1 and reading is not None and not reading.body_left:
            reading.request = data

    def _answer_again(self, answer: Reusable) -> None:
        parts = answer.status_line, self.date(), answer.headers
        if len(answer.body) <= JOINED:
            self.write(b"".join((*parts, answer.body)))
        else:
            self.write(b"".join(parts))
            self.write(answer.body)
        self._set_deadline(self._limits.idle_time)

    def eof_received(self) -> bool:
        """Keep the sending side open: a client may say "no more requests" early."""
        if self._current is None:
            return False
        self._current.keep_alive = False
        return True

    def pause_writing(self) -> None:
        """The client does not keep up."""
        self.writing_paused = True
        self._set_deadline(self._limits.write_time)

    def resume_writing(self) -> None:
        """The client has taken what was written."""
        self.writing_paused = False
        if not self._closing:
            self.deadline = inf
        if self._draining is not None and not self._draining.done():
            self._draining.set_result(None)

    # Called by the parser.

    def request_begins(self, scope: dict[str, Any], keep_alive: bool, expects: bool) -> None:
        """Make a complete head an exchange, and start it unless another one runs."""
        scope.update(self._facts)
        self._begun += 1
        exchange = Exchange(self, scope, keep_alive=keep_alive, expects_continue=expects)
        self._reading = exchange
        if self._current is None:
            self._start(exchange)
        else:
            self._waiting.append(exchange)
            self._pause_reading()

    def body_arrives(self, data: bytes) -> None:
        """Take a piece of a request's body; reading pauses until it is wanted."""
        if self._reading is not None and self._reading.add_body(data) > WAITING_BODY:
            self._pause_reading()

    def body_ends(self) -> None:
        """End a request."""
        if self._reading is not None:
            self._reading.end_body()

    # Called by the exchange.

    def write(self, data: bytes) -> None:
        """Hand bytes to the socket; await `drained` where `writing_paused` says so."""
        self._transport.write(data)

    async def drained(self) -> None:
        """Wait until the client has taken enough. Raises ClientGone."""
        while self.writing_paused and not self.lost:
            self._draining = self._loop.create_future()
            await self._draining
        if self.lost:
            raise ClientGone

    def keep_answer(self, request: bytes, answer: Reusable) -> None:
        """Give this answer again to equal requests of any connection."""
        self._answers.keep(request, answer)

    def want_body(self) -> None:
        """Read on: the application waits for a piece of the body."""
        self._set_deadline(self._limits.body_time)
        self._resume_reading()

    def got_body(self) -> None:
        """The application has what it waited for, and may take its time."""
        self.deadline = inf

    def finished(self, exchange: Exchange) -> None:
        """Go on to the next request, wait for one, or close."""
        self._task = None
        self._current = None
        if self.lost:
            return
        if self._closing or not exchange.keep_alive:
            self.close()
            return
        if self._waiting:
            self._start(self._waiting.popleft())
        elif not self._parser.in_head:
            self._set_deadline(self._limits.idle_time)
        if not self._waiting:
            self._resume_reading()

    async def send_file(self, head: bytes, file: BinaryIO, offset: int, count: int) -> None:
        """Send a head and a span of a file by sendfile, or by reads where that cannot be."""
        sent = 0
        if self._zerocopy:
            await self._flush()
            try:
                await self._run_pump(head, file, offset, count)
            except SendfileRefused as refused:
                head, sent = b"", refused.sent
            else:
                return
        if head:
            self.write(head)
        while sent < count:
            data = os.pread(file.fileno(), min(READ_SIZE, count - sent), offset + sent)
            if not data:
                raise EOFError("the file became shorter while it was sent")
            sent += len(data)
            self.write(data)
            await self.drained()

    async def _run_pump(self, head: bytes, file: BinaryIO, offset: int, count: int) -> None:
        if self._out is None:
            descriptor = self._transport.get_extra_info("socket").fileno()
            self._out = socket.socket(fileno=os.dup(descriptor))
            self._out.setblocking(False)
        self._set_deadline(self._limits.write_time)
        self._pump = FilePump(self._out, file, offset, count, self._progressed)
        try:
            await self._pump.run(head)
        except OSError:
            raise ClientGone from None
        finally:
            self._pump = None
            self.deadline = inf
            if self.lost:
                self._close_out()

    def _close_out(self) -> None:
        if self._out is not None:
            self._out.close()
            self._out = None

    def _progressed(self) -> None:
        self._set_deadline(self._limits.write_time)

    async def _flush(self) -> None:
        """Wait until the transport has written everything that it was given."""
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(high=0)
            try:
                await self.drained()
            finally:
                self._transport.set_write_buffer_limits()

    # Called by the server.

    def close(self) -> None:
        """Close after what was written has been sent."""
        self._closing = True
        if self.lost:
            return
        if self._parser.in_head or (self._reading is not None and self._reading.body_left):
            # Closing on bytes that nobody read would reset the connection, and the client
            # might lose the answer: let it read, and hear what it still says for a moment.
            self._set_deadline(LINGER)
            self._transport.write_eof()
            self._resume_reading()
        else:
            self._set_deadline(self._limits.write_time)
            self._transport.close()

    def abort(self) -> None:
        """Close at once."""
        self._closing = True
        if not self.lost:
            self._transport.abort()

    def finish_soon(self) -> None:
        """Close when the response that is being sent is complete; now if there is none."""
        if self._current is None:
            self.close()
        else:
            self._current.keep_alive = False

    def _start(self, exchange: Exchange) -> None:
        self.deadline = inf
        self._current = exchange
        self._task = self._loop.create_task(exchange.run(self._application))

    def _refuse(self, status: int, message: str) -> None:
        """Answer without an application, and close. A response that is under way ends here."""
        if self._current is None:
            slug = b"bad-request" if status < 500 else b"busy"
            body = b'{"error":"%b","message":"%b"}' % (slug, message.encode())
            self.write(
                b"%bconnection: close\r\ncontent-type: application/json\r\n"
                b"content-length: %d\r\n\r\n%b" % (STATUS_LINES[status], len(body), body)
            )
        self.close()

    def _pause_reading(self) -> None:
        if not self._reading_paused and not self.lost:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._reading_paused and not self.lost:
            self._reading_paused = False
            self._transport.resume_reading()

    def _set_deadline(self, seconds: float) -> None:
        self.deadline = self._loop.time() + seconds

    @staticmethod
    def date() -> bytes:
        """Return the Date line, made once a second."""
        now = int(time.time())
        if now != _date[0]:
            _date[:] = now, b"date: %b\r\n" % formatdate(now, usegmt=True).encode()
        line: bytes = _date[1]
        return line


_date: list[Any] = [0, b""]


def _address(name: Any) -> tuple[str, int] | None:
    with contextlib.suppress(TypeError, IndexError, ValueError):
        return str(name[0]), int(name[1])
    return None
