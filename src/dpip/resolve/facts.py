"""What the deciding half knows, and what it asks of the doing half.

The solver is synchronous and does no I/O. It reads a `Facts`: plain records of index pages
and of package metadata. Where a fact is not there yet the solver stops and hands back
`Wants`: everything that it lacks in this round, and what it will probably lack next. Whoever
owns the network answers the wants in any order and runs the solver again:

    solve → NeedMore(wants) → fetch all of it → solve → … → Solution | Impossible

The solver's path depends on facts alone, never on which of them were already at hand, so the
order in which answers arrive cannot change the result. For the same reason a fact never
changes once it was given: a `Facts` answers one question the same way for a whole run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dpip.resolve.onward import Onward

FileKind = Literal["wheel", "sdist"]


class CandidateFile(msgspec.Struct, frozen=True):
    """One file of a release, as an index page lists it (PEP 503, 592, 658, 691, 700)."""

    filename: str
    url: str
    kind: FileKind
    sha256: str | None = None
    size: int | None = None
    """Bytes."""
    requires_python: str = ""
    yanked: str | None = None
    """None: not yanked. Else the reason, which may be empty."""
    upload_time: float | None = None
    """Seconds since the epoch, UTC."""
    metadata_sha256: str | None = None
    """None: no metadata file advertised. Empty: advertised without a hash."""
    index: str = ""
    """Base URL of the index that listed it."""


class Project(msgspec.Struct, frozen=True):
    """A project page, its versions sorted once.

    `files[i]` are the files of `versions[i]`; it may be a lazy sequence. Files whose name
    does not parse are left out.
    """

    name: str
    """Normalized (PEP 503)."""
    versions: tuple[str, ...]
    """As PEP 440 normalizes them, newest first, no duplicates."""
    files: Sequence[tuple[CandidateFile, ...]]


class Requirement(msgspec.Struct, frozen=True):
    """One dependency, split into the parts that a decision needs (PEP 508)."""

    name: str
    """Normalized."""
    specifier: str = ""
    """PEP 440, comma separated, without spaces."""
    extras: tuple[str, ...] = ()
    """Normalized and sorted."""
    marker: str = ""
    url: str = ""

    def __str__(self) -> str:
        extras = f"[{','.join(self.extras)}]" if self.extras else ""
        where = f" @ {self.url}" if self.url else self.specifier
        return f"{self.name}{extras}{where}{f' ; {self.marker}' if self.marker else ''}"


class Dependencies(msgspec.Struct, frozen=True):
    """What the metadata of one file says (core metadata 2.x), and nothing else of it."""

    name: str
    version: str
    requires: tuple[Requirement, ...] = ()
    extras: tuple[str, ...] = ()
    """Provides-Extra, normalized."""
    requires_python: str = ""


class Direct(msgspec.Struct, frozen=True):
    """What a URL, a path or a repository turned out to hold."""

    url: str
    """As it stands in the requirement."""
    file: CandidateFile
    """The archive, or a stand-in for a directory or a checkout (no hash, its own URL)."""
    dependencies: Dependencies
    editable: bool = False


Cause = Literal["not-found", "offline", "refused", "broken", "build-failed"]


class Unavailable(msgspec.Struct, frozen=True):
    """A fact that cannot be had in this run; the solver goes on without it."""

    cause: Cause
    detail: str = ""
    """One line for the explanation, such as the error of the last source that was tried."""


class Facts(Protocol):
    """Facts at hand. None: not known yet, ask for it; Unavailable: known to be out of reach."""

    def project(self, name: str) -> Project | Unavailable | None:
        """Return the page of a normalized project name."""
        ...

    def dependencies(self, file: CandidateFile) -> Dependencies | Unavailable | None:
        """Return what the metadata of a listed file says."""
        ...

    def direct(self, url: str) -> Direct | Unavailable | None:
        """Return what a direct requirement's URL holds."""
        ...


class Wants(msgspec.Struct, frozen=True):
    """What the next round must learn. Each tuple is in order of need, without duplicates.

    Everything but `ahead` must be answered before the solver runs again, with a fact or with
    Unavailable. `ahead` are likely next questions, to be fetched in the same batch.
    """

    projects: tuple[str, ...] = ()
    metadata: tuple[CandidateFile, ...] = ()
    direct: tuple[str, ...] = ()
    ahead: tuple[CandidateFile, ...] = ()
    onward: Onward | None = None
    """Says what to ask as soon as one of these answers is there; may be ignored."""

    def __bool__(self) -> bool:
        return bool(self.projects or self.metadata or self.direct)


class InMemory:
    """The simplest Facts: three dictionaries, filled by anyone."""

    def __init__(self) -> None:
        self.projects: dict[str, Project | Unavailable] = {}
        self.metadata: dict[str, Dependencies | Unavailable] = {}
        """By file name."""
        self.directs: dict[str, Direct | Unavailable] = {}

    def project(self, name: str) -> Project | Unavailable | None:
        """Return the page that was put in."""
        return self.projects.get(name)

    def dependencies(self, file: CandidateFile) -> Dependencies | Unavailable | None:
        """Return the record that was put in for this file name."""
        return self.metadata.get(file.filename)

    def direct(self, url: str) -> Direct | Unavailable | None:
        """Return the record that was put in for this URL."""
        return self.directs.get(url)
