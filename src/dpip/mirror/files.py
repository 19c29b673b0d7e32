"""Distribution files and metadata files for the server, by the key in their URL."""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import TYPE_CHECKING

from dpip.errors import DpipError
from dpip.mirror.wheel import TAIL, NotAWheel, metadata_of
from dpip.simple.repository import (
    ArrivingFile,
    FileNotFound,
    UpstreamInvalid,
    UpstreamUnavailable,
    WholeFile,
)
from dpip.simple.upstream import metadata_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.mirror.archives import Archives
    from dpip.mirror.arrival import Arrival
    from dpip.mirror.catalog import Catalog, FileRecord
    from dpip.mirror.ingest import Ingest
    from dpip.mirror.source import FileSource
    from dpip.mirror.store import Remake


LARGEST_METADATA = 16 * 2**20


class Files:
    """A FileSource over archives, fetching what is missing."""

    def __init__(
        self,
        *,
        archives: Archives,
        catalog: Catalog,
        ingest: Ingest,
        upstream: FileSource,
        offline: bool,
        remake: Remake | None = None,
        used: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._archives = archives
        self._catalog = catalog
        self._ingest = ingest
        self._upstream = upstream
        self._offline = offline
        self._remake = remake
        self._used = used
        self._metadata: dict[str, asyncio.Task[bytes]] = {}

    def whole(self, key: str, filename: str) -> WholeFile | None:
        """Return the file if it is complete on disk; it then counts as used."""
        found = self._on_disk(key, filename)
        if found is not None:
            self._used(found.sha256)
        return found

    def _on_disk(self, key: str, filename: str) -> WholeFile | None:
        found = self._archives.find(key, filename)
        if found is not None:
            return found
        record = self._catalog.file(key, filename)
        if record is None or record.sha256 in {None, key}:
            return None
        return self._archives.find(record.sha256 or "", filename)

    async def open(self, key: str, filename: str) -> WholeFile | ArrivingFile:
        """Return the file, fetching it if need be; many callers share one fetch."""
        if (whole := self.whole(key, filename)) is not None:
            return whole
        record = self._record(key, filename)
        if (whole := await self._remade(record)) is not None:
            return whole
        arrival = self._fetch(record)
        if (whole := await arrival.begun()) is not None:
            return whole
        return ArrivingFile(arrival.chunks(), arrival.size, key)

    async def metadata(self, key: str, filename: str) -> bytes:
        """Return the wheel's METADATA bytes exactly; concurrent callers share the work."""
        if not filename.endswith(".whl"):
            raise FileNotFound(f"{filename} is not a wheel: it has no metadata file")
        stored = self._catalog.metadata(key)
        if stored is not None:
            return stored
        task = self._metadata.get(key)
        if task is None:
            task = self._metadata[key] = asyncio.create_task(self._find_metadata(key, filename))
            task.add_done_callback(lambda _: self._metadata.pop(key))
        return await asyncio.shield(task)

    async def _remade(self, record: FileRecord) -> WholeFile | None:
        if self._remake is None or record.sha256 is None:
            return None
        return await asyncio.to_thread(self._remake.whole, record.sha256)

    def _fetch(self, record: FileRecord) -> Arrival:
        if self._offline and not self._ingest.asks_nearby:
            raise UpstreamUnavailable(
                f"{record.filename} is not stored",
                hint="the node is offline: connect it, and ask again",
            )
        return self._ingest.fetch(record)

    def _record(self, key: str, filename: str) -> FileRecord:
        record = self._catalog.file(key, filename)
        if record is None:
            raise FileNotFound(f"no page lists a file {filename!r} with that hash")
        return record

    async def _find_metadata(self, key: str, filename: str) -> bytes:
        return await self._read_metadata(key, filename, lambda: self._record(key, filename))

    async def metadata_of(self, record: FileRecord) -> bytes:
        """Read and keep what a file says of itself, also one that no page lists yet.

        A source distribution is fetched for it. Raises FileNotFound, and NotAWheel, NotAnSdist
        where there is nothing to read.
        """
        if record.filename.endswith(".whl"):
            return await self._read_metadata(record.key, record.filename, lambda: record)
        # Nobody but a mirror with such rules needs what reads source archives.
        from dpip.mirror.sdist import pkg_info

        whole = self.whole(record.key, record.filename)
        whole = whole or await self._remade(record) or await self._fetch(record).finished()
        body = await asyncio.to_thread(pkg_info, whole.path)
        await asyncio.wrap_future(self._catalog.put_metadata(record.key, body))
        return body

    async def _read_metadata(
        self, key: str, filename: str, record: Callable[[], FileRecord]
    ) -> bytes:
        whole = self.whole(key, filename)
        if whole is not None:
            body = await _from_disk(filename, whole)
        else:
            body = await self._from_elsewhere(record())
        await asyncio.wrap_future(self._catalog.put_metadata(key, body))
        return body

    async def _from_elsewhere(self, record: FileRecord) -> bytes:
        """Ask neighbours, then for the sidecar, for the wheel's tail, for all of it."""
        near = await self._ingest.metadata_nearby(record)
        if near is not None:
            return near
        if self._offline:
            return await self._from_whole(record)
        if record.sidecar and (body := await self._sidecar(record)) is not None:
            return body
        try:
            return await self._from_ranges(record)
        except NotAWheel:
            raise
        except (UpstreamInvalid, UpstreamUnavailable):
            return await self._from_whole(record)

    async def _sidecar(self, record: FileRecord) -> bytes | None:
        try:
            body = await self._upstream.read(metadata_url(record.url), LARGEST_METADATA)
        except DpipError:
            return None
        expected = record.metadata_sha256
        if expected is not None and hashlib.sha256(body).hexdigest() != expected.lower():
            return None
        return body

    async def _from_ranges(self, record: FileRecord) -> bytes:
        tail = await self._upstream.read_tail(record.url, TAIL)
        size = tail.size
        if size is None:
            raise UpstreamInvalid(f"the size of {record.filename} cannot be learned by a range")

        async def read(start: int, count: int) -> bytes:
            if start >= tail.offset:
                return tail.data[start - tail.offset : start - tail.offset + count]
            return (await self._upstream.read_range(record.url, start, count)).data

        return await metadata_of(record.filename, size, read)

    async def _from_whole(self, record: FileRecord) -> bytes:
        whole = await self._remade(record) or await self._fetch(record).finished()
        return await _from_disk(record.filename, whole)


async def _from_disk(filename: str, whole: WholeFile) -> bytes:
    descriptor = os.open(whole.path, os.O_RDONLY)

    async def read(start: int, count: int) -> bytes:
        return await asyncio.to_thread(os.pread, descriptor, count, start)

    try:
        return await metadata_of(filename, whole.size, read)
    finally:
        os.close(descriptor)
