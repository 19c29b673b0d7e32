"""`POST /resolve/v1/closure` on a node: solve once here, so that the client asks but once.

The node runs the same solver on the pages and metadata that it serves, and sends every fact
that the solver looked at. A source archive that does not promise its metadata, on a node that
does not build, is taken to have no requirements; the client, which builds it, will see.
"""

from __future__ import annotations

import asyncio
import gzip
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Generic, TypeVar, overload

import msgspec

from dpip.errors import DpipError
from dpip.resolve import closure, core_metadata, pages, records
from dpip.resolve.errors import BadAnswer, BadMetadata, BuildFailed
from dpip.resolve.facts import CandidateFile, Dependencies, Project, Unavailable
from dpip.resolve.records import to_record
from dpip.resolve.resolution import NeedMore, Solution
from dpip.resolve.sdist import static_metadata
from dpip.resolve.session import Session
from dpip.simple.asgi import BadRequest, MethodNotAllowed, send_error, send_whole
from dpip.simple.repository import FileNotFound, ProjectNotFound, UpstreamInvalid, WholeFile

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Iterable, Set
    from typing import Any

    from dpip.resolve.facts import Direct, Wants
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Outcome, Pin
    from dpip.resolve.sdist import Builder
    from dpip.simple.asgi import Receive, Scope, Send
    from dpip.simple.repository import FileSource, PageSource

Key = TypeVar("Key")
Value = TypeVar("Value")

IN_FLIGHT = 50
PAGES_KEPT = 4096
RECORDS_KEPT = 50_000
ANSWERS_KEPT = 256
BASE = "http://node.invalid/simple/"


class ClosureApplication:
    """The ASGI application.

    `builder` reads the metadata of source archives, or there is none. `validator` tells a
    fresh page's validator where that is cheaper than the page. `max_age` is for how many
    seconds a client may reuse an answer unasked.
    """

    def __init__(
        self,
        *,
        pages: PageSource,
        files: FileSource,
        builder: Builder | None = None,
        validator: Callable[[str], Awaitable[str | None]] | None = None,
        max_age: float = 60.0,
    ) -> None:
        self._sources = NodeFacts(pages, files, builder, validator)
        self._max_age = max_age
        self._answers: Recent[bytes, tuple[dict[str, str], bytes]] = Recent(ANSWERS_KEPT)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        try:
            if scope["path"] != closure.PATH:
                raise FileNotFound(f"there is nothing at {scope['path'][:200]!r}")
            if scope["method"] != "POST":
                raise MethodNotAllowed("ask with POST")
            body = await self.answer(await _body(receive))
        except DpipError as error:
            await send_error(send, error)
            return
        headers = [
            (b"content-type", b"application/json"),
            (b"content-encoding", b"gzip"),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
        ]
        await send_whole(send, 200, headers, body)

    async def answer(self, body: bytes) -> bytes:
        """Return the gzipped answer to a question in JSON. Raises BadRequest."""
        try:
            asked = closure.decode_question(body)
            wanted = closure.request(asked)
        except (msgspec.DecodeError, DpipError) as error:
            raise BadRequest(f"not a closure question: {error}") from None
        if not closure.can_ask(wanted):
            raise BadRequest("a closure question holds no URLs")
        key = blake2b(msgspec.json.encode(msgspec.structs.replace(asked, state=""))).digest()
        held = self._answers.get(key)
        if held is None or await self._sources.etags(held[0]) != held[0]:
            held = await self._solved(wanted)
            self._answers.put(key, held)
        if asked.state == _state(held[0]):
            same = closure.Answer(asked.state, self._max_age, same=True)
            return gzip.compress(closure.encode(same), 1)
        return held[1]

    async def _solved(self, wanted: Request) -> tuple[dict[str, str], bytes]:
        await self._run(wanted)
        # What was fetched ahead is at hand now: the second run looks at what it needs only.
        facts, outcome = await self._run(wanted)
        chosen = outcome.pins if isinstance(outcome, Solution) else ()
        answer = msgspec.structs.replace(
            facts.answer(wanted, chosen), state=_state(facts.etags), max_age=self._max_age
        )
        body = await asyncio.to_thread(gzip.compress, closure.encode(answer), 9)
        return facts.etags, body

    async def _run(self, wanted: Request) -> tuple[Recorder, Outcome]:
        facts = Recorder(self._sources)
        session = Session(wanted, facts)
        while isinstance(outcome := await asyncio.to_thread(session.run), NeedMore):
            await self._sources.learn(outcome.wants)
        return facts, outcome


def _state(etags: dict[str, str]) -> str:
    return blake2b(repr(sorted(etags.items())).encode(), digest_size=16).hexdigest()


async def _body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        part = message.get("body", b"")
        size += len(part)
        if size > closure.MAX_QUESTION:
            raise BadRequest("the question is too large")
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


class Recent(Generic[Key, Value]):
    """A dictionary that forgets what was not used for long."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[Key, Value] = OrderedDict()

    def get(self, key: Key) -> Value | None:
        """Return a value and note its use."""
        if key not in self._items:
            return None
        self._items.move_to_end(key)
        return self._items[key]

    def put(self, key: Key, value: Value) -> None:
        """Keep a value; the oldest may go for it."""
        self._items[key] = value
        self._items.move_to_end(key)
        if len(self._items) > self._size:
            self._items.popitem(last=False)


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

    async def learn(self, wants: Wants) -> None:
        """Learn everything that is wanted; raises DpipError where upstream is needed and away."""
        tasks: list[Coroutine[Any, Any, Any]] = [self._page(name) for name in wants.projects]
        tasks += [self._record(file) for file in (*wants.metadata, *wants.ahead)]
        await asyncio.gather(*tasks)

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
                self.projects.put(name, ("", missing))
                return ""
        if held is None or held[0] != stored.etag:
            url = f"{BASE}{name}/"
            page = await asyncio.to_thread(
                pages.parse, stored.json, "application/json", name, url, BASE
            )
            self.projects.put(name, (stored.etag, pages.project(page)))
        return stored.etag

    async def _record(self, file: CandidateFile) -> None:
        if self.records.get(file.filename) is not None:
            return
        async with self._limit:
            self.records.put(file.filename, await self._read(file))

    async def _read(self, file: CandidateFile) -> Dependencies | Unavailable:
        where = file.filename
        key = file.url.rpartition("/")[0].rpartition("/")[2]
        try:
            if file.kind == "sdist":
                return await self._source(key, where)
            text = await self._files.metadata(key, where)
            return records.from_metadata(core_metadata.parse(text, where), where)
        except (FileNotFound, UpstreamInvalid, BadMetadata, BadAnswer) as error:
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


UNBUILT = "source archives are the client's to build"


class Recorder:
    """Facts for one session that remember what was looked at."""

    def __init__(self, sources: NodeFacts) -> None:
        self._sources = sources
        self.etags: dict[str, str] = {}
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

    def answer(self, wanted: Request, chosen: Iterable[Pin]) -> closure.Answer:
        """Return everything that was looked at, and in full what was chosen."""
        full = {(pin.name, pin.version) for pin in chosen}
        found = [p for p in self._projects.values() if isinstance(p, Project)]
        unread = {
            name: "" if each.detail == UNBUILT else each.detail
            for name, each in self._records.items()
            if isinstance(each, Unavailable)
        }
        return closure.Answer(
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
    ) -> closure.WireProject:
        files = {}
        for number in sorted(self._looked[project.name].numbers):
            useful = _useful(project.files[number], wanted)
            passed_over = (project.name, project.versions[number]) not in full
            lean = self._lean(useful) if passed_over and _is_plain(wanted) else None
            files[number] = lean or [_row(file) for file in useful]
        return closure.WireProject(project.name, list(project.versions), files)

    def _lean(self, files: Sequence[CandidateFile]) -> list[pages.FileRow] | None:
        """Return rows with what a solver reads of a version; None where it may read more.

        Hashes do not compress: with those of all the versions that a long search passed over,
        an answer is half as large again.
        """
        read = {file: self._records.get(file.filename) for file in files}
        if any(isinstance(each, Unavailable) for each in read.values()):
            return None
        return [
            pages.FileRow(each.filename, "", None, None, each.requires_python, each.yanked)
            for each, record in read.items()
            if record is not None
        ]


class LookedAt(Sequence[tuple[CandidateFile, ...]]):
    """Files by version, and which versions' were looked at."""

    def __init__(self, files: Sequence[tuple[CandidateFile, ...]]) -> None:
        self._files = files
        self.numbers: set[int] = set()

    def __len__(self) -> int:
        return len(self._files)

    @overload
    def __getitem__(self, at: int) -> tuple[CandidateFile, ...]: ...

    @overload
    def __getitem__(self, at: slice) -> list[tuple[CandidateFile, ...]]: ...

    def __getitem__(
        self, at: int | slice
    ) -> tuple[CandidateFile, ...] | list[tuple[CandidateFile, ...]]:
        if isinstance(at, slice):
            return [self[number] for number in range(*at.indices(len(self)))]
        number = at if at >= 0 else at + len(self)
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


def _row(file: CandidateFile) -> pages.FileRow:
    served = f"http://node.invalid/files/{file.sha256}/{file.filename}"
    return pages.FileRow(
        file.filename,
        "" if file.url == served else file.url.removeprefix("http://node.invalid"),
        file.sha256,
        file.size,
        file.requires_python,
        file.yanked,
        None if file.upload_time is None else pages.moment(file.upload_time),
        file.metadata_sha256,
    )
