"""Project pages for the server: memory, then catalog, then upstream.

A page is rendered when upstream's answer changed, and never for a request. All requests for
one name share one question to upstream. A question that takes longer than `patience` goes on
behind a stored page, which is then served as stale.
"""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from typing import TYPE_CHECKING

from dpip.errors import DpipError
from dpip.mirror.catalog import PageRecord
from dpip.mirror.memory import PageMemory
from dpip.mirror.recording import record_page
from dpip.mirror.refresh import Due, Known, Policy, due, is_older
from dpip.mirror.source import Narrowing
from dpip.mirror.tombstones import QUARANTINED
from dpip.simple.model import ProjectEntry
from dpip.simple.repository import ProjectNotFound, StoredPage, UpstreamUnavailable
from dpip.simple.routing import DEFAULT_SOURCE
from dpip.simple.upstream import Validators

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from dpip.mirror.catalog import Catalog, FileRecord
    from dpip.mirror.source import PageSource
    from dpip.simple.model import Project
    from dpip.simple.upstream import Fetched

log = logging.getLogger(__name__)


class Pages:
    """The pages of one source; `simple.wrappers.RoutedPages` joins several.

    `source` is its name in the routing table. A stored page that came from another source
    does not count as stored.

    `now` returns seconds since the epoch; `render` turns upstream's page into its stored
    form; `patience` is seconds that a request with a stored page waits.
    """

    def __init__(
        self,
        *,
        upstream: PageSource,
        source: str = DEFAULT_SOURCE,
        catalog: Catalog,
        render: Callable[[Project], StoredPage],
        policy: Policy,
        now: Callable[[], float],
        patience: float = 5.0,
        listed: Callable[[list[FileRecord]], None] = lambda _: None,
    ) -> None:
        self._upstream = upstream
        self._source = source
        self._catalog = catalog
        self._render = render
        self.policy = policy
        self._now = now
        self._patience = patience
        self._listed = listed
        self._memory = PageMemory()
        self._asking: dict[str, asyncio.Task[StoredPage]] = {}
        self._failures: dict[str, Known] = {}
        self._doubted: set[str] = set()
        self.questions = 0
        """Questions to upstream since start, for the metrics."""

    def cached(self, name: str) -> StoredPage | None:
        """Return a page that is fresh and in memory, else None."""
        return self._memory.fresh(name, self._now())

    async def page(self, name: str) -> StoredPage:
        """Return a page, asking upstream if it is due."""
        if (page := self.cached(name)) is not None:
            return page
        known = self._known(name)
        match due(known, self._now(), self.policy):
            case Due.FRESH:
                return self._remember(name, known)
            case Due.ABSENT:
                raise ProjectNotFound(f"there is no project {name!r}")
            case Due.STALE:
                return self._stale(name)
            case Due.REFUSE if self.policy.offline:
                raise ProjectNotFound(
                    f"no page of {name!r} is stored",
                    hint="the node is offline: only what it has seen before installs",
                )
            case Due.REFUSE:
                raise UpstreamUnavailable(f"no page of {name!r} is stored, and upstream is down")
            case Due.ASK:
                return await self._ask(name, known)

    async def validator(self, name: str) -> str | None:
        """Return a fresh page's validator without reading the page; None: `page` must be asked."""
        if (page := self.cached(name)) is not None:
            return page.etag
        if due(self._known(name), self._now(), self.policy) is not Due.FRESH:
            return None
        return self._catalog.validator(name)

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the source's root list; the stored names where it cannot be asked."""
        started = False
        if not self.policy.offline:
            try:
                async for entry in self._upstream.projects():
                    started = True
                    yield entry
            except DpipError as error:
                if started:
                    raise
                log.warning("root list from the catalog: %s", error.message)
            else:
                return
        for entry in self._stored():
            yield entry

    def _stored(self) -> Iterator[ProjectEntry]:
        last = ""
        while names := self._catalog.page_names(after=last):
            for name, serial, source in names:
                if source == self._source:
                    yield ProjectEntry(name, serial)
            last = names[-1][0]

    async def refresh(self, name: str) -> StoredPage:
        """Ask the source now, however fresh the stored page is."""
        task = self._asking.get(name)
        if task is not None:
            # Its answer may be older than what the caller has just changed.
            await asyncio.wait([task])
        return await self._ask(name, self._known(name))

    async def take(
        self, name: str, told: Fetched, at: float, said: Callable[[str], None]
    ) -> StoredPage:
        """Store a page that was told by somebody who is believed as the source is.

        `at` is when the teller heard it. `said` is called with the page's validator before the
        catalog has it. Raises UpstreamUnavailable for what is not news here: an older page, or
        one that this mirror does not keep.
        """
        if isinstance(self._upstream, Narrowing):
            try:
                told = await self._upstream.narrowed(name, told)
            except ProjectNotFound as error:
                raise UpstreamUnavailable(error.message) from None
        assert told.project is not None, "what is told is a page"
        _refuse_older(name, self._record_of(name), told.project)
        page = await self._render_new(name, told, at, said)
        self._doubted.discard(name)
        self._memory.put(page, fresh_until=at + self.policy.max_age)
        return page

    async def gone(self, name: str, at: float) -> None:
        """Drop a page of which somebody who is believed says that its source has none.

        `at` is the time of the newest page that is known to be gone: what is told of a later
        one is news.
        """
        self._memory.drop(name)
        absent = PageRecord(name, at, absent=True, source=self._source)
        await asyncio.wrap_future(self._catalog.put_record(absent))

    def doubt(self, name: str) -> None:
        """Let the next request ask the source, however fresh the page is."""
        # The record keeps its time, which is when the source said this, whatever others say.
        if self._record_of(name) is not None:
            self._doubted.add(name)
        self._memory.drop(name)

    def forget_all(self) -> None:
        """Drop every page from memory: the rules of its source have changed."""
        self._memory.clear()

    def forget(self, name: str) -> None:
        """Drop a page from memory, so that the next request reads the catalog."""
        self._memory.drop(name)

    async def close(self) -> None:
        """Stop the questions that are open."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _record_of(self, name: str) -> PageRecord | None:
        record = self._catalog.record(name)
        if record is None or record.source != self._source:
            return None
        return record

    def _known(self, name: str) -> Known:
        record = self._record_of(name)
        trouble = self._failures.get(name, Known())
        return Known(
            confirmed_at=self._confirmed_at(name, record),
            stored=record is not None and not record.absent,
            absent=record is not None and record.absent,
            failed_at=trouble.failed_at,
            failures=trouble.failures,
        )

    def _confirmed_at(self, name: str, record: PageRecord | None) -> float | None:
        if record is None:
            return None
        doubted = name in self._doubted or not (record.absent or self._is_current(record.etag))
        return 0.0 if doubted else record.confirmed_at

    def _is_current(self, etag: str | None) -> bool:
        """Say whether a stored page is what its source would show of it now."""
        return not isinstance(self._upstream, Narrowing) or self._upstream.is_current(etag)

    def _remember(self, name: str, known: Known) -> StoredPage:
        page = self._catalog.page(name)
        if page is None:
            raise ProjectNotFound(f"there is no project {name!r}")
        confirmed_at = known.confirmed_at or 0.0
        self._memory.put(page, fresh_until=confirmed_at + self.policy.max_age)
        return page

    def _stale(self, name: str) -> StoredPage:
        page = self._memory.any(name) or self._catalog.page(name)
        if page is None:
            raise UpstreamUnavailable(f"no page of {name!r} is stored, and upstream is down")
        self._memory.put(page, fresh_until=0.0)
        return dataclasses.replace(page, stale=True)

    async def _ask(self, name: str, known: Known) -> StoredPage:
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._question(name), name=name)
            task.add_done_callback(lambda done: self._answered(name, done))
        if not known.stored:
            return await asyncio.shield(task)
        try:
            return await asyncio.wait_for(asyncio.shield(task), self._patience)
        except TimeoutError:
            return self._stale(name)
        except ProjectNotFound:
            raise
        except DpipError as error:
            log.warning("stale page of %s: %s", name, error.message)
            return self._stale(name)

    def _answered(self, name: str, task: asyncio.Task[StoredPage]) -> None:
        del self._asking[name]
        if task.cancelled():
            return
        error = task.exception()
        if error is None or isinstance(error, ProjectNotFound):
            self._failures.pop(name, None)
        elif isinstance(error, DpipError):
            before = self._failures.get(name, Known())
            self._failures[name] = Known(failed_at=self._now(), failures=before.failures + 1)

    async def _question(self, name: str) -> StoredPage:
        """Ask the source once, and record what it says."""
        doubted = name in self._doubted
        self._doubted.discard(name)
        try:
            return await self._answer(name)
        except ProjectNotFound:
            raise
        except BaseException:
            if doubted:
                self._doubted.add(name)
            raise

    async def _answer(self, name: str) -> StoredPage:
        record = self._record_of(name)
        known = None
        if record is not None and not record.absent and (record.etag or record.last_modified):
            known = Validators(record.etag, record.last_modified)
        self.questions += 1
        try:
            fetched = await self._upstream.fetch(name, known)
        except ProjectNotFound:
            self._memory.drop(name)
            absent = PageRecord(name, self._now(), absent=True, source=self._source)
            await asyncio.wrap_future(self._catalog.put_record(absent))
            raise
        return await self._record(name, record, fetched)

    async def _record(self, name: str, before: PageRecord | None, fetched: Fetched) -> StoredPage:
        now = self._now()
        page = None
        _refuse_older(name, before, fetched.project)
        if fetched.project is None and before is not None:
            record = dataclasses.replace(before, confirmed_at=now)
            await asyncio.wrap_future(self._catalog.put_record(record))
            page = self._memory.any(name) or self._catalog.page(name)
        if page is None:
            if fetched.project is None:
                raise UpstreamUnavailable(f"upstream says that {name!r}, never seen, is unchanged")
            page = await self._render_new(name, fetched, now)
        self._memory.put(page, fresh_until=now + self.policy.max_age)
        return page

    async def _render_new(
        self,
        name: str,
        fetched: Fetched,
        now: float,
        said: Callable[[str], None] = lambda _: None,
    ) -> StoredPage:
        return await record_page(
            self._catalog,
            self._render,
            name,
            fetched,
            source=self._source,
            now=now,
            rendered=said,
            listed=self._listed,
        )


def _refuse_older(name: str, before: PageRecord | None, project: Project | None) -> None:
    if before is None or project is None:
        return
    blank = not project.files and project.status != QUARANTINED
    if is_older(before.serial, project.last_serial, empty=blank):
        raise UpstreamUnavailable(f"upstream's page of {name!r} is older than the stored one")
