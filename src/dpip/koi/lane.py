"""The short way: requests of KOI nodes, answered without the layers between.

Nearly all that a node receives looks alike: `POST`, one of five paths, a length, a body. A
connection begins here, and such requests are read and answered by this class itself. The first
one that looks in any way unusual is handed, with the connection and for good, to the HTTP
server that runs this node; so there is one complete reading of HTTP, and it is not this one.

Unusual is: another method, path or version, a body without `Content-Length` or too long, two
lengths, a head of more than 16 KiB, a line that begins with a blank or holds a control
character, and any header that asks for something (`Expect`, `Upgrade`, `Transfer-Encoding`, and
`Connection` but for `keep-alive`, which httpx always says). Strictness costs nothing here: what
is refused is only read elsewhere.
"""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from functools import lru_cache, partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Protocol

from .network.caller import RECEIVED_HEADER, SEQUENCE_HEADER
from .responder import Broadcast

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .responder import Reply

HEAD_END = b"\r\n\r\n"
LONGEST_HEAD = 16 << 10
LARGEST_BODY = 1 << 20
MOST_HEADS = 1024
MOST_AHEAD = 64 << 10
REQUEST_SECONDS = 30.0
IDLE_SECONDS = 5.0
_ASKS = frozenset({b"expect", b"upgrade", b"transfer-encoding"})
_HEADERS = {
    b"content-length": b"content-length",
    SEQUENCE_HEADER.encode(): SEQUENCE_HEADER,
    RECEIVED_HEADER.encode(): RECEIVED_HEADER,
}
_CONTROL = re.compile(rb"[\0-\x08\x0a-\x1f\x7f]")
_TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_STATUS = {status.value: f"{status.value} {status.phrase}".encode() for status in HTTPStatus}


@dataclass(frozen=True, slots=True)
class Head:
    """What matters of a usual request: the path of an endpoint, body length, our headers."""

    path: str
    length: int
    sequence: str = ""
    received: str = ""


def read_head(head: bytes, targets: dict[bytes, str]) -> Head | None:
    """Return what a head says, or None if the request is not a usual one."""
    line, *fields = head.split(b"\r\n")
    words = line.split(b" ")
    if len(words) != 3 or words[0] != b"POST" or words[2] != b"HTTP/1.1":
        return None
    path = targets.get(words[1])
    if path is None:
        return None
    known: dict[Any, bytes] = {}
    for field in fields:
        name, colon, value = field.partition(b":")
        name = name.lower()
        if not colon or name in _ASKS or _CONTROL.search(value) or not _TOKEN.match(name):
            return None
        if name == b"connection" and value.strip(b" \t").lower() != b"keep-alive":
            return None
        key = _HEADERS.get(name)
        if key is not None:
            if key in known:
                return None
            known[key] = value.strip(b" \t")
    length = known.get(b"content-length", b"")
    if not length.isdigit() or len(length) > 8 or int(length) > LARGEST_BODY:
        return None
    sequence, received = (known.get(key, b"").decode("latin-1")
                          for key in (SEQUENCE_HEADER, RECEIVED_HEADER))  # fmt: skip
    return Head(path, int(length), sequence, received)


def reader(targets: dict[bytes, str]) -> Callable[[bytes], Head | None]:
    """Return `read_head` for the targets of one node; peers send the same few heads all day."""
    return lru_cache(MOST_HEADS)(partial(read_head, targets=targets))


class Answerer(Protocol):
    """What answers: the app of a node."""

    read_head: Callable[[bytes], Head | None]

    def answer_at_once(self, path: str, broadcast: Broadcast) -> Reply | None:
        """Return the answer if it takes no waiting."""
        ...

    def answer(self, path: str, body: bytes, *, sequence: str, received: str) -> Awaitable[Reply]:
        """Return the answer."""
        ...

    def next_piece(self, pieces: Any) -> Awaitable[bytes]:
        """Return the next piece of a long answer, b"" at its end."""
        ...


class ServerState(Protocol):
    """What the server shares: whom it tells to `shutdown`, and headers that it puts everywhere."""

    connections: set[Any]
    default_headers: list[tuple[bytes, bytes]]


class Lane(asyncio.Protocol):
    """One connection, until it is handed on to the protocol that `hand_on` makes."""

    def __init__(
        self, answerer: Answerer, hand_on: Callable[[], asyncio.Protocol], state: ServerState
    ) -> None:
        self._answerer = answerer
        self._hand_on = hand_on
        self._state = state
        self._transport: asyncio.Transport = None  # type: ignore[assignment]
        self._loop = asyncio.get_running_loop()
        self._data: bytes | bytearray = b""
        self._head: Head | None = None
        self._body_from = 0
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self._ended = False
        self._deadline = self._loop.time() + REQUEST_SECONDS
        self._timer = self._loop.call_later(IDLE_SECONDS, self._look)
        self._writable: asyncio.Future[None] | None = None

    # Called by the event loop.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with an empty connection."""
        self._transport = transport  # type: ignore[assignment]
        self._state.connections.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        """Forget the client; what it asked for is done all the same."""
        self._leave()
        self._closing = True
        self.resume_writing()

    def eof_received(self) -> bool:
        """The client says no more, but may wait for answers; say whether to stay open for them."""
        self._ended = True
        return self._task is not None

    def data_received(self, data: bytes) -> None:
        """Answer what is complete."""
        if self._data:
            self._data = self._data if isinstance(self._data, bytearray) else bytearray(self._data)
            self._data += data
        else:
            self._data = data
        if self._task is None:
            self._go_on()
        elif len(self._data) > MOST_AHEAD:
            self._transport.pause_reading()

    def pause_writing(self) -> None:
        """The client does not keep up with a long answer."""
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        """The client has caught up."""
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # Called by the server.

    def shutdown(self) -> None:
        """Close when the request under way is answered."""
        self._closing = True
        if self._task is None:
            self._transport.close()

    # Reading

    def _go_on(self) -> None:
        while self._task is None and self._data and not self._closing:
            if self._head is None and not self._find_head():
                return
            assert self._head is not None
            end = self._body_from + self._head.length
            if len(self._data) < end:
                return
            body = bytes(self._data[self._body_from : end])
            self._data = self._data[end:]
            head, self._head = self._head, None
            self._answer(head, body)

    def _find_head(self) -> bool:
        """Find the next head; say whether there is one that is for this class."""
        if len(self._data) == 0:
            return False
        self._deadline = self._loop.time() + REQUEST_SECONDS
        end = self._data.find(HEAD_END)
        if end > LONGEST_HEAD:
            self._give_away()
            return False
        if end < 0:
            if len(self._data) > LONGEST_HEAD or self._data[:5] != b"POST "[: len(self._data)]:
                self._give_away()
            return False
        self._head = self._answerer.read_head(bytes(self._data[:end]))
        if self._head is None:
            self._give_away()
            return False
        self._body_from = end + len(HEAD_END)
        return True

    def _give_away(self) -> None:
        """Let the server's own protocol read this connection from here on."""
        self._leave()
        protocol = self._hand_on()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(bytes(self._data))

    def _leave(self) -> None:
        self._state.connections.discard(self)
        self._timer.cancel()

    def _look(self) -> None:
        """Close a connection that is late; looking now and then costs nothing per request."""
        waiting = self._task is None or self._writable is not None
        if waiting and self._loop.time() > self._deadline:
            self._transport.abort()
        else:
            self._timer = self._loop.call_later(IDLE_SECONDS, self._look)

    # Answering

    def _answer(self, head: Head, body: bytes) -> None:
        reply = self._answerer.answer_at_once(head.path, Broadcast(body, head.sequence))
        if reply is not None:
            assert isinstance(reply.body, bytes)
            self._write(reply, reply.body)
            self._deadline = self._loop.time() + IDLE_SECONDS
        else:
            self._task = self._loop.create_task(self._answer_later(head, body))

    async def _answer_later(self, head: Head, body: bytes) -> None:
        try:
            reply = await self._answerer.answer(
                head.path, body, sequence=head.sequence, received=head.received
            )
            if isinstance(reply.body, bytes):
                self._write(reply, reply.body)
            else:
                await self._stream(reply)
        except BaseException:
            self._transport.abort()
            raise
        self._task = None
        self._deadline = self._loop.time() + IDLE_SECONDS
        if not self._ended and not self._lost():
            self._transport.resume_reading()
        if not self._closing:
            self._go_on()
        if self._task is None and (self._closing or self._ended):
            self._transport.close()

    def _write(self, reply: Reply, body: bytes) -> None:
        length = b"content-length: %d\r\n\r\n" % len(body)
        if not self._lost():
            self._transport.write(b"".join((self._start(reply), length, body)))

    async def _stream(self, reply: Reply) -> None:
        if self._lost():
            return
        self._transport.write(self._start(reply) + b"transfer-encoding: chunked\r\n\r\n")
        while (piece := await self._answerer.next_piece(reply.body)) and not self._lost():
            self._transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if self._writable is not None:
                self._deadline = self._loop.time() + REQUEST_SECONDS
                await self._writable
        if not self._lost():
            self._transport.write(b"0\r\n\r\n")

    def _lost(self) -> bool:
        return self._transport.is_closing()

    def _start(self, reply: Reply) -> bytes:
        """Return the head without its end; that of most answers is made once a second."""
        usual = reply.status == HTTPStatus.OK and not reply.headers
        if usual and _usual[0] is self._state.default_headers:
            start: bytes = _usual[1]
            return start
        headers = {"content-type": "application/json", **reply.headers}
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
        theirs = b"".join(b"%b: %b\r\n" % field for field in self._state.default_headers)
        start = b"HTTP/1.1 %b\r\n%b%b" % (_STATUS[reply.status], theirs, fields)
        if usual:
            _usual[:] = self._state.default_headers, start
        return start


_usual: list[Any] = [None, b""]
