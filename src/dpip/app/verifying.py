"""`dpip verify`: each project's store against its index page against upstream, now."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dpip.app import mirroring
from dpip.app.configured import ConfiguredUpstream
from dpip.app.pip_settings import index_url
from dpip.app.verify_journal import Batch, Journal
from dpip.errors import DpipError, UsageError
from dpip.ipfs.errors import IpfsError
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import Catalog
from dpip.mirror.differences import differences
from dpip.mirror.judging import Judging, sidecars
from dpip.mirror.listing import to_records
from dpip.mirror.private import Private
from dpip.mirror.provenance import Provenances
from dpip.mirror.reapply import stored_project
from dpip.mirror.selected import Selected
from dpip.mirror.store import ARCHIVES, opened
from dpip.mirror.totals import totals
from dpip.mirror.unlisted import unlisted
from dpip.mirror.verify import hash_of, hash_of_rebuilt
from dpip.mirror.worklist import Worklist
from dpip.settings import MIRROR_NAME
from dpip.simple import provenance
from dpip.simple.attested import roots
from dpip.simple.attested.model import Malformed
from dpip.simple.model import Project
from dpip.simple.repository import ProjectNotFound
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from dpip.ipfs.disk.archives import Archives as Contents
    from dpip.mirror.source import PageSource
    from dpip.settings import Settings
    from dpip.simple.attested.roots import Roots
    from dpip.simple.model import File

AT_ONCE = 6
BATCH = 24
"""Projects between two notes of how far a run came."""
_NOTHING = Project("")


@dataclass(slots=True)
class Report(Batch):
    """What was compared, what differs, and what could not be asked, of `total` projects.

    `resumed` says how many of them an earlier run had compared that was stopped.
    """

    total: int = 0
    resumed: int = 0


async def verify(
    settings: Settings,
    names: Sequence[str],
    *,
    with_provenance: bool = False,
    restart: bool = False,
    progress: Callable[[Report], object] = lambda _: None,
) -> Report:
    """Compare the named projects, or all that are stored. Hashes every stored file of them.

    A run over all of them goes on where an earlier one was stopped, unless `restart`.
    """
    catalog = Catalog(settings.home / "catalog.sqlite3")
    upstream = ConfiguredUpstream(
        lambda: settings.index_url or index_url(settings.url),
        timeout=settings.upstream_timeout,
        max_page_size=settings.max_page_size,
    )
    try:
        with opened(settings.home) as contents:
            work = _Work(settings, catalog, upstream, contents, with_provenance)
            if names:
                report = Report(total=len(names))
                await work.all(names, report, None, progress)
                return report
            question = f"{settings.index_url} {settings.offline} {with_provenance}"
            journal = Journal(settings.home, question)
            if restart:
                journal.end()
            report = _begun(journal, catalog)
            await work.all(_stored(catalog, report.last), report, journal, progress)
            report.differences += unlisted(catalog, _private(settings.home))
            journal.end()
            return report
    finally:
        await upstream.aclose()
        catalog.close()


def trusted_root(path: str) -> Roots | None:
    """Return whom to believe about attestations, None where the user names nobody.

    Raises UsageError for a file that cannot be read, or is none.
    """
    if not path:
        return None
    try:
        return roots.read(Path(path).expanduser().read_bytes())
    except (OSError, Malformed) as error:
        raise UsageError(f"trusted_root: {path}: {error}") from None


def _private(home: Path) -> set[str]:
    with closing(Private(home / "private.sqlite3")) as packages:
        return packages.hashes()


def _begun(journal: Journal, catalog: Catalog) -> Report:
    report = Report(total=totals(catalog)["pages"])
    before = journal.resume()
    if before is not None:
        report.add(before)
        report.resumed = before.projects
    return report


class _Work:
    def __init__(
        self,
        settings: Settings,
        catalog: Catalog,
        upstream: ConfiguredUpstream,
        contents: Contents,
        with_provenance: bool,
    ) -> None:
        self._catalog = catalog
        self._archives = Archives(settings.home / ARCHIVES)
        self._contents = contents
        self._provenances = Provenances(catalog, upstream, offline=settings.offline)
        self._pages: PageSource = upstream
        self._offline = settings.offline
        self._whole = (settings.home / MIRROR_NAME).is_file()
        self._with_provenance = with_provenance
        self._roots = trusted_root(settings.trusted_root) if with_provenance else None
        if self._whole:
            scope = mirroring.LiveScope(settings.home, Worklist(catalog))
            self._pages = Selected(upstream, scope, catalog, Judging(catalog, sidecars(upstream)))

    async def all(
        self,
        names: Iterable[str],
        report: Report,
        journal: Journal | None,
        progress: Callable[[Report], object],
    ) -> None:
        """Compare projects, some at a time, and add what is found to the report."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> Batch:
            async with slots:
                return await self._project(name)

        for batch in _batches(names):
            done = Batch(last=batch[-1])
            for found in await asyncio.gather(*map(one, batch)):
                found.last = done.last
                done.add(found)
            report.add(done)
            if journal is not None:
                await asyncio.to_thread(journal.note, done)
            progress(report)

    async def _project(self, name: str) -> Batch:
        """Compare one project."""
        done, ours = Batch(), stored_project(self._catalog, name)
        asked, theirs = await self._upstreams(name, done)
        if ours is None and theirs is None:
            done.problems.append(f"{name}: neither stored here nor known upstream")
            return done
        stored = await asyncio.to_thread(self._hashes, ours, done)
        done.projects += 1
        done.files += len(ours.files) if ours else 0
        found = differences(name, ours, theirs, stored, asked=asked, whole=self._whole)
        done.differences += found
        if self._with_provenance:
            for file in (theirs or ours or _NOTHING).files:
                await self._attested(name, file, done)
        return done

    async def _upstreams(self, name: str, done: Batch) -> tuple[bool, Project | None]:
        """Return whether upstream was asked, and its page of a project."""
        record = self._catalog.record(name)
        if self._offline or (record is not None and record.source != DEFAULT_SOURCE):
            return False, None
        try:
            return True, (await self._pages.fetch(name)).project
        except ProjectNotFound:
            return True, None
        except DpipError as error:
            done.problems.append(f"{name}: upstream was not asked: {error.message}")
            return False, None

    def _hashes(self, project: Project | None, done: Batch) -> dict[str, str]:
        """Return the hashes of the bytes that are stored, by file name."""
        found: dict[str, str] = {}
        for file in project.files if project else ():
            if file.sha256 is None:
                continue
            whole = self._archives.find(file.sha256, file.filename)
            apart = None if whole is not None else self._contents.find(file.sha256)
            if whole is not None:
                found[file.filename], size = hash_of(whole.path)
                done.size += size
            elif apart is not None and apart.recipe is not None:
                try:
                    found[file.filename] = hash_of_rebuilt(self._contents, apart.recipe)
                    done.size += apart.size
                except IpfsError as error:
                    done.problems.append(f"{file.filename}: cannot be made again: {error}")
        return found

    async def _attested(self, name: str, file: File, done: Batch) -> None:
        """Check a file's attestations as upstream has them, else as they were kept here."""
        if file.provenance is None or file.sha256 is None:
            return
        [record] = to_records(Project(name, (file,)))
        try:
            body = await self._provenances.read(record)
        except DpipError as error:
            kept = self._provenances.kept(record.key, record.filename)
            if kept is None:
                done.problems.append(f"{file.filename}: no provenance: {error.message}")
                return
            body = kept
        done.attested[file.filename] = provenance.check(
            body, file.filename, file.sha256, self._roots
        )


def _stored(catalog: Catalog, last: str) -> Iterator[str]:
    while rows := catalog.page_names(after=last):
        yield from (name for name, _, _ in rows)
        last = rows[-1][0]


def _batches(names: Iterable[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    for name in names:
        batch.append(name)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
