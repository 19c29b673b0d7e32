"""What a node sent, as the Facts of a solver: claims, each checked for being of what it says.

Versions must be versions in order, files must be of their versions, and a record must not
contradict what is known under the same hash. What the node did not send is read from the index.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec

from dpip.resolve import held
from dpip.resolve.by_version import FilesByVersion
from dpip.resolve.errors import BadAnswer
from dpip.resolve.facts import CandidateFile, Dependencies, Project, Unavailable
from dpip.resolve.names import file_version, version
from dpip.resolve.pages import PageRecord, candidate
from dpip.resolve.records import from_record

if TYPE_CHECKING:
    from dpip.resolve.closure_answer import Answer, WireProject
    from dpip.resolve.engine import Engine
    from dpip.resolve.facts import Direct, FileKind
    from dpip.resolve.file_rows import FileRow


class OutsideAnswer(Exception):
    """The solver looks at a version whose files the node did not send; names its project."""


class Contradiction(BadAnswer):
    """The node says something else of a file than what is known under the same hash."""

    slug = "node-contradicts"


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

    def _file(self, row: FileRow, number: int) -> CandidateFile:
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
