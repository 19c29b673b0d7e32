"""Resolve on what a node sends: one round trip, and then all by ourselves.

Nothing in the answer is a verdict. The facts are the node's claims, as an index's pages are
claims; the solver here runs on them and reaches its own answer. What the node did not send,
or could not read, is read from the index as ever. If the answer contradicts a fact that the
store has under the same hash, is malformed, or does not come in time, it is dropped, and the
resolve goes on as if there were none.
"""

from __future__ import annotations

import threading
from itertools import pairwise
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

import msgspec

from dpip.resolve import closure, held, pages
from dpip.resolve.by_version import FilesByVersion
from dpip.resolve.errors import BadAnswer, HttpFailure, Unreachable
from dpip.resolve.facts import CandidateFile, Dependencies, Project, Unavailable
from dpip.resolve.names import file_version, version
from dpip.resolve.pages import PageRecord, candidate
from dpip.resolve.records import from_record
from dpip.resolve.transport import Request as HttpRequest
from dpip.resolve.transport import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.resolve.closure import Answer, WireProject
    from dpip.resolve.engine import Engine
    from dpip.resolve.facts import Direct, FileKind
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Impossible, Solution


PATIENCE = 30.0
"""Seconds that a node gets: without one, the longest recorded input takes a third of that."""


class OutsideAnswer(Exception):
    """The solver looks at a version whose files the node did not send; names its project."""


class Contradiction(BadAnswer):
    """The node says something else of a file than what is known under the same hash."""

    slug = "node-contradicts"


class Resolved(NamedTuple):
    """An outcome with what it stands on: the node's state, and for how long (seconds)."""

    outcome: Solution | Impossible
    state: str
    max_age: float


def ask(engine: Engine, node: str, request: Request, state: str = "") -> Answer:
    """Put the question to the node. Raises DpipError if no proper answer comes in time."""
    body = closure.encode(closure.question(request, state))
    headers = {"Content-Type": "application/json", "Accept-Encoding": closure.ENCODINGS}
    url = node.rstrip("/") + closure.PATH
    text = _in_time(url, lambda: _posted(engine, HttpRequest(url, headers, "POST", body)))
    try:
        return closure.decode_answer(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadAnswer(f"{without_secrets(url)}: not a closure answer: {error}") from None


def _posted(engine: Engine, question: HttpRequest) -> bytes:
    with engine.transport.send(question) as response:
        if response.status != 200:
            raise HttpFailure(without_secrets(question.url), response.status)
        return response.read(closure.MAX_ANSWER)


def _in_time(url: str, read: Callable[[], bytes]) -> bytes:
    """Return what a thread reads; meanwhile this one imports what comes next."""
    results: SimpleQueue[bytes | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            results.put(read())
        except BaseException as error:  # noqa: BLE001 - handed on to the caller below
            results.put(error)

    threading.Thread(target=run, daemon=True).start()
    _load_solver()
    try:
        found = results.get(timeout=PATIENCE)
    except Empty:
        message = f"{without_secrets(url)} has not answered for {PATIENCE:.0f} s"
        raise Unreachable(message) from None
    if isinstance(found, BaseException):
        raise found
    return found


def _load_solver() -> None:
    """Import what `solve` needs: it is loaded while the question is on its way."""
    from dpip.resolve import lockfile, session

    assert lockfile
    assert session


def resolve(engine: Engine, node: str, request: Request) -> Resolved:
    """Solve on a node's answer. Raises DpipError where its facts lead nowhere.

    Facts are foreign: a version, a specifier or a marker in them that is none surfaces only
    where the solver comes to it.
    """
    answer = ask(engine, node, request)
    try:
        outcome = solve(engine, node, request, answer)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"{without_secrets(node)}: its facts make no sense: {error}") from None
    return Resolved(outcome, answer.state, answer.max_age)


def solve(engine: Engine, node: str, request: Request, answer: Answer) -> Solution | Impossible:
    """Solve on an answer; a project of which too little was sent is read from the index."""
    from dpip.resolve.engine import drive

    whole: set[str] = set()
    while True:
        facts = AnswerFacts(engine, answer, node, frozenset(whole))
        try:
            return _with_files(drive(request, facts, engine.facts.gather))
        except OutsideAnswer as outside:
            whole.add(str(outside))


def _with_files(outcome: Solution | Impossible) -> Solution | Impossible:
    """Return an outcome; raises OutsideAnswer if a choice is one that the node passed over."""
    for pin in getattr(outcome, "pins", ()):
        if not all(file.url for file in pin.files):
            raise OutsideAnswer(pin.name)
    return outcome


class AnswerFacts:
    """The Facts in a node's answer, each checked for being of what it says it is of."""

    def __init__(
        self, engine: Engine, answer: Answer, node: str, whole: frozenset[str] = frozenset()
    ) -> None:
        self._engine = engine
        self._answer = answer
        self._base = f"{node.rstrip('/')}/simple/"
        self._node = node.rstrip("/")
        self._wire = {each.name: each for each in answer.projects if each.name not in whole}
        self._missing = frozenset(answer.missing)
        self._whole = whole
        self._projects: dict[str, Project] = {}

    def project(self, name: str) -> Project | Unavailable | None:
        """Return a page, from the index if the node did not send it."""
        found = self._projects.get(name)
        if found is not None:
            return found
        if name in self._missing:
            return Unavailable("not-found", f"no index has a project {name}")
        wire = self._wire.get(name)
        if wire is None:
            return self._engine.facts.project(name)
        _check_order(wire)
        files = AnswerFiles(wire, self._base, self._node)
        return self._projects.setdefault(name, Project(name, tuple(wire.versions), files))

    def dependencies(self, file: CandidateFile) -> Dependencies | Unavailable | None:
        """Return a record, from the index if the node did not send it. Raises Contradiction."""
        record = self._answer.metadata.get(file.filename)
        if record is not None and record.name not in self._whole:
            return self._checked(from_record(record), file)
        if not file.url:
            raise OutsideAnswer(self._project_of(file))
        # What the node could not read, we may: its troubles are not ours.
        return self._engine.facts.dependencies(file)

    def direct(self, url: str) -> Direct | Unavailable | None:
        """Leave what the node does not send to the engine."""
        return self._engine.facts.direct(url)

    def _project_of(self, file: CandidateFile) -> str:
        return next(name for name in self._wire if file_version(file.filename, name))

    def _checked(self, found: Dependencies, file: CandidateFile) -> Dependencies:
        claimed = file_version(file.filename, found.name)
        if claimed is None or claimed != version(found.version):
            raise Contradiction(f"{file.filename}: the node's record is of {found.name}")
        known = held.at_hand(self._engine.store, file)
        if known is not None and known != found:
            raise Contradiction(f"{file.filename}: the node's record is not what its hash says")
        return found


class AnswerFiles(FilesByVersion):
    """The files that the node sent, by version; OutsideAnswer for the others."""

    __slots__ = ("_node", "_page", "_wire")

    def __init__(self, wire: WireProject, base: str, node: str) -> None:
        super().__init__(len(wire.versions))
        self._wire = wire
        self._node = node
        self._page = PageRecord(wire.name, f"{base}{quote(wire.name)}/", base, [], [])

    def read(self, number: int) -> tuple[CandidateFile, ...]:
        """Check and return the files of one version."""
        rows = self._wire.files.get(number)
        if rows is None:
            raise OutsideAnswer(self._wire.name)
        return tuple(self._file(row, number) for row in rows)

    def _file(self, row: pages.FileRow, number: int) -> CandidateFile:
        name, expected = self._wire.name, self._wire.versions[number]
        if file_version(row.filename, name) != version(expected):
            raise Contradiction(f"{row.filename} is no file of {name} {expected}")
        if not row.url and row.sha256 is None:
            kind: FileKind = "wheel" if row.filename.endswith(".whl") else "sdist"
            python = row.requires_python
            return CandidateFile(row.filename, "", kind, requires_python=python, yanked=row.yanked)
        url = row.url or f"/files/{row.sha256}/{quote(row.filename)}"
        return candidate(msgspec.structs.replace(row, url=self._node + url), self._page)


def _check_order(wire: WireProject) -> None:
    """Raise Contradiction unless versions are versions, each lower than the one before."""
    try:
        parsed = [version(text) for text in wire.versions]
    except ValueError as error:
        raise Contradiction(f"the node's page of {wire.name}: {error}") from None
    if any(older >= newer for newer, older in pairwise(parsed)):
        raise Contradiction(f"the node's page of {wire.name} is not in order")
