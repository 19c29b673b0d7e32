"""Bring files in: one transfer per file however many ask, checked before anyone has it all.

A transfer that breaks goes on where it stopped, by Range; an upstream that ignores Range is
read again and the part we have is skipped. Only the hash decides: a part with a wrong hash is
removed, never renamed into place.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dpip.errors import DpipError
from dpip.mirror.arrival import Arrival
from dpip.mirror.catalog import ArchiveRecord, FileRecord
from dpip.mirror.hedge import learned
from dpip.mirror.race import Rival
from dpip.mirror.sink import Sink, pieces
from dpip.simple.repository import UpstreamInvalid, UpstreamUnavailable, WholeFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine

    from dpip.mirror.archives import Archives
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.race import Nearby
    from dpip.mirror.source import FileSource
    from dpip.simple.upstream import FileStream

log = logging.getLogger(__name__)
MOST_BREAKS = 5
"""How often in a row a transfer may break without bringing a byte."""


class _Overtaken(Exception):
    """Neighbours have the whole file, and nobody has begun to read what came from upstream."""


class Ingest:
    """Fetches files into the archives and the catalog.

    `nearby` is asked before upstream and beside it (`mirror.hedge`); `offline` says that
    upstream is not asked at all.
    `now` returns seconds since the epoch. `stored` is called for each file that came in, once
    whoever waits for it has it.
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
        stored: Callable[[FileRecord], Coroutine[None, None, None]] | None = None,
    ) -> None:
        self._upstream = upstream
        self._archives = archives
        self._catalog = catalog
        self._now = now
        self._max_size = max_size
        self._pause = pause
        self._nearby = nearby
        self._offline = offline
        self._stored = stored
        self._arrivals: dict[str, Arrival] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._rate: float | None = None
        self.transfers = 0
        """Downloads begun since start, for the metrics."""

    @property
    def asks_nearby(self) -> bool:
        """Whether files can come from elsewhere than upstream."""
        return self._nearby is not None

    async def metadata_nearby(self, record: FileRecord) -> bytes | None:
        """Return a wheel's metadata file if neighbours have it."""
        return None if self._nearby is None else await self._nearby.metadata(record)

    def fetch(self, record: FileRecord) -> Arrival:
        """Return the arrival of a file, starting its transfer if none is running.

        The transfer goes on when its readers leave: the next one finds the file whole.
        """
        arrival = self._arrivals.get(record.key)
        if arrival is None:
            arrival = self._arrivals[record.key] = Arrival(record.key)
            self._leave(
                asyncio.create_task(self._run(record, arrival), name=f"fetch {record.filename}")
            )
        return arrival

    def _leave(self, task: asyncio.Task[None]) -> None:
        """Let a task go on by itself until it ends or `close` ends it."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def rest(self) -> None:
        """Wait until nothing is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Stop all transfers; their parts stay, to go on from."""
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, record: FileRecord, arrival: Arrival) -> None:
        try:
            arrival.finish(await self._transfer(record, arrival))
            if self._stored is not None:
                self._leave(asyncio.create_task(self._stored(record)))
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
        rival = self._rival(record)
        try:
            sha256, cid, near = await self._raced(record, arrival, rival)
            return await self._kept(record, sha256, cid, "peer" if near else "upstream")
        finally:
            if rival is not None:
                rival.settle(0, used=False)
                self._leave(asyncio.create_task(rival.close(), name=f"end {record.filename}"))

    def _rival(self, record: FileRecord) -> Rival | None:
        if self._nearby is None or record.sha256 is None:
            return None
        return Rival(
            self._nearby,
            record,
            self._archives.scratch,
            rate=self._rate,
            insistent=self._offline,
        )

    async def _raced(
        self, record: FileRecord, arrival: Arrival, rival: Rival | None
    ) -> tuple[str, str, bool]:
        """Bring the part to its end; return its SHA-256, its CID, and whether it is a gift."""
        if rival is not None and await (rival.ended() if self._offline else rival.head_start()):
            return await self._given(record, arrival, rival)
        if self._offline:
            raise UpstreamUnavailable(
                f"{record.filename} is not stored",
                hint="the node is offline: connect it, and ask again",
            )
        try:
            return await self._into(record, arrival, rival)
        except _Overtaken:
            assert rival is not None
            return await self._given(record, arrival, rival)
        except UpstreamInvalid:
            self._archives.part(record.key).unlink(missing_ok=True)
            if not arrival.written or arrival.started:
                raise
            # The part of an earlier run is longer than the file: begin again without it.
            arrival.written = 0
            return await self._into(record, arrival, None)

    async def _given(
        self, record: FileRecord, arrival: Arrival, rival: Rival
    ) -> tuple[str, str, bool]:
        """Take the whole file that neighbours gave in place of what there is of it."""
        rival.settle(0, used=True)
        arrival.written = 0
        await asyncio.to_thread(rival.place.replace, self._archives.part(record.key))
        sink = Sink(self._archives.part(record.key), arrival.advance)
        try:
            await sink.resume()
            return (*await sink.finish(), True)
        except BaseException:
            await sink.abandon()
            raise

    async def _into(
        self, record: FileRecord, arrival: Arrival, rival: Rival | None
    ) -> tuple[str, str, bool]:
        sink = Sink(self._archives.part(record.key), arrival.advance)
        near = False
        try:
            position = await sink.resume()
            if not position or position != record.size:
                near = await self._bring(record, arrival, sink, rival)
            return (*await sink.finish(), near)
        except BaseException:
            await sink.abandon()
            raise

    async def _bring(
        self, record: FileRecord, arrival: Arrival, sink: Sink, rival: Rival | None
    ) -> bool:
        """Feed the sink to its end; say whether that end came from neighbours."""
        begun = sink.fed
        downloading = self._download(record, arrival, sink, begun)
        if rival is None:
            await downloading
            return False
        if not await rival.outruns(asyncio.create_task(downloading)):
            return False
        if not arrival.started:
            raise _Overtaken
        rival.settle(sink.fed - begun, used=True)
        async for piece in pieces(rival.place, sink.fed):
            await sink.feed(piece)
        return True

    async def _kept(self, record: FileRecord, sha256: str, cid: str, origin: str) -> WholeFile:
        part = self._archives.part(record.key)
        if record.sha256 is not None and sha256 != record.sha256:
            part.unlink(missing_ok=True)
            raise UpstreamInvalid(
                f"{record.filename}: the bytes have SHA-256 {sha256}, the index says"
                f" {record.sha256}; nothing was stored",
            )
        whole = await asyncio.to_thread(self._archives.keep, part, sha256, record.filename)
        await self._record(record, whole, cid, origin)
        return whole

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
        clock = asyncio.get_running_loop().time
        while True:
            before, begun = position, clock()
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
                self._rate = learned(self._rate, position - before, clock() - begun)
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
