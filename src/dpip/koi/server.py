"""A full node's face: an ASGI app with the five endpoints, the OpenAPI page, and a server.

`app(node)` starts and stops the node with the app's lifespan. To embed a node in a larger
program, mount the app anywhere (paths work with and without the `/koi-net` prefix) and
either forward the lifespan or call `node.start()` and `node.stop()` yourself.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from .intake import Intake
from .lane import Lane, reader
from .network.caller import NODE_PATH, RECEIVED_HEADER, SEQUENCE_HEADER
from .protocol.consts import BROADCAST_EVENTS_PATH, PREFIX
from .responder import REQUESTS, Broadcast, Reply, Responder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping

    import uvicorn

    from .node import NodeInterface

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

T = TypeVar("T")

LARGEST_BODY = 16 << 20
MOST_AT_ONCE = 256
BODY_SECONDS = 30.0

_ENDPOINTS = (BROADCAST_EVENTS_PATH, *REQUESTS)

NOT_FOUND = Reply(404, b'{"detail":"Not Found"}')
WRONG_METHOD = Reply(405, b'{"detail":"Method Not Allowed"}', {"allow": "POST"})
ONLY_READ = Reply(405, WRONG_METHOD.body, {"allow": "GET, HEAD"})
TOO_SLOW = Reply(408, b'{"detail":"the body did not arrive in time"}')
TOO_LARGE = Reply(413, b'{"detail":"the body is too large"}')
BUSY = Reply(503, b'{"detail":"too many requests at once"}', {"retry-after": "1"})


class App:
    """The ASGI app of one node. Files, signatures and hashes stay off its event loop."""

    def __init__(self, node: NodeInterface, *, prefix: str = PREFIX, lifespan: bool = True) -> None:
        self.node = node
        self._prefix = prefix
        self._lifespan = lifespan
        self._responder = Responder(node)
        self._intake = Intake(self._responder)
        self._readers: ThreadPoolExecutor | None = None
        self._running = 0
        self.read_head = reader({f"{prefix}{path}".encode(): path for path in _ENDPOINTS})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection (ASGI 3)."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif scope["type"] == "http":
            await self._respond(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _live(self, receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                if self._lifespan:
                    await loop.run_in_executor(None, self.node.start)
                await send({"type": "lifespan.startup.complete"})
            else:
                await loop.run_in_executor(None, self._stop)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _stop(self) -> None:
        self.close()
        if self._lifespan:
            self.node.stop()

    def close(self) -> None:
        """Answer what is under way and end the app's threads."""
        self._intake.close()
        if self._readers is not None:
            self._readers.shutdown()
            self._readers = None

    async def _respond(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = await self._route(scope, receive)
        if reply is not None:
            await self._send(send, reply)

    async def _route(self, scope: Scope, receive: Receive) -> Reply | None:
        path: str = scope["path"].removeprefix(scope.get("root_path") or "\0")
        path = path.removeprefix(self._prefix) or "/"
        if path == BROADCAST_EVENTS_PATH or path in REQUESTS:
            return await self._endpoint(path, scope, receive)
        if scope["method"] not in {"GET", "HEAD"}:
            return ONLY_READ if path == NODE_PATH else NOT_FOUND
        if path == NODE_PATH:
            return await self._off_loop(self._responder.node)
        return await self._off_loop(_page, path)

    async def _endpoint(self, path: str, scope: Scope, receive: Receive) -> Reply | None:
        if scope["method"] != "POST":
            return WRONG_METHOD
        declared = _header(scope, "content-length")
        if declared.isdecimal() and int(declared) > LARGEST_BODY:
            return TOO_LARGE
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await _read(receive)
        except TimeoutError:
            return TOO_SLOW
        if body is None:
            return None
        if len(body) > LARGEST_BODY:
            return TOO_LARGE
        sequence, received = _header(scope, SEQUENCE_HEADER), _header(scope, RECEIVED_HEADER)
        return await self.answer(path, body, sequence=sequence, received=received)

    def answer_at_once(self, path: str, broadcast: Broadcast) -> Reply | None:
        """Accept a broadcast without waiting, or return None if that cannot be."""
        return self._intake.at_once(broadcast) if path == BROADCAST_EVENTS_PATH else None

    async def answer(self, path: str, body: bytes, *, sequence: str, received: str) -> Reply:
        """Answer a request to one of the five endpoints."""
        if self._running >= MOST_AT_ONCE:
            return BUSY
        self._running += 1
        try:
            if path == BROADCAST_EVENTS_PATH:
                return await self._intake.submit(Broadcast(body, sequence))
            headers = {RECEIVED_HEADER: received} if received else {}
            return await self._off_loop(self._responder.answer, path, body, headers)
        finally:
            self._running -= 1

    async def next_piece(self, pieces: Iterator[bytes]) -> bytes:
        """Return the next piece of a long answer, b"" at its end."""
        return await self._off_loop(_next, pieces)

    async def _off_loop(self, function: Callable[..., T], *args: Any) -> T:
        if self._readers is None:
            self._readers = ThreadPoolExecutor(4, thread_name_prefix="koi-reader")
        return await asyncio.get_running_loop().run_in_executor(self._readers, function, *args)

    async def _send(self, send: Send, reply: Reply) -> None:
        headers = [(b"content-type", reply.headers.get("content-type", JSON).encode())]
        headers += [
            (name.encode(), value.encode())
            for name, value in reply.headers.items()
            if name != "content-type"
        ]
        if isinstance(reply.body, bytes):
            headers.append((b"content-length", str(len(reply.body)).encode()))
            await send({"type": "http.response.start", "status": reply.status, "headers": headers})
            await send({"type": "http.response.body", "body": reply.body})
            return
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        while piece := await self.next_piece(reply.body):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b""})


JSON = "application/json"


def app(node: NodeInterface, *, prefix: str = PREFIX, lifespan: bool = True) -> App:
    """Return the ASGI app of a node. `lifespan=False`: the caller starts and stops the node."""
    return App(node, prefix=prefix, lifespan=lifespan)


@asynccontextmanager
async def running(node: NodeInterface) -> AsyncIterator[App]:
    """Start a node inside a running event loop, give its app for mounting, stop it after.

    For programs that have a server of their own; nothing here blocks the loop.
    """
    loop = asyncio.get_running_loop()
    application = App(node, lifespan=False)
    await loop.run_in_executor(None, node.start)
    try:
        yield application
    finally:
        await loop.run_in_executor(None, application.close)
        await loop.run_in_executor(None, node.stop)


def server(
    node: NodeInterface, *, host: str = "127.0.0.1", port: int = 8000, **options: Any
) -> uvicorn.Server:
    """Return a server for a full node, ready to `run`; needs uvicorn, and takes its options.

    It is uvicorn, with the short way of `lane` in front.
    """
    import uvicorn

    application = App(node)
    given: dict[str, Any] = {"log_level": "warning", "access_log": False, "lifespan": "on"}
    config = uvicorn.Config(application, host=host, port=port, **{**given, **options})
    config.load()
    theirs: Any = config.http_protocol_class

    def connect(*, server_state: Any, **parts: Any) -> Lane:
        def hand_on() -> asyncio.Protocol:
            made: asyncio.Protocol = theirs(server_state=server_state, **parts)
            return made

        return Lane(application, hand_on, server_state)

    config.http_protocol_class = connect  # type: ignore[assignment]
    return uvicorn.Server(config)


def serve(node: NodeInterface, *, host: str = "127.0.0.1", port: int = 8000) -> None:
    """Run a full node until it is interrupted; needs uvicorn."""
    server(node, host=host, port=port).run()


async def _read(receive: Receive) -> bytes | None:
    """Return the body, cut as soon as it is too large; None if the client went away."""
    parts: list[bytes] = []
    size = 0
    while size <= LARGEST_BODY:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        part = message.get("body", b"")
        size += len(part)
        parts.append(part)
        if not message.get("more_body"):
            break
    return b"".join(parts)


def _header(scope: Scope, name: str) -> str:
    wanted = name.encode()
    for key, value in scope["headers"]:
        if key == wanted:
            return str(value.decode("latin-1"))
    return ""


def _next(pieces: Iterator[bytes]) -> bytes:
    return next((piece for piece in pieces if piece), b"")


def _page(path: str) -> Reply:
    from .pages import page

    return page(path) or NOT_FOUND
