"""Brings believed news into the catalog, and lets pages be asked for again that are in doubt.

Handlers of the KOI node run on its own thread: they only note a name. The work is done here,
in the server's loop, from what the node's store holds: so it can be done twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from dpip.errors import DpipError
from dpip.federation import known
from dpip.federation.adoption import is_newer
from dpip.federation.announcer import page_cid
from dpip.federation.claims import page_of
from dpip.simple.repository import UpstreamUnavailable
from dpip.simple.routing import DEFAULT_SOURCE
from dpip.simple.upstream import Fetched, Validators

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.federation.ledger import Ledger
    from dpip.koi import Cache
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.repository import Pages

log = logging.getLogger(__name__)
DOUBT_PAUSE = 2.0
"""Seconds for which a page that was asked for again is not doubted once more."""
MOST_DOUBTS = 10_000


class Adopter:
    """Follows the ledger for the pages of the default source. `mine`: a name is private."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        ledger: Ledger,
        cache: Cache,
        pages: Pages,
        mine: Callable[[str], bool],
    ) -> None:
        self._catalog = catalog
        self._ledger = ledger
        self._cache = cache
        self._pages = pages
        self._mine = mine
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.Event()
        self._doubts: dict[str, str | None] = {}
        self._asked: dict[str, float] = {}

    def believed(self, name: str) -> None:
        """Note, durably, that there is news of a project. From any thread."""
        self._ledger.note(name)
        self._loop.call_soon_threadsafe(self._work.set)

    def doubted(self, name: str, page: str | None) -> None:
        """Note that a peer speaks of another page than ours, or of none. From any thread."""
        self._loop.call_soon_threadsafe(self._doubt, name, page)

    def _doubt(self, name: str, page: str | None) -> None:
        if len(self._doubts) < MOST_DOUBTS:
            self._doubts[name] = page
            self._work.set()

    async def run(self) -> None:
        """Adopt news until cancelled."""
        self._work.set()
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait(), DOUBT_PAUSE if self._doubts else None)
            try:
                await self.step()
            except DpipError as error:
                log.warning("taking over news: %s", error.message)
                await asyncio.sleep(DOUBT_PAUSE)
                self._work.set()

    async def step(self) -> None:
        """Adopt what is noted, and ask again for what is in doubt."""
        self._work.clear()
        await self._adopt_all()
        await self._ask_all()

    async def _adopt_all(self) -> None:
        while pending := self._ledger.pending():
            for name, stamp in pending:
                try:
                    await self._adopt(name)
                except UpstreamUnavailable as error:
                    log.warning("news of %s is not taken: %s", name, error.message)
                self._ledger.done(name, stamp)

    async def _adopt(self, name: str) -> None:
        record = self._catalog.record(name)
        if self._mine(name) or (record is not None and record.source != DEFAULT_SOURCE):
            return
        found = known.project(self._cache, name)
        if found is None:
            until = known.forgotten_at(self._cache, name)
            if until is not None and record is not None and not record.absent:
                await self._pages.gone(name, until)
            return
        claim, at = found
        if not is_newer(claim, at, record):
            return
        project = page_of(claim, known.files(self._cache, name))
        if project is None:
            return
        await self._pages.take(
            name,
            Fetched(project, Validators()),
            at=at.timestamp(),
            said=lambda etag: self._ledger.note_applied(name, etag),
        )
        log.info("%s is as a peer says: %d files", name, len(project.files))

    async def _ask_all(self) -> None:
        now = self._loop.time()
        self._asked = {n: t for n, t in self._asked.items() if t > now - DOUBT_PAUSE}
        for name, claimed in list(self._doubts.items()):
            if name in self._asked:
                continue
            del self._doubts[name]
            if await asyncio.to_thread(self._differs, name, claimed):
                self._asked[name] = now
                self._pages.doubt(name)

    def _differs(self, name: str, claimed: str | None) -> bool:
        """Say whether a page is stored that is not the claimed one."""
        record = self._catalog.record(name)
        if self._mine(name) or record is None or record.source != DEFAULT_SOURCE:
            return False
        if record.absent:
            return claimed is not None
        page = self._catalog.page(name)
        return page is not None and page_cid(page.json) != claimed
