"""An index that somebody published on IPFS, as a source like any other.

The head is an IPNS record by the index's key: whoever brings it, a gateway, a neighbour, our
own disk, it counts if the signature is right and nothing newer is known. Everything below
the head is addressed by hash, so pages and files are right whoever sends them. A question is
always answered from the head at hand; looking for a newer one (`refresh`) is done beside,
and never in the way of a request.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol, TypeVar
from urllib.parse import quote, unquote

from dpip.ipfs import dag, files
from dpip.ipfs.errors import InvalidPath, IpfsError, NoLink, NotFound, Unavailable
from dpip.mirror.tree import JSON_PAGE, PAGE
from dpip.simple import json_codec, root
from dpip.simple.repository import (
    FileNotFound,
    ProjectNotFound,
    UpstreamInvalid,
    UpstreamUnavailable,
)
from dpip.simple.upstream import Fetched, FileStream, Range, Validators

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from dpip.errors import DpipError
    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.cid import CID
    from dpip.ipfs.ipns import Record
    from dpip.ipfs.records import RecordStore
    from dpip.simple.model import ProjectEntry

T = TypeVar("T")
AHEAD = 8
"""Blocks of a file that are fetched at the same time."""
SCHEME = "ipfs://"


class NoHead(UpstreamUnavailable):
    """No head of a followed index was ever seen."""

    slug = "no-index-head"
    default_hint = "`dpip index refresh` looks for one"


class HeadFinder(Protocol):
    """Where records of a name may be had: gateways, neighbours."""

    def records(self, name: str) -> list[bytes]:
        """Return records, unverified, in any order; waits for the network; never raises."""
        ...


def keep_newest(heads: RecordStore, name: CID, finder: HeadFinder) -> None:
    """Keep the best record of a name that a finder brings; bad ones are passed over."""
    for raw in finder.records(name.encode("k")):
        with contextlib.suppress(IpfsError):
            heads.put(name, raw, time.time_ns())


class SubscribedIndex:
    """One published index as a `Source`.

    `store` reads through to wherever blocks can be had; `heads` keeps the newest record.
    """

    def __init__(self, name: CID, store: Blockstore, heads: RecordStore) -> None:
        self.name = name
        self._store = store
        self._heads = heads
        self._threads = ThreadPoolExecutor(2 * AHEAD, thread_name_prefix="subscribed")

    async def aclose(self) -> None:
        """Give up what is under way."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def head(self) -> Record | None:
        """Return the newest head that is known, expired or not, or None."""
        try:
            return self._heads.get(self.name)
        except NotFound:
            return None

    def refresh(self, finder: HeadFinder) -> Record | None:
        """Look for a newer head and keep it; return the newest that is known then."""
        keep_newest(self._heads, self.name, finder)
        return self.head()

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        """Return a project's page from the head at hand."""
        return await self._do(lambda: self._page(name, known), missing=ProjectNotFound)

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the root page's names."""
        reader = root.HtmlListReader()
        url = f"{SCHEME}{self._root()}/{PAGE}"
        async with self.open_file(url) as listing:
            async for chunk in listing.chunks:
                for entry in reader.feed(chunk):
                    yield entry
        for entry in reader.finish():
            yield entry

    @contextlib.asynccontextmanager
    async def open_file(
        self, url: str, *, offset: int = 0, known: Validators | None = None
    ) -> AsyncIterator[FileStream]:
        """Open a file of the index from `offset` on."""
        cid = await self._do(lambda: self._resolve(url))
        size = await self._do(lambda: files.size(self._store, cid))
        validators = Validators(etag=f'"{cid}"')
        start = offset if known is None or known.etag in {None, validators.etag} else 0
        chunks = self._chunks(cid, start)
        try:
            yield FileStream(chunks, start, size, validators)
        finally:
            await chunks.aclose()

    async def read(self, url: str, limit: int) -> bytes:
        """Return a small file whole; UpstreamInvalid if it is larger than `limit`."""
        cid = await self._do(lambda: self._resolve(url))
        if await self._do(lambda: files.size(self._store, cid)) > limit:
            raise UpstreamInvalid(f"{url} is larger than {limit} bytes")
        return await self._do(lambda: b"".join(files.read(self._store, cid)))

    async def read_tail(self, url: str, length: int) -> Range:
        """Return a file's last bytes."""
        cid = await self._do(lambda: self._resolve(url))
        size = await self._do(lambda: files.size(self._store, cid))
        return await self._range(cid, max(0, size - length), size, size)

    async def read_range(self, url: str, offset: int, length: int) -> Range:
        """Return bytes of a file."""
        cid = await self._do(lambda: self._resolve(url))
        size = await self._do(lambda: files.size(self._store, cid))
        return await self._range(cid, offset, min(size, offset + length), size)

    async def _range(self, cid: CID, start: int, stop: int, size: int) -> Range:
        data = await self._do(lambda: b"".join(files.read(self._store, cid, start, stop)))
        return Range(data, start, size)

    def _root(self) -> CID:
        head = self.head()
        if head is None:
            raise NoHead(f"no head of the index {self.name.encode('k')} is known yet")
        return dag.split(head.value)[0]

    def _page(self, name: str, known: Validators | None) -> Fetched:
        project_root = f"{self._root()}/{name}"
        cid = self._resolve(f"{SCHEME}{project_root}/{JSON_PAGE}")
        validators = Validators(etag=f'"{cid}"')
        if known is not None and known.etag == validators.etag:
            return Fetched(None, validators)
        raw = b"".join(files.read(self._store, cid))
        # Links are made absolute by the project's own directory, so that they stay right
        # when a newer head is adopted between the page and the file.
        folder = self._resolve(f"{SCHEME}{project_root}")
        page = json_codec.decode_project(raw)
        absolute = tuple(
            replace(file, url=f"{SCHEME}{folder}/{quote(file.filename)}") for file in page.files
        )
        return Fetched(replace(page, files=absolute), validators)

    def _resolve(self, url: str) -> CID:
        cid, segments = dag.split(unquote(url.removeprefix(SCHEME)))
        return dag.resolve(self._store, cid, segments).cid

    async def _chunks(self, cid: CID, start: int) -> AsyncGenerator[bytes, None]:
        """Yield a file's bytes, fetching a few blocks ahead."""
        extents = files.extents(self._store, cid, start)
        window: list[asyncio.Future[bytes]] = []
        loop = asyncio.get_running_loop()
        try:
            while True:
                while len(window) < AHEAD:
                    extent = await self._do(lambda: next(extents, None))
                    if extent is None:
                        break
                    window.append(
                        loop.run_in_executor(self._threads, files.content, self._store, extent)
                    )
                if not window:
                    return
                first = window.pop(0)
                with _mapped():
                    data = await first
                yield data
        finally:
            for future in window:
                future.cancel()

    async def _do(self, work: Callable[[], T], *, missing: type[DpipError] = FileNotFound) -> T:
        with _mapped(missing):
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)


@contextlib.contextmanager
def _mapped(missing: type[DpipError] = FileNotFound) -> Iterator[None]:
    """Map errors of content to those of an index."""
    try:
        yield
    except (InvalidPath, NoLink) as error:
        raise missing(str(error)) from None
    except (NotFound, Unavailable) as error:
        raise UpstreamUnavailable(f"content cannot be had now: {error}") from None
    except IpfsError as error:
        raise UpstreamInvalid(f"the published index is malformed: {error}") from None
