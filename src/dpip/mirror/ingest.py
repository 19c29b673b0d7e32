"""Bring files in: one transfer per file however many ask, checked before anyone has it all.

A transfer that breaks goes on where it stopped, by Range; an upstream that ignores Range is
read again and the part we have is skipped. Only the hash decides: a part with a wrong hash is
removed, never renamed into place.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Protocol

from dpip.errors import DpipError
from dpip.mirror.arrival import Arrival
from dpip.mirror.catalog import ArchiveRecord, FileRecord
from dpip.mirror.sink import Sink
from dpip.simple.repository import UpstreamInvalid, UpstreamUnavailable, WholeFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from dpip.mirror.archives import Archives
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.source import FileSource
    from dpip.simple.upstream import FileStream

log = logging.getLogger(__name__)
MOST_BREAKS = 5
"""How often in a row a transfer may break without bringing a byte."""


class Nearby(Protocol):
    """Somewhere closer than upstream that may have a file."""

    async def obtain(self, record: FileRecord, part: Path) -> bool:
        """Put the whole file, checked, at `part`; False where it cannot be had. Never raises."""
        ...


class Ingest:
    """Fetches files into the archives and the catalog.

    `nearby` is asked before upstream; `offline` says that upstream is not asked at all.
    `now` returns seconds since the epoch. `stored` is told of each new archive.
    """

    def __init__(
        self,
        *,
        upstream: FileSource,
        archives: Archives,
        catalog: Catalog,
        now: Callable[[], float],
        max_size: int,
        pause: float = 0.2,
        nearby: Nearby | None = None,
        offline: bool = False,
    ) -> None:
        self._upstream = upstream
        self._archives = archives
        self._catalog = catalog
        self._now = now
        self._max_size = max_size
        self._pause = pause
        self._nearby = nearby
        self._offline = offline
        self._arrivals: dict[str, Arrival] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.transfers = 0
        """Downloads begun since start, for the metrics."""

    @property
    def asks_nearby(self) -> bool:
        """Whether files can come from elsewhere than upstream."""
        return self._nearby is not None

    def fetch(self, record: FileRecord) -> Arrival:
        """Return the arrival of a file, starting its transfer if none is running.

        The transfer goes on when its readers leave: the next one finds the file whole.
        """
        arrival = self._arrivals.get(record.key)
        if arrival is None:
            arrival = self._arrivals[record.key] = Arrival(record.key)
            task = asyncio.create_task(self._run(record, arrival), name=f"fetch {record.filename}")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return arrival

    async def close(self) -> None:
        """Stop all transfers; their parts stay, to go on from."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, record: FileRecord, arrival: Arrival) -> None:
        try:
            arrival.finish(await self._transfer(record, arrival))
        except DpipError as error:
            log.warning("fetching %s failed: %s", record.filename, error.message)
            arrival.finish(error)
        except asyncio.CancelledError:
            arrival.finish(UpstreamUnavailable(f"fetching {record.filename} was stopped"))
            raise
        finally:
            del self._arrivals[record.key]

    async def _transfer(self, record: FileRecord, arrival: Arrival) -> WholeFile:
        part = self._archives.part(record.key)
        if record.sha256 is None:
            # Without a hash nothing proves that an old part is of the same file.
            part.unlink(missing_ok=True)
        near = await self._from_nearby(record, part)
        if self._offline and not near:
            raise UpstreamUnavailable(
                f"{record.filename} is not stored",
                hint="the node is offline: connect it, and ask again",
            )
        try:
            sha256, cid = await self._into(part, record, arrival, complete=near)
        except UpstreamInvalid:
            part.unlink(missing_ok=True)
            if not arrival.written or arrival.started:
                raise
            # The part of an earlier run is longer than the file: begin again without it.
            arrival.written = 0
            sha256, cid = await self._into(part, record, arrival)
        if record.sha256 is not None and sha256 != record.sha256:
            part.unlink(missing_ok=True)
            raise UpstreamInvalid(
                f"{record.filename}: the bytes have SHA-256 {sha256}, the index says"
                f" {record.sha256}; nothing was stored",
            )
        whole = await asyncio.to_thread(self._archives.keep, part, sha256, record.filename)
        await self._record(record, whole, cid, "peer" if near else "upstream")
        return whole

    async def _from_nearby(self, record: FileRecord, part: Path) -> bool:
        """Say whether a neighbour gave the whole file; a part of an earlier fetch goes on."""
        if self._nearby is None or record.sha256 is None or part.exists():
            return False
        return await self._nearby.obtain(record, part)

    async def _into(
        self, part: Path, record: FileRecord, arrival: Arrival, *, complete: bool = False
    ) -> tuple[str, str]:
        sink = Sink(part, arrival.advance)
        try:
            position = await sink.resume()
            if not complete and (not position or position != record.size):
                await self._download(record, arrival, sink, position)
            return await sink.finish()
        except BaseException:
            await sink.abandon()
            raise

    async def _record(self, record: FileRecord, whole: WholeFile, cid: str, origin: str) -> None:
        stored = ArchiveRecord(
            sha256=whole.sha256,
            filename=record.filename,
            size=whole.size,
            cid=cid,
            origin=origin,
            stored_at=self._now(),
        )
        await asyncio.wrap_future(self._catalog.put_archive(stored))
        if record.sha256 is None:
            learned = self._catalog.learn_sha256(
                record.key, record.filename, whole.sha256, whole.size
            )
            await asyncio.wrap_future(learned)

    async def _download(
        self, record: FileRecord, arrival: Arrival, sink: Sink, position: int
    ) -> None:
        """Feed the sink from `position` to the end, over as many transfers as it takes."""
        breaks, known = 0, None
        while True:
            before = position
            try:
                async with self._upstream.open_file(
                    record.url, offset=position, known=known
                ) as stream:
                    self.transfers += 1
                    known = stream.validators
                    self._check_size(record, stream.size)
                    arrival.start(self._archives.part(record.key), stream.size)
                    async for chunk in _from(stream, position):
                        position += len(chunk)
                        self._check_size(record, position)
                        await sink.feed(chunk)
                if stream.size is None or position == stream.size:
                    return
                raise UpstreamUnavailable(f"{record.filename}: the transfer ended early")
            except UpstreamUnavailable:
                breaks = 1 if position > before else breaks + 1
                if position == 0 or breaks > MOST_BREAKS:
                    raise
                await asyncio.sleep(self._pause * breaks)

    def _check_size(self, record: FileRecord, size: int | None) -> None:
        if size is not None and size > self._max_size:
            raise UpstreamInvalid(
                f"{record.filename} is larger than {self._max_size} bytes",
                hint="raise the setting max_file_size if you want it",
            )


async def _from(stream: FileStream, position: int) -> AsyncIterator[bytes]:
    """Yield the stream's bytes from `position` on, skipping what comes before it."""
    skip = position - stream.offset
    async for chunk in stream.chunks:
        if skip < len(chunk):
            yield chunk[skip:] if skip > 0 else chunk
        skip = max(0, skip - len(chunk))
