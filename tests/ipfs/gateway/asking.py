"""A small world behind a gateway, and a way to ask it without a socket."""

from __future__ import annotations

import asyncio
import hashlib
import io
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dpip.ipfs import car, dagcbor, dagpb, ipns, unixfs
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID, DAG_CBOR, DAG_PB
from dpip.ipfs.directory import Directory
from dpip.ipfs.gateway.server import Gateway
from dpip.ipfs.importer import FileHasher
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.profiles import profile
from dpip.ipfs.records import MemoryRecords

if TYPE_CHECKING:
    from collections.abc import MutableMapping

NOW = 1_800_000_000 * ipns.SECOND
KEY = PrivateKey.from_seed(bytes(32))
NAME = KEY.name.encode("k")
LONG = hashlib.shake_128(b"long").digest(5000)
CHUNKED = profile(chunker="size-1000", max_links=3)
ABSENT = str(CID.of(b"absent"))


@dataclass
class World:
    """Files, directories, a symlink, DAG-CBOR, and a name; `app` is any ASGI application."""

    store: MemoryBlockstore = field(default_factory=MemoryBlockstore)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    cids: dict[str, str] = field(default_factory=dict)
    now: int = NOW
    extensions: dict[str, Any] = field(default_factory=dict)
    app: Any = None

    def add(self, data: bytes) -> tuple[CID, int]:
        """Add a file and return its CID and total size."""
        hasher = FileHasher(CHUNKED, lambda block: self.store.put([block]))
        hasher.update(data)
        file = hasher.finish()
        return file.cid, file.tsize

    def directory(self, **entries: tuple[CID, int]) -> tuple[CID, int]:
        """Add a directory; `_` in a name stands for a dot."""
        directory = Directory(self.store)
        for name, (cid, tsize) in entries.items():
            directory.set(name.replace("_", "."), cid, tsize)
        link = directory.write()
        return link.cid, link.tsize

    def block(self, data: bytes, codec: int) -> tuple[CID, int]:
        """Add a block as it is."""
        block = Block(CID.of(data, codec), data)
        self.store.put([block])
        return block.cid, len(data)

    def publish(self, value: str, sequence: int = 1, ttl: int = ipns.DEFAULT_TTL) -> ipns.Record:
        """Point the name somewhere."""
        expires = self.now + ipns.DEFAULT_LIFETIME
        record = ipns.create(KEY, value, sequence=sequence, expires=expires, ttl=ttl)
        return self.records.put(KEY.name, record.raw, self.now)

    def ask(self, path: str, method: str = "GET", body: bytes = b"", **headers: str) -> Reply:
        """Ask for `/ipfs/{name}` of this world, names filled in; `_` in headers is `-`."""
        return self.send(path, headers, method, body)

    def send(
        self, path: str, headers: dict[str, str], method: str = "GET", body: bytes = b""
    ) -> Reply:
        """Ask, with the headers as a mapping."""
        return asyncio.run(self._ask(path.format(**self.cids), method, body, headers))

    async def _ask(self, path: str, method: str, body: bytes, headers: dict[str, str]) -> Reply:
        path, _, query = path.partition("?")
        scope = {
            "type": "http", "method": method, "path": path, "raw_path": path.encode(),
            "query_string": query.encode(), "extensions": self.extensions,
            "headers": [(k.replace("_", "-").encode(), v.encode()) for k, v in headers.items()],
        }  # fmt: skip
        reply = Reply()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, receive, reply.take)
        return reply


@dataclass
class Reply:
    """What came back; `complete` says whether the body came to its end."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    complete: bool = False

    async def take(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {k.decode(): v.decode() for k, v in message["headers"]}
            return
        if message["type"] == "http.response.zerocopysend":
            message["file"].seek(message["offset"])
            self.body += message["file"].read(message["count"])
        else:
            self.body += message["body"]
        self.complete = not message.get("more_body", False)

    def car(self) -> list[str]:
        """Return the CIDs in a CAR, in order, each block verified."""
        return [str(block.cid) for block in car.read(io.BytesIO(self.body))]


def world() -> World:
    """Return the world that the tests ask about."""
    made = World()
    hello, long = made.add(b"hello world"), made.add(LONG)
    sub = made.directory(hello_txt=hello, copy_txt=hello, long=long)
    site = made.directory(index_html=made.add(b"<p>index</p>"))
    link = unixfs.Data(unixfs.Kind.SYMLINK, b"hello.txt")
    symlink = made.block(dagpb.encode(dagpb.Node((), unixfs.encode(link))), DAG_PB)
    data = made.block(dagcbor.encode({"file": hello[0], "n": 1}), DAG_CBOR)
    holed = made.directory(gone=(CID.of(b"absent"), 6), hello_txt=hello)
    root = made.directory(sub=sub, site=site, symlink=symlink, data=data, holed=holed)
    made.cids = {
        "hello": str(hello[0]), "long": str(long[0]), "sub": str(sub[0]), "site": str(site[0]),
        "symlink": str(symlink[0]), "data": str(data[0]), "holed": str(holed[0]),
        "root": str(root[0]), "name": NAME, "absent": ABSENT,
    }  # fmt: skip
    made.app = Gateway(made.store, made.records, clock=lambda: made.now)
    return made
