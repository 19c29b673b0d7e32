"""The gateway as an ASGI application."""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import IpfsError
from .answer import CORS, Answer
from .content import Source
from .dispatch import answer
from .ready import MUTABLE_FOR, Prepared, Ready
from .request import Request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, MutableMapping

    from ..blockstore import Blockstore, Location
    from ..records import RecordStore

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

log = logging.getLogger(__name__)

ZEROCOPY = "http.response.zerocopysend"
READY_BODY = 256 * 1024
"""Largest body, in bytes, of an answer that is kept ready."""
PIECE = 1 << 20
_SHAPING = frozenset({
    b"accept", b"cache-control", b"if-none-match", b"if-range", b"range", b"service-worker",
})  # fmt: skip
"""Request headers that an answer depends on."""
_CORS = [(name.encode(), value.encode()) for name, value in CORS.items()]
_METHODS = (b"allow", b"GET, HEAD, OPTIONS")


class Gateway:
    """Serves `/ipfs/` and `/ipns/` from a store and records; never fetches by itself.

    Small answers are kept ready in `ready_size` bytes of memory. `clock` returns nanoseconds
    since 1970.
    """

    def __init__(
        self,
        store: Blockstore,
        records: RecordStore,
        *,
        clock: Callable[[], int] = time.time_ns,
        ready_size: int = 32 * 2**20,
    ) -> None:
        self._source = Source(store, records, clock)
        self._ready = Ready(ready_size)

    def forget(self) -> None:
        """Drop the answers kept ready, for instance after blocks were deleted."""
        self._ready.clear()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        shaping = tuple([pair for pair in scope["headers"] if pair[0] in _SHAPING])
        key = (scope["method"], scope["raw_path"], scope["query_string"], shaping)
        kept = self._ready.get(key)
        if kept is not None and (not kept.expires or kept.expires > self._source.clock()):
            await send(kept.start)
            await send(kept.body)
            return
        await self._answer(scope, send, key)

    async def _answer(self, scope: Message, send: Send, key: tuple[Any, ...]) -> None:
        if scope["method"] not in {"GET", "HEAD"}:
            await _refuse_method(scope, send)
            return
        request = Request.parse(
            scope["method"], scope["raw_path"], scope["query_string"], scope["headers"]
        )
        found = await asyncio.to_thread(answer, self._source, request)
        if isinstance(found.body, bytes) and len(found.body) <= READY_BODY:
            prepared = _prepare(request, found, self._source.clock())
            if found.settled and found.status < 400:
                self._ready.put(key, prepared)
            await send(prepared.start)
            await send(prepared.body)
            return
        await _send_long(scope, send, found)


def _prepare(request: Request, found: Answer, now: int) -> Prepared:
    body = found.body if isinstance(found.body, bytes) else b""
    head = request.method == "HEAD" or found.status == 304
    length = len(body) if found.length is None else found.length
    unknown = found.status == 304 or (head and not length and found.length is None)
    start = _start(found, None if unknown else length)
    expires = 0 if request.path.startswith("/ipfs/") else now + MUTABLE_FOR
    return Prepared(start, {"type": "http.response.body", "body": b"" if head else body}, expires)


def _start(found: Answer, length: int | None) -> dict[str, Any]:
    headers = [(k.encode(), v.encode("utf-8", "surrogateescape")) for k, v in found.headers.items()]
    if length is not None:
        headers.append((b"content-length", b"%d" % length))
    return {
        "type": "http.response.start",
        "status": int(found.status),
        "headers": [*headers, *_CORS],
    }


async def _refuse_method(scope: Message, send: Send) -> None:
    status = 200 if scope["method"] == "OPTIONS" else 405
    headers = [_METHODS, (b"content-length", b"0"), *_CORS]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _send_long(scope: Message, send: Send, found: Answer) -> None:
    """Send a body that is large or not known to its end; an error on the way breaks it off."""
    body = found.body
    await send(_start(found, len(body) if isinstance(body, bytes) else found.length))
    if scope["method"] == "HEAD":
        await send({"type": "http.response.body", "body": b""})
        return
    if isinstance(body, tuple) and ZEROCOPY in (scope.get("extensions") or {}):
        await _send_spans(send, body)
        return
    pieces = _read_spans(body) if isinstance(body, tuple) else body
    try:
        await _send_pieces(send, iter((pieces,)) if isinstance(pieces, bytes) else pieces)
    except IpfsError as error:
        # Returning without the end of the body makes the server cut the connection, which is
        # the only way left to say that it is not all there.
        log.warning("%s breaks off: %s", scope["path"], error)


async def _send_pieces(send: Send, pieces: Iterator[bytes]) -> None:
    """Send pieces, the next one being made while one is sent."""
    coming = asyncio.create_task(asyncio.to_thread(next, pieces, None))
    try:
        while (piece := await coming) is not None:
            coming = asyncio.create_task(asyncio.to_thread(next, pieces, None))
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    except BaseException:
        await asyncio.gather(coming, return_exceptions=True)
        raise
    await send({"type": "http.response.body", "body": b""})


async def _send_spans(send: Send, spans: tuple[Location, ...]) -> None:
    for number, span in enumerate(spans, 1):
        with Path(span.path).open("rb") as file:  # noqa: ASYNC230 - a local file
            await send(
                {
                    "type": ZEROCOPY,
                    "file": file,
                    "offset": span.offset,
                    "count": span.length,
                    "more_body": number < len(spans),
                }
            )


def _read_spans(spans: tuple[Location, ...]) -> Iterator[bytes]:
    for span in spans:
        with Path(span.path).open("rb") as file:
            file.seek(span.offset)
            left = span.length
            while left > 0 and (piece := file.read(min(left, PIECE))):
                left -= len(piece)
                yield piece
