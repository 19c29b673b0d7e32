"""Tells the network what changes in the catalog.

It follows the catalog's numbered changes, so it costs what changes, and after a kill it goes
on where it stopped. A page that was made from a peer's claims is that peer's news, not ours.

A page has up to thousands of files, and each is an object of its own to the network. A node
that nobody listens to leaves them be (`wanted`), and makes up for it once somebody comes: what
changes from then on goes first, and what came before is told in pieces between, in at most
half of the time.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.parse import urljoin

from dpip.federation import known
from dpip.federation.adoption import is_newer
from dpip.federation.news import farewell, news_of
from dpip.federation.rids import PypiProject
from dpip.ipfs.importer import FileHasher
from dpip.mirror.sources import PRIVATE
from dpip.simple.json_codec import decode_project
from dpip.simple.routing import DEFAULT_SOURCE
from dpip.simple.transport import without_credentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.federation.ledger import Ledger
    from dpip.koi import Cache, KnowledgeObject
    from dpip.koi.processor.interface import ProcessorInterface
    from dpip.mirror.catalog import Catalog, PageRecord
    from dpip.simple.model import Project
    from dpip.simple.repository import StoredPage

LOOK_EVERY = 0.1
"""Seconds between looks at the catalog's changes; a look is one indexed query."""
AT_ONCE = 200
BEHIND_AT_ONCE = 10
"""Projects that are told at once of what nobody was there to hear."""


class Announcer:
    """Follows one catalog. `url` is where this node's own packages are had from.

    Its private projects are announced as such, and told to allowed nodes alone (`listener.py`);
    those of routed sources are not announced.
    """

    def __init__(
        self,
        catalog: Catalog,
        ledger: Ledger,
        processor: ProcessorInterface,
        cache: Cache,
        url: str = "",
    ) -> None:
        self._url = url
        self._catalog = catalog
        self._ledger = ledger
        self._processor = processor
        self._cache = cache
        self._start: int | None = None
        """The catalog's newest change when this run began to tell."""
        self._ahead = 0
        """All changes from there up to this one are told."""

    async def run(self, wanted: Callable[[], bool]) -> None:
        """Announce changes until cancelled, from when somebody wants them on.

        Who has told before goes on, whoever is there now.
        """
        epoch = self._catalog.epoch
        telling = await asyncio.to_thread(self._ledger.cursor, epoch) > 0
        while True:
            began = time.monotonic()
            telling = telling or wanted()
            if not telling or not await asyncio.to_thread(self.step):
                await asyncio.sleep(LOOK_EVERY)
            else:
                await asyncio.sleep(time.monotonic() - began if self.is_behind else 0)

    @property
    def is_behind(self) -> bool:
        """Whether there are changes left from before anybody was there to hear of them."""
        start = self._start
        return start is not None and self._ledger.cursor(self._catalog.epoch) < start

    def step(self) -> int:
        """Announce the next changes; return how many projects had some."""
        if self._start is None:
            self._start = self._ahead = self._catalog.last_change()
        epoch = self._catalog.epoch
        cursor = before = self._ledger.cursor(epoch)
        new = self._tell(max(self._ahead, cursor), AT_ONCE)
        self._ahead = new[-1] if new else self._ahead
        old: list[int] = []
        if cursor < self._start:
            old = self._tell(cursor, BEHIND_AT_ONCE)
            cursor = old[-1] if old else self._start
        if cursor >= self._start:
            cursor = max(cursor, self._ahead)
        if cursor != before:
            self._ledger.announced(epoch, cursor)
        return len(new) + len(old)

    def _tell(self, since: int, most: int) -> list[int]:
        """Announce changes after a number; return the numbers of those that were told."""
        changes = self._catalog.changed_since(since, most)
        for _, name in changes:
            self._processor.accept(self.news(name))
        return [number for number, _ in changes]

    def news(self, name: str) -> list[KnowledgeObject]:
        """Return the news of a project as its catalog row stands now."""
        record = self._catalog.record(name)
        if record is None or record.source not in {DEFAULT_SOURCE, PRIVATE}:
            return []
        page = None if record.absent else self._catalog.page(name)
        if page is None:
            said = known.file_rids(self._cache, name)
            return farewell(name, said) if said or self._cache.exists(PypiProject(name)) else []
        mine = record.source == PRIVATE
        if not mine and (self._ledger.applied(name) == page.etag or self._is_behind(record)):
            return []
        return self._page_news(record, page)

    def _is_behind(self, record: PageRecord) -> bool:
        """Say whether the network has newer news than this page: a cache gave us the past."""
        held = known.project(self._cache, record.name)
        return held is not None and is_newer(*held, record)

    def _page_news(self, record: PageRecord, page: StoredPage) -> list[KnowledgeObject]:
        project = decode_project(page.json)
        private = record.source == PRIVATE
        project = (
            with_address(project, self._url) if private else with_origins(project, self._catalog)
        )
        cids = {}
        for file in project.files:
            archive = self._catalog.archive(file.sha256 or "")
            if archive is not None and archive.cid is not None:
                cids[archive.sha256] = archive.cid
        return news_of(
            project,
            page=page_cid(page.json),
            cids=cids,
            said=known.file_rids(self._cache, record.name),
            at=datetime.fromtimestamp(record.confirmed_at, UTC),
            private=private,
        )


def with_origins(project: Project, catalog: Catalog) -> Project:
    """Return a served page with the addresses that its source gave, without credentials."""
    origins = {file.filename: file.url for file in catalog.files(project.name)}
    files = (
        replace(file, url=without_credentials(origins[file.filename]))
        for file in project.files
        if file.filename in origins
    )
    return replace(project, files=tuple(files))


def with_address(project: Project, url: str) -> Project:
    """Return a served page of this node's own packages, with its own addresses made whole."""
    page = f"{url}/simple/{project.name}/"
    files = (
        replace(
            file,
            url=urljoin(page, file.url),
            provenance=None if file.provenance is None else urljoin(page, file.provenance),
        )
        for file in project.files
    )
    return replace(project, files=tuple(files))


def page_cid(body: bytes) -> str:
    """Return the CID of a project page's JSON as a UnixFS file."""
    hasher = FileHasher()
    hasher.update(body)
    return str(hasher.finish().cid)
