"""What a node knows when it is asked for a closure, and what one question looked at.

`NodeFacts` are the node's own pages and files, parsed once and shared by all questions. A
`Recorder` is the Facts of one question: it notes every page, file and record that its session
looks at, for that is what the client will look at too.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dpip.resolve import closure_answer, core_metadata, pages, records
from dpip.resolve.by_version import FilesByVersion
from dpip.resolve.errors import BadAnswer, BadMetadata, BuildFailed
from dpip.resolve.facts import CandidateFile, Dependencies, Project, Unavailable
from dpip.resolve.file_rows import FileRow
from dpip.resolve.recent import Recent
from dpip.resolve.records import to_record
from dpip.resolve.sdist import static_metadata
from dpip.simple.repository import FileNotFound, ProjectNotFound, UpstreamInvalid, WholeFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence, Set

    from dpip.resolve.facts import Direct, Wants
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Pin
    from dpip.resolve.sdist import Builder
    from dpip.simple.repository import FileSource, PageSource

IN_FLIGHT = 50
PAGES_KEPT = 64 * 2**20
"""Bytes of pages that are kept parsed; the largest recorded question looks at 50 MB."""
PAGE_ITSELF = 1000
"""Bytes that a page takes beside its files, about."""
RECORDS_KEPT = 50_000
BASE = "http://node.invalid/simple/"
UNBUILT = "source archives are the client's to build"


class NodeFacts:
    """What the node's own pages and files say, parsed once and shared by all questions."""

    def __init__(
        self,
        page_source: PageSource,
        files: FileSource,
        builder: Builder | None,
        validator: Callable[[str], Awaitable[str | None]] | None,
    ) -> None:
        self._validator = validator
        self._builder = builder
        self._page_source = page_source
        self._files = files
        self._limit = asyncio.Semaphore(IN_FLIGHT)
        self.projects: Recent[str, tuple[str, Project | Unavailable]] = Recent(PAGES_KEPT)
        self.records: Recent[str, Dependencies | Unavailable] = Recent(RECORDS_KEPT)

    async def learn(self, wants: Wants) -> dict[str, Unavailable]:
        """Learn everything that is wanted; return what cannot be read now, by file name.

        Raises DpipError where upstream is needed and away. What is broken for good is known
        from then on; a file that could not be had is asked for again by the next question.
        """
        files = [*wants.metadata, *wants.ahead]
        records = asyncio.gather(*map(self._record, files))
        _, failed = await asyncio.gather(self._pages(wants.projects), records)
        return {f.filename: each for f, each in zip(files, failed, strict=True) if each}

    async def _pages(self, names: Iterable[str]) -> None:
        await asyncio.gather(*map(self._page, names))

    async def etags(self, known: dict[str, str]) -> dict[str, str]:
        """Return the present validators of projects."""
        return dict(zip(known, await asyncio.gather(*map(self._page, known)), strict=True))

    async def _page(self, name: str) -> str:
        held = self.projects.get(name)
        if held is not None and self._validator and await self._validator(name) == held[0]:
            return held[0]
        async with self._limit:
            try:
                stored = await self._page_source.page(name)
            except ProjectNotFound:
                missing = Unavailable("not-found", f"no index has a project {name}")
                self.projects.put(name, ("", missing), PAGE_ITSELF)
                return ""
        if held is None or held[0] != stored.etag:
            url = f"{BASE}{name}/"
            page = await asyncio.to_thread(
                pages.parse, stored.json, "application/json", name, url, BASE
            )
            weight = sum(map(len, page.files)) + PAGE_ITSELF
            self.projects.put(name, (stored.etag, pages.project(page)), weight)
        return stored.etag

    async def _record(self, file: CandidateFile) -> Unavailable | None:
        if self.records.get(file.filename) is not None:
            return None
        try:
            async with self._limit:
                found = await self._read(file)
        except (FileNotFound, UpstreamInvalid) as error:
            return Unavailable("broken", error.message)
        self.records.put(file.filename, found)
        return None

    async def _read(self, file: CandidateFile) -> Dependencies | Unavailable:
        where = file.filename
        key = file.url.rpartition("/")[0].rpartition("/")[2]
        try:
            if file.kind == "sdist":
                return await self._source(key, where)
            text = await self._files.metadata(key, where)
            return records.from_metadata(core_metadata.parse(text, where), where)
        except (BadMetadata, BadAnswer) as error:
            return Unavailable("broken", error.message)
        except BuildFailed as error:
            return Unavailable("build-failed", error.message)

    async def _source(self, key: str, filename: str) -> Dependencies | Unavailable:
        found = await self._files.open(key, filename)
        if not isinstance(found, WholeFile):
            async for _ in found.chunks:
                pass
            found = await self._files.open(key, filename)
        if not isinstance(found, WholeFile):
            return Unavailable("build-failed", UNBUILT)
        read = self._builder.metadata if self._builder else static_metadata
        text = await asyncio.to_thread(read, found.path, filename)
        if text is None:
            return Unavailable("build-failed", UNBUILT)
        return records.from_metadata(core_metadata.parse(text, filename), filename)


class Recorder:
    """Facts for one session that remember what was looked at."""

    def __init__(self, sources: NodeFacts) -> None:
        self._sources = sources
        self.etags: dict[str, str] = {}
        self.failed: dict[str, Unavailable] = {}
        """What this question could not read, by file name."""
        self._projects: dict[str, Project | Unavailable] = {}
        self._looked: dict[str, LookedAt] = {}
        self._records: dict[str, Dependencies | Unavailable] = {}

    def project(self, name: str) -> Project | Unavailable | None:
        """Return a page and note that it was looked at."""
        if name not in self._projects:
            held = self._sources.projects.get(name)
            if held is None:
                return None
            self.etags[name], found = held
            if isinstance(found, Project):
                self._looked[name] = LookedAt(found.files)
                found = Project(found.name, found.versions, self._looked[name])
            self._projects[name] = found
        return self._projects[name]

    def dependencies(self, file: CandidateFile) -> Dependencies | Unavailable | None:
        """Return a record and note that it was looked at."""
        found = self._records.get(file.filename) or self._sources.records.get(file.filename)
        found = found or self.failed.get(file.filename)
        if found is None:
            return None
        if isinstance(found, Unavailable) and found.detail == UNBUILT:
            self._records[file.filename] = found
            wheel_name, _, _ = file.filename.rpartition("-")
            return Dependencies(wheel_name, "")
        self._records[file.filename] = found
        return found

    def direct(self, url: str) -> Direct | Unavailable | None:
        """Refuse: a node reads no URLs for others."""
        return Unavailable("refused", f"a node does not read {url}")

    def answer(self, wanted: Request, chosen: Iterable[Pin]) -> closure_answer.Answer:
        """Return everything that was looked at, and in full what was chosen."""
        full = {(pin.name, pin.version) for pin in chosen}
        found = [p for p in self._projects.values() if isinstance(p, Project)]
        unread = {
            name: "" if each.detail == UNBUILT else each.detail
            for name, each in self._records.items()
            if isinstance(each, Unavailable)
        }
        return closure_answer.Answer(
            state="",
            projects=[self._wire(project, wanted, full) for project in found],
            missing=[n for n, p in self._projects.items() if isinstance(p, Unavailable)],
            metadata={
                name: to_record(each)
                for name, each in self._records.items()
                if isinstance(each, Dependencies)
            },
            unread=unread,
        )

    def _wire(
        self, project: Project, wanted: Request, full: Set[tuple[str, str]]
    ) -> closure_answer.WireProject:
        files = {}
        for number in sorted(self._looked[project.name].numbers):
            useful = _useful(project.files[number], wanted)
            passed_over = (project.name, project.versions[number]) not in full
            lean = self._lean(useful) if passed_over and _is_plain(wanted) else None
            files[number] = lean or [_row(file) for file in useful]
        return closure_answer.WireProject(project.name, list(project.versions), files)

    def _lean(self, files: Sequence[CandidateFile]) -> list[FileRow] | None:
        """Return rows with what a solver reads of a version; None where it may read more.

        Hashes do not compress: with those of all the versions that a long search passed over,
        an answer is half as large again.
        """
        read = {file: self._records.get(file.filename) for file in files}
        if any(isinstance(each, Unavailable) for each in read.values()):
            return None
        return [
            FileRow(each.filename, "", None, None, each.requires_python, each.yanked)
            for each, record in read.items()
            if record is not None
        ]


class LookedAt(FilesByVersion):
    """Files by version, and which versions' were looked at."""

    __slots__ = ("_files", "numbers")

    def __init__(self, files: Sequence[tuple[CandidateFile, ...]]) -> None:
        super().__init__(len(files))
        self._files = files
        self.numbers: set[int] = set()

    def read(self, number: int) -> tuple[CandidateFile, ...]:
        """Note the look, and pass it on."""
        self.numbers.add(number)
        return self._files[number]


def _useful(files: Sequence[CandidateFile], wanted: Request) -> list[CandidateFile]:
    """Leave out wheels for other machines where one fits: no solver would take them."""
    if wanted.universal:
        return list(files)
    rank = wanted.target.tags.rank
    fitting = [file for file in files if file.kind == "sdist" or rank(file.filename) is not None]
    return fitting if any(file.kind == "wheel" for file in fitting) else list(files)


def _is_plain(wanted: Request) -> bool:
    """Say whether file names and markers decide alone: no dates, hashes, other machines."""
    given = (*wanted.requirements, *wanted.constraints, *wanted.overrides)
    with_hashes = any(each.hashes for each in given)
    return wanted.exclude_newer is None and not wanted.universal and not with_hashes


def _row(file: CandidateFile) -> FileRow:
    served = f"http://node.invalid/files/{file.sha256}/{file.filename}"
    return FileRow(
        file.filename,
        "" if file.url == served else file.url.removeprefix("http://node.invalid"),
        file.sha256,
        file.size,
        file.requires_python,
        file.yanked,
        None if file.upload_time is None else pages.moment(file.upload_time),
        file.metadata_sha256,
    )
