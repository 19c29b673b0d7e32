"""`dpip verify`: each project's store against its index page against upstream, now."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dpip.app import mirroring
from dpip.app.configured import ConfiguredUpstream
from dpip.app.pip_settings import index_url
from dpip.errors import DpipError
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import Catalog
from dpip.mirror.differences import Difference, differences
from dpip.mirror.reapply import stored_project
from dpip.mirror.selected import Selected
from dpip.mirror.store import ARCHIVES, Remake, opened
from dpip.mirror.verify import hash_of
from dpip.mirror.worklist import Worklist
from dpip.settings import MIRROR_NAME
from dpip.simple import provenance
from dpip.simple.repository import ProjectNotFound
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dpip.mirror.source import PageSource
    from dpip.settings import Settings
    from dpip.simple.model import File, Project

AT_ONCE = 6
LARGEST_PROVENANCE = 16 * 2**20


@dataclass(slots=True)
class Report:
    """What was compared, what differs, and what could not be asked.

    `attested` maps file names to what their provenance says, where that was asked for.
    """

    projects: int = 0
    files: int = 0
    differences: list[Difference] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    attested: dict[str, provenance.Attested] = field(default_factory=dict)


async def verify(
    settings: Settings,
    names: Sequence[str],
    *,
    with_provenance: bool = False,
    progress: Callable[[Report], object] = lambda _: None,
) -> Report:
    """Compare the named projects, or all that are stored. Hashes every stored file of them."""
    catalog = Catalog(settings.home / "catalog.sqlite3")
    upstream = ConfiguredUpstream(
        lambda: settings.index_url or index_url(settings.url),
        timeout=settings.upstream_timeout,
        max_page_size=settings.max_page_size,
    )
    try:
        with opened(settings.home) as contents:
            work = _Work(settings, catalog, upstream, Remake(contents), with_provenance)
            slots = asyncio.Semaphore(AT_ONCE)

            async def one(name: str) -> None:
                async with slots:
                    await work.project(name)
                progress(work.report)

            for batch in _batches(names or _stored(catalog)):
                await asyncio.gather(*map(one, batch))
            return work.report
    finally:
        await upstream.aclose()
        catalog.close()


class _Work:
    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        upstream: ConfiguredUpstream,
        remake: Remake,
        with_provenance: bool,
    ) -> None:
        self._catalog = catalog
        self._archives = Archives(settings.home / ARCHIVES)
        self._remake = remake
        self._files = upstream
        self._pages: PageSource = upstream
        self._offline = settings.offline
        self._whole = (settings.home / MIRROR_NAME).is_file()
        self._with_provenance = with_provenance
        if self._whole:
            scope = mirroring.LiveScope(settings.home, Worklist(catalog))
            self._pages = Selected(upstream, scope, catalog)
        self.report = Report()

    async def project(self, name: str) -> None:
        """Compare one project, and add what differs to the report."""
        record = self._catalog.record(name)
        ours = stored_project(self._catalog, name)
        asked = not self._offline and (record is None or record.source == DEFAULT_SOURCE)
        theirs = None
        if asked:
            try:
                theirs = (await self._pages.fetch(name)).project
            except ProjectNotFound:
                theirs = None
            except DpipError as error:
                asked = False
                self.report.problems.append(f"{name}: upstream was not asked: {error.message}")
        if ours is None and theirs is None:
            self.report.problems.append(f"{name}: neither stored here nor known upstream")
            return
        stored = await asyncio.to_thread(self._hashes, ours)
        self.report.projects += 1
        self.report.files += len(ours.files) if ours else 0
        found = differences(name, ours, theirs, stored, asked=asked, whole=self._whole)
        self.report.differences += found
        if self._with_provenance and theirs is not None:
            for file in theirs.files:
                await self._attested(file)

    def _hashes(self, project: Project | None) -> dict[str, str]:
        """Return the hashes of the bytes that are stored, by file name."""
        found: dict[str, str] = {}
        for file in project.files if project else ():
            if file.sha256 is None:
                continue
            whole = self._archives.find(file.sha256, file.filename)
            try:
                whole = whole or self._remake.whole(file.sha256)
            except DpipError as error:
                self.report.problems.append(f"{file.filename}: {error.message}")
            if whole is not None:
                found[file.filename] = hash_of(whole.path)[0]
        return found

    async def _attested(self, file: File) -> None:
        if file.provenance is None or file.sha256 is None:
            return
        try:
            body = await self._files.read(file.provenance, LARGEST_PROVENANCE)
        except DpipError as error:
            self.report.problems.append(f"{file.filename}: no provenance: {error.message}")
            return
        self.report.attested[file.filename] = provenance.check(body, file.filename, file.sha256)


def _stored(catalog: Catalog) -> Iterator[str]:
    last = ""
    while rows := catalog.page_names(after=last):
        yield from (name for name, _, _ in rows)
        last = rows[-1][0]


def _batches(names: Sequence[str] | Iterator[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for name in names:
        batch.append(name)
        if len(batch) == 10 * AT_ONCE:
            yield batch
            batch = []
    yield batch
