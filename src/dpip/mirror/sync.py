"""One round of following an upstream: plan what is due, then bring it in, project by project.

A project is done when its page is recorded and every file that the page lists is stored; only
then does its row in the worklist say so. Killed at any instant, the next round goes on with
what is still due, and with the parts of files that had arrived. An error of upstream is one
project's failure and pause; only an error of this machine (no room, no rights) ends a round.
"""

from __future__ import annotations

import asyncio
import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.errors import DpipError
from dpip.mirror import reapply
from dpip.mirror.catalog import PageRecord
from dpip.mirror.coverage import coverage
from dpip.mirror.follow import Answer, Pauses, believes_absence, judge
from dpip.mirror.planning import Plan
from dpip.mirror.recording import record_page
from dpip.mirror.selected import Selected
from dpip.mirror.tombstones import QUARANTINED
from dpip.simple.render import render
from dpip.simple.repository import ProjectNotFound, UpstreamInvalid
from dpip.simple.routing import DEFAULT_SOURCE
from dpip.simple.upstream import Fetched, Validators

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.mirror.archives import Archives
    from dpip.mirror.catalog import Catalog, FileRecord
    from dpip.mirror.coverage import Coverage
    from dpip.mirror.follow import Followed
    from dpip.mirror.ingest import Ingest
    from dpip.mirror.judging import Judging
    from dpip.mirror.planning import FindChangelog
    from dpip.mirror.scope import Scope
    from dpip.mirror.source import PageSource
    from dpip.mirror.worklist import Worklist


@dataclass(frozen=True, slots=True)
class Limits:
    """How hard a sync works. Times are seconds.

    `workers` projects and as many files are under way at once. `patience` is how long a round
    waits for a project's next try before it leaves it to the next round; `recheck` is how
    long a project is left alone where upstream's list tells no serial.
    """

    workers: int = 6
    patience: float = 8.0
    recheck: float = 0.0
    pauses: Pauses = dataclasses.field(default_factory=Pauses)


@dataclass(slots=True)
class Round:
    """What a round has done so far; `bytes` of files that came in.

    `from_peers` of the files came from neighbours, and `bytes_saved` of theirs did not have to
    come over any line. `read` says by what it found changes: upstream's changelog, root list, or
    pages alone.
    """

    read: str = ""
    planned: int = 0
    done: int = 0
    failed: int = 0
    files: int = 0
    bytes: int = 0
    from_peers: int = 0
    bytes_saved: int = 0
    problems: list[str] = dataclasses.field(default_factory=list)
    """What went wrong besides projects, such as a closure without an answer."""


class Sync:
    """Follows one upstream. `now` returns seconds since the epoch.

    `rules` is the fingerprint of the scope; `own` says whether a name may come from this
    upstream at all (a private name may not). `judging` reads what rules about metadata ask for;
    `changelog` finds upstream's changelog, if it may have one. `progress` is told of every step.
    """

    def __init__(
        self,
        *,
        upstream: PageSource,
        scope: Scope,
        rules: str,
        own: Callable[[str], bool],
        catalog: Catalog,
        worklist: Worklist,
        archives: Archives,
        ingest: Ingest,
        judging: Judging,
        now: Callable[[], float],
        changelog: FindChangelog | None = None,
        limits: Limits | None = None,
        progress: Callable[[Round], object] = lambda _: None,
    ) -> None:
        self._upstream = Selected(upstream, lambda: scope, catalog, judging)
        self._catalog = catalog
        self._worklist = worklist
        self._archives = archives
        self._ingest = ingest
        self._now = now
        self._limits = limits or Limits()
        self._progress = progress
        self._files = asyncio.Semaphore(self._limits.workers)
        self._arrived: set[str] = set()
        """Projects of which files came in that their pages may not tell all of."""
        self._plan = Plan(
            upstream=upstream,
            changelog=changelog,
            scope=scope,
            rules=rules,
            own=own,
            catalog=catalog,
            worklist=worklist,
            now=now,
            recheck=self._limits.recheck,
        )
        self.round = Round()

    async def run(self) -> Round:
        """Plan, and work until nothing is due. Raises what ends the round as a whole."""
        await self.plan()
        await self.work()
        await self._ingest.rest()
        return self.round

    def coverage(self) -> Coverage:
        """Say how complete the mirror is now."""
        return coverage(self._catalog)

    async def plan(self) -> None:
        """Make due what upstream, or a change of rules, says."""
        self.round.read = await self._plan.make()
        self.round.planned = self._worklist.counts()["due"]

    # Working

    async def work(self) -> None:
        """Bring in what is due, until nothing is or all that is left must wait."""
        running: dict[str, asyncio.Task[None]] = {}
        try:
            while True:
                self._start(running)
                if running:
                    await self._step(running)
                elif not await self._wait():
                    return
        finally:
            for task in running.values():
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)

    def _start(self, running: dict[str, asyncio.Task[None]]) -> None:
        free = self._limits.workers - len(running)
        if free <= 0:
            return
        for one in self._worklist.due(self._now(), self._limits.workers):
            if one.name not in running and free > 0:
                running[one.name] = asyncio.create_task(self._project(one), name=one.name)
                free -= 1

    async def _step(self, running: dict[str, asyncio.Task[None]]) -> None:
        done, _ = await asyncio.wait(running.values(), return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            del running[task.get_name()]
            task.result()
        self._progress(self.round)

    async def _wait(self) -> bool:
        """Wait for the next try of a project; say whether there is one worth waiting for."""
        due = self._worklist.next_due()
        if due is None or due - self._now() > self._limits.patience:
            return False
        await asyncio.sleep(max(0.0, due - self._now()))
        return True

    async def _project(self, one: Followed) -> None:
        try:
            problem = await self._page(one) or await self._all_files(one.name)
        except DpipError as error:
            if error.side == "ours":
                raise
            problem = error.message
        now = self._now()
        if not problem:
            await self._tell_what_files_told(one.name)
            self.round.done += 1
            await asyncio.wrap_future(self._worklist.done(one.name, now))
            return
        self.round.failed += 1
        failures = one.failures + 1
        again = now + self._limits.pauses.after(failures)
        await asyncio.wrap_future(self._worklist.failed(one.name, failures, again, problem))

    async def _page(self, one: Followed) -> str:
        """Bring a page up to date; return why it must be asked for again, or nothing."""
        record = self._catalog.record(one.name)
        stored = record is not None and not record.absent and record.source == DEFAULT_SOURCE
        known = Validators(record.etag, record.last_modified) if record and stored else None
        before = None
        if record is not None and stored:
            before = Answer(record.serial, empty=not self._catalog.files(one.name))
        try:
            fetched = await self._upstream.fetch(one.name, known)
        except ProjectNotFound:
            if not believes_absence(listed=one.listed, stored=stored, failures=one.failures):
                return "upstream lists the project but has no page of it"
            absent = PageRecord(one.name, self._now(), absent=True)
            await asyncio.wrap_future(self._catalog.put_record(absent))
            return ""
        return await self._record(one, record, before, fetched)

    async def _record(
        self, one: Followed, record: PageRecord | None, before: Answer | None, fetched: Fetched
    ) -> str:
        page, now = fetched.project, self._now()
        if page is None:
            if before is None or record is None:
                raise UpstreamInvalid(f"upstream says that {one.name!r}, never seen, is unchanged")
            confirmed = dataclasses.replace(record, confirmed_at=now)
            await asyncio.wrap_future(self._catalog.put_record(confirmed))
            return judge(before, before, one.serial, one.failures).problem
        blank = not page.files and not fetched.left_out and page.status != QUARANTINED
        answer = Answer(page.last_serial, empty=blank)
        judgement = judge(before, answer, one.serial, one.failures)
        if judgement.use:
            await record_page(
                self._catalog, render, one.name, fetched, source=DEFAULT_SOURCE, now=now
            )
        return judgement.problem

    async def _all_files(self, name: str) -> str:
        """Store every file of a project; return what went wrong with one of them, or nothing."""
        record = self._catalog.record(name)
        if record is None or record.absent or record.status == QUARANTINED:
            return ""
        outcomes = await asyncio.gather(*map(self._file, self._catalog.files(name)))
        problems = [problem for problem in outcomes if problem]
        return problems[0] if problems else ""

    async def _tell_what_files_told(self, name: str) -> None:
        """Render a page again that upstream gave without sizes or hashes: the files have them."""
        if name not in self._arrived:
            return
        self._arrived.discard(name)
        record, page = self._catalog.record(name), reapply.stored_project(self._catalog, name)
        if record is None or page is None or all(f.size and f.sha256 for f in page.files):
            return
        same = Fetched(page, Validators(record.etag, record.last_modified))
        await record_page(self._catalog, render, name, same, source=DEFAULT_SOURCE, now=self._now())

    async def _file(self, file: FileRecord) -> str:
        if file.sha256 is not None and is_stored(self._catalog, self._archives, file):
            return ""
        async with self._files:
            try:
                whole = await self._ingest.fetch(file).finished()
            except DpipError as error:
                if error.side == "ours":
                    raise
                return f"{file.filename}: {error.message}"
        self._arrived.add(file.project)
        self.round.files += 1
        self.round.bytes += whole.size
        self._progress(self.round)
        return ""


def is_stored(catalog: Catalog, archives: Archives, file: FileRecord) -> bool:
    """Say whether a file is here: whole on disk, or taken apart in the content store."""
    sha256 = file.sha256 or ""
    return catalog.archive(sha256) is not None or archives.find(sha256, file.filename) is not None
