"""Blocks on the wire between nodes: the trustless gateway's, with zstd where it helps.

Content blocks are members of archives inflated, so plain blocks would move more than the
archive. It is HTTP's own content coding (RFC 8878): other clients do not ask for it and see
nothing of it. Bytes are verified by CID after decoding.
"""

from __future__ import annotations

import asyncio
import http.client
from typing import TYPE_CHECKING

import zstandard

from dpip.federation.offers import unsigned
from dpip.ipfs.cid import CID, verify
from dpip.ipfs.connections import Connections, Request
from dpip.ipfs.errors import InvalidArgument, NotFound, Unavailable
from dpip.simple.asgi import header

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    from dpip.federation.offers import Sign
    from dpip.ipfs.connections import Dial
    from dpip.simple.asgi import Receive, Scope, Send

CODING = "zstd"
RAW = "application/vnd.ipld.raw"
LEVEL = 6
LARGEST = 4 * 2**20


class Compressed:
    """Around a gateway: answers to `Accept: application/vnd.ipld.raw` may be compressed."""

    def __init__(self, gateway: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._gateway = gateway

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        coded = CODING in (header(scope, b"accept-encoding") or "")
        if not coded or header(scope, b"accept") != RAW or scope["method"] != "GET":
            await self._gateway(scope, receive, send)
            return
        head: dict[str, Any] = {}
        parts: list[bytes] = []

        async def collect(message: Any) -> None:
            if message["type"] == "http.response.start":
                head.update(message)
            else:
                parts.append(message.get("body", b""))

        # Without extensions the gateway hands the bytes over and does not send them by itself.
        await self._gateway({**scope, "extensions": {}}, receive, collect)
        await _send(send, head, b"".join(parts))


async def _send(send: Send, head: dict[str, Any], body: bytes) -> None:
    packed = await asyncio.to_thread(zstandard.compress, body, LEVEL)
    headers = list(head["headers"])
    if head["status"] == 200 and len(packed) < len(body):
        body = packed
        headers = [pair for pair in headers if pair[0].lower() != b"content-length"]
        headers += [
            (b"content-encoding", CODING.encode()),
            (b"content-length", b"%d" % len(body)),
            (b"vary", b"accept-encoding"),
        ]
    await send({**head, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Blocks:
    """The blocks of another node. Thread-safe; `moved` counts bytes of bodies received.

    `sign` returns what headers a request for a path must have besides; `dial` connects.
    """

    def __init__(
        self, url: str, *, timeout: float, dial: Dial | None = None, sign: Sign = unsigned
    ) -> None:
        self._connections = Connections(url, timeout=timeout, dial=dial)
        self._sign = sign
        self.moved = 0

    def close(self) -> None:
        """Close the kept connections."""
        self._connections.close()

    def get(self, cid: CID) -> bytes:
        """Return a block's bytes, verified. Raises NotFound, Unavailable, HashMismatch."""
        headers = {"Accept": RAW, "Accept-Encoding": CODING, "User-Agent": "dpip"}
        signed = {**headers, **self._sign(f"/ipfs/{cid}")}
        request = Request("GET", f"/ipfs/{cid}?format=raw", signed)
        try:
            with self._connections.exchange(request) as response:
                data = response.read(LARGEST + 1)
                status, coding = response.status, response.headers.get("Content-Encoding")
                if len(data) > LARGEST:
                    raise Unavailable(f"{cid}: an answer of more than {LARGEST} bytes")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise Unavailable(f"{cid}: {error}") from None
        if status != 200:
            raise NotFound(f"{cid}: not here ({status})")
        self.moved += len(data)
        return verify(cid, _decoded(data) if coding == CODING else data)


def _decoded(data: bytes) -> bytes:
    try:
        with zstandard.ZstdDecompressor().stream_reader(data) as reader:
            found: bytes = reader.read(LARGEST + 1)
    except zstandard.ZstdError as error:
        raise Unavailable(f"not what its coding says: {error}") from None
    if len(found) > LARGEST:
        raise InvalidArgument("a block that inflates beyond all bounds")
    return found
