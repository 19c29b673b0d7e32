"""Delegated routing V1, served: who has a CID, where a peer is, what a name points to.

https://specs.ipfs.tech/routing/http-routing-v1/. A node answers for itself alone: it is a
provider of the blocks that it holds, reachable at the addresses that it was configured with.
Empty lists are answered 200, which is what Kubo takes for "nobody".
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import ipns
from .cid import CID, inline
from .errors import InvalidCid, InvalidRecord, NotFound
from .keys import parse_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping, Sequence

    from .blockstore import Blockstore
    from .records import RecordStore

    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]

RECORD = "application/vnd.ipfs.ipns-record"
NDJSON = "application/x-ndjson"
GATEWAY_PROTOCOL = "transport-ipfs-gateway-http"
_CORS = [
    (b"access-control-allow-origin", b"*"),
    (b"access-control-allow-methods", b"GET, PUT, OPTIONS"),
    (b"access-control-allow-headers", b"Accept, Content-Type"),
    (b"vary", b"Accept"),
]


@dataclass(frozen=True, slots=True)
class Peer:
    """How others reach a node: peer ID and multiaddrs, such as `/dns4/host/tcp/443/tls/http`.

    One address that a reader cannot parse makes Kubo drop all of them.
    """

    id: str
    addresses: tuple[str, ...] = ()
    protocols: tuple[str, ...] = (GATEWAY_PROTOCOL,)

    def record(self, addresses: Sequence[str]) -> dict[str, Any]:
        """Return the record of schema `peer` with these addresses."""
        return {
            "Schema": "peer",
            "ID": self.id,
            "Addrs": list(addresses),
            "Protocols": list(self.protocols),
        }


@dataclass(frozen=True, slots=True)
class _Reply:
    status: int
    content_type: str
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


def _problem(status: int, message: str) -> _Reply:
    return _Reply(status, "text/plain; charset=utf-8", message.encode() + b"\n")


class Routing:
    """An ASGI application for `/routing/v1/`. `clock` returns nanoseconds since 1970.

    `peer` is how others reach this node; it may be set once that is known.
    """

    def __init__(
        self,
        store: Blockstore,
        records: RecordStore,
        *,
        peer: Peer | None = None,
        clock: Callable[[], int] = time.time_ns,
    ) -> None:
        self._store = store
        self._records = records
        self.peer = peer
        self._clock = clock

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one HTTP request."""
        if scope["type"] != "http":
            return
        reply = await self._reply(scope, receive)
        headers = [
            (b"content-type", reply.content_type.encode()),
            (b"content-length", b"%d" % len(reply.body)),
            *reply.headers,
            *_CORS,
        ]
        await send({"type": "http.response.start", "status": reply.status, "headers": headers})
        await send({"type": "http.response.body", "body": reply.body})

    async def _reply(self, scope: Message, receive: Receive) -> _Reply:
        method, path = scope["method"], scope["path"].rstrip("/")
        if method == "OPTIONS":
            return _Reply(200, "text/plain", b"")
        kind, _, subject = path.removeprefix("/routing/v1/").partition("/")
        if not path.startswith("/routing/v1/") or kind not in {"providers", "peers", "ipns"}:
            return _problem(400, f"there is nothing at {path[:200]!r}")
        if not subject or method not in {"GET", "HEAD", "PUT"}:
            return _problem(501, f"{method} {path[:200]!r} is not implemented")
        try:
            if kind == "ipns":
                return await self._ipns(scope, receive, parse_name(subject))
            if method == "PUT":
                return _problem(501, "announcements are not taken here")
            return await asyncio.to_thread(self._peers, scope, kind, subject)
        except InvalidCid as error:
            return _problem(400 if kind == "ipns" else 422, str(error))

    def _peers(self, scope: Message, kind: str, subject: str) -> _Reply:
        """Return this node as a JSON or NDJSON list, if it is meant and passes the filters."""
        found: list[dict[str, Any]] = []
        if self.peer is not None and self._is_meant(kind, subject, self.peer):
            found = _filtered(self.peer, _query(scope))
        age = 300 if found else 15
        headers = ((b"cache-control", b"public, max-age=%d" % age),)
        if NDJSON in _header(scope, b"accept"):
            lines = "".join(json.dumps(record) + "\n" for record in found)
            return _Reply(200, NDJSON, lines.encode(), headers)
        name = "Providers" if kind == "providers" else "Peers"
        return _Reply(200, "application/json", json.dumps({name: found}).encode(), headers)

    def _is_meant(self, kind: str, subject: str, peer: Peer) -> bool:
        if kind == "peers":
            return parse_name(subject).multihash == parse_name(peer.id).multihash
        cid = CID.parse(subject)
        return inline(cid) is not None or self._store.has(cid)

    async def _ipns(self, scope: Message, receive: Receive, name: CID) -> _Reply:
        if scope["method"] != "PUT":
            return await asyncio.to_thread(self._get_record, scope, name)
        if _header(scope, b"content-type").partition(";")[0].strip() != RECORD:
            return _problem(406, f"send Content-Type: {RECORD}")
        body = await _body(receive, ipns.MAX_RECORD)
        try:
            await asyncio.to_thread(self._records.put, name, body, self._clock())
        except InvalidRecord as error:
            return _problem(400, str(error))
        return _Reply(200, "text/plain", b"")

    def _get_record(self, scope: Message, name: CID) -> _Reply:
        accept = _header(scope, b"accept")
        if accept and RECORD not in accept and "*/*" not in accept:
            return _problem(406, f"retry with Accept: {RECORD}")
        now = self._clock()
        try:
            record = ipns.verify(self._records.get(name).raw, name, now)
        except (NotFound, InvalidRecord) as error:
            problem = _problem(404, str(error))
            minute = ((b"cache-control", b"public, max-age=60"),)
            return _Reply(problem.status, problem.content_type, problem.body, minute)
        age = min(record.ttl or 60 * ipns.SECOND, record.expires - now) // ipns.SECOND
        headers = (
            (b"cache-control", b"public, max-age=%d" % age),
            (b"etag", b'"%b"' % hashlib.blake2b(record.raw, digest_size=8).hexdigest().encode()),
        )
        return _Reply(200, RECORD, record.raw, headers)


def _filtered(peer: Peer, query: dict[str, list[str]]) -> list[dict[str, Any]]:
    """Apply filter-protocols and filter-addrs (IPIP-484); `!name` excludes."""
    protocols = _options(query, "filter-protocols")
    known = {protocol.lower() for protocol in peer.protocols}
    if protocols and not (known & protocols or ("unknown" in protocols and not known)):
        return []
    filters = _options(query, "filter-addrs")
    wanted = {name for name in filters if not name.startswith("!")}
    unwanted = {name[1:] for name in filters if name.startswith("!")}
    kept = [
        address
        for address in peer.addresses
        if not set(address.split("/")) & unwanted
        and (not wanted - {"unknown"} or set(address.split("/")) & wanted)
    ]
    if not kept and filters and not (not peer.addresses and "unknown" in wanted):
        return []
    return [peer.record(kept)]


def _options(query: dict[str, list[str]], name: str) -> set[str]:
    return {part.strip().lower() for part in query.get(name, [""])[0].split(",")} - {""}


def _query(scope: Message) -> dict[str, list[str]]:
    from urllib.parse import parse_qs

    return parse_qs(scope["query_string"].decode("latin-1"))


def _header(scope: Message, name: bytes) -> str:
    values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return ", ".join(values)


async def _body(receive: Receive, limit: int) -> bytes:
    """Read a request's body; what is longer than `limit` is cut off one byte later."""
    body = b""
    while len(body) <= limit:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    return body[: limit + 1]
