"""Tells the network what changes in the catalog.

It follows the catalog's numbered changes, so it costs what changes, and after a kill it goes
on where it stopped. A page that was made from a peer's claims is that peer's news, not ours.
"""

from __future__ import annotations

import asyncio
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
    from dpip.federation.ledger import Ledger
    from dpip.koi import Cache, KnowledgeObject
    from dpip.koi.processor.interface import ProcessorInterface
    from dpip.mirror.catalog import Catalog, PageRecord
    from dpip.simple.model import Project
    from dpip.simple.repository import StoredPage

LOOK_EVERY = 0.1
"""Seconds between looks at the catalog's changes; a look is one indexed query."""
AT_ONCE = 200


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

    async def run(self) -> None:
        """Announce changes until cancelled."""
        while True:
            if not await asyncio.to_thread(self.step):
                await asyncio.sleep(LOOK_EVERY)

    def step(self) -> int:
        """Announce the next changes; return how many projects had some."""
        epoch = self._catalog.epoch
        changes = self._catalog.changed_since(self._ledger.cursor(epoch), AT_ONCE)
        for _, name in changes:
            self._processor.accept(self.news(name))
        if changes:
            self._ledger.announced(epoch, changes[-1][0])
        return len(changes)

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
