"""Files of the mirrors of one process: real transfers, with calls where real nodes have HTTP.

Each mirror keeps archives, brings what it lacks from neighbours that its graph names, and gives
what it holds, by the very applications that a node mounts. What is cut off cannot be called.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.federation.mirrors import LIAR, SOURCE, Mirrors

from dpip.federation.directory import GraphDirectory
from dpip.federation.holdings import ONLY_STORED, Holdings
from dpip.federation.neighbours import Neighbours
from dpip.federation.offers import Attempt, NeighbourFailed, Offer
from dpip.federation.savings import Savings
from dpip.federation.whole import WholeFiles
from dpip.mirror.archives import Archives
from dpip.mirror.files import Files
from dpip.mirror.ingest import Ingest
from dpip.simple.server import SimpleApplication

if TYPE_CHECKING:
    from dpip.mirror.catalog import FileRecord


class NothingTakenApart:
    """In place of the store of blocks, where these mirrors have none."""

    def find(self, sha256: str) -> None:
        return None


class Calls(WholeFiles):
    """Asks the applications of other mirrors, as far as the network lets `caller` reach them."""

    def __init__(self, stores: Stores, caller: str) -> None:
        super().__init__()
        self._stores = stores
        self._caller = caller

    async def ask(self, url: str, record: FileRecord) -> Offer | None:
        status, _ = await self._call("HEAD", url, record)
        return Offer(url) if status == 200 else None

    async def metadata(self, url: str, record: FileRecord) -> bytes | None:
        status, body = await self._call("GET", url, record, ".metadata")
        return body if status == 200 else None

    async def bring(self, offer: Offer, attempt: Attempt) -> bool:
        status, body = await self._call("GET", offer.url, attempt.record)
        attempt.place.write_bytes(body)
        attempt.progress.came += len(body)
        return status == 200

    async def _call(
        self, method: str, url: str, record: FileRecord, suffix: str = ""
    ) -> tuple[int, bytes]:
        path = f"/files/{record.sha256}/{record.filename}{suffix}"
        application = self._stores.reached(self._caller, urlsplit(url).netloc)
        if application is None:
            raise NeighbourFailed(f"{url}: cut off (on purpose)")
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "headers": [(b"cache-control", ONLY_STORED.encode())],
        }
        await application(scope, _nothing, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


async def _nothing() -> Any:
    return {"type": "http.request"}


@dataclass
class Store:
    """What one mirror keeps, and how it gets and gives it."""

    archives: Archives
    ingest: Ingest
    files: Files
    savings: Savings
    application: Holdings


class Stores:
    """The files of all mirrors that are up when this is made."""

    def __init__(self, mirrors: Mirrors) -> None:
        self._mirrors = mirrors
        self._stores = {number: self._made(number) for number in range(len(mirrors))}

    def __getitem__(self, number: int) -> Store:
        return self._stores[number]

    def reached(self, caller: str, host: str) -> Holdings | None:
        """Return the application at a host, unless it is down or cut off from the caller."""
        number, sides = int(host.removeprefix("node")), self._mirrors.network._sides
        if number in self._mirrors.down or sides.get(caller, 0) != sides.get(host, 0):
            return None
        return self._stores[number].application

    async def get(self, number: int, name: str) -> bytes:
        """Return the newest file of a project as a mirror gives it to its user."""
        record = self._mirrors.parts[number].catalog.files(name)[-1]
        found = await self._stores[number].files.open(record.key, record.filename)
        if hasattr(found, "path"):
            return await asyncio.to_thread(found.path.read_bytes)
        return b"".join([bytes(piece) async for piece in found.chunks])

    def forge(self, number: int, name: str, data: bytes) -> None:
        """Have a mirror hold other bytes under the hash of a project's newest file."""
        record = self._mirrors.parts[SOURCE].catalog.files(name)[-1]
        archives = self._stores[number].archives
        part = archives.part("forged")
        part.write_bytes(data)
        archives.keep(part, record.sha256 or "", record.filename)

    async def close(self) -> None:
        for store in self._stores.values():
            await store.ingest.close()

    def _made(self, number: int) -> Store:
        mirrors, catalog = self._mirrors, self._mirrors.parts[number].catalog
        archives, savings = Archives(mirrors._directory / f"node{number}"), Savings()
        index = mirrors.forged if number == LIAR else mirrors.index
        offline = number not in {SOURCE, LIAR}
        ingest = Ingest(
            upstream=index,
            archives=archives,
            catalog=catalog,
            now=time.time,
            max_size=2**20,
            pause=0.001,
            nearby=Neighbours(
                GraphDirectory(lambda: mirrors[number]),
                means=(),
                whole=Calls(self, f"node{number}"),
                savings=savings,
                clock=time.monotonic,
                insistent=offline,
            ),
            offline=offline,
        )
        files = Files(
            archives=archives, catalog=catalog, ingest=ingest, upstream=index, offline=offline
        )
        serve = SimpleApplication(pages=mirrors.parts[number].pages, files=files)
        held: Any = NothingTakenApart()
        holdings = Holdings(serve, files=files, archives=held, metadata=catalog.metadata)
        return Store(archives, ingest, files, savings, holdings)
