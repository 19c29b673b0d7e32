"""What a mirror keeps: rules over names, projects, releases and files. Pure; no I/O.

Each rule answers for one project with the files that it *excludes*, each with a reason, so
that `dpip mirror status` can say why a file is not there. Rules never look at what another
rule did, except `Latest`, which counts among what the others left: "the last two releases
for Linux" means two releases that have a file for Linux. Names are decided first, before a
page is fetched at all. The same functions are run over what is already stored when the
configuration changes, so a filter is a statement about the mirror and not about a sync.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from packaging.tags import Tag

    from dpip.simple.model import File, Project

Excluded = dict[str, str]
"""File name to the reason why a rule leaves it out."""

Judged = Mapping[Version, str]
"""Releases that are left out by what their metadata says, each with the reason."""

NO_TAGS: frozenset[Tag] = frozenset()
NOT_JUDGED: Judged = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Parsed:
    """A file with what its name says; `version` is None where the name says nothing."""

    file: File
    version: Version | None
    tags: frozenset[Tag]


def parse(file: File) -> Parsed:
    """Return a file with version and wheel tags from its name; never raises."""
    try:
        if file.is_wheel:
            _, version, _, tags = parse_wheel_filename(file.filename)
            return Parsed(file, version, tags)
        return Parsed(file, parse_sdist_filename(file.filename)[1], NO_TAGS)
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion):
        return Parsed(file, None, NO_TAGS)


class Rule(Protocol):
    """One statement about the files of a project."""

    def excludes(self, project: Project, files: Sequence[Parsed], /) -> Excluded:
        """Return the files that this rule leaves out; the others it has no opinion on."""
        ...


@dataclass(frozen=True, slots=True)
class Names:
    """Which projects: allowed if listed, or matched, or if nothing is listed; deny wins.

    `allow` and `deny` hold normalized names and shell patterns, `regex` full matches.
    """

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    regex: tuple[re.Pattern[str], ...] = ()

    def excludes(self, name: str) -> str | None:
        """Return why the project is left out, or None if it is kept."""
        if _matches(name, self.deny):
            return "denied by name"
        if not self.allow and not self.regex:
            return None
        if _matches(name, self.allow) or any(p.fullmatch(name) for p in self.regex):
            return None
        return "not on the list"

    @property
    def exact(self) -> frozenset[str] | None:
        """The allowed names if they are a closed list, so that no root list is needed."""
        if self.regex or not self.allow or any(set(name) & set("*?[") for name in self.allow):
            return None
        return self.allow


def _matches(name: str, patterns: frozenset[str]) -> bool:
    return name in patterns or any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


@dataclass(frozen=True, slots=True)
class EachFile:
    """A rule that judges files one by one: `test` returns a reason to leave it out, or None."""

    test: Callable[[Parsed], str | None]

    def excludes(self, _project: Project, files: Sequence[Parsed], /) -> Excluded:
        """Return the files that fail the test."""
        judged = ((parsed.file.filename, self.test(parsed)) for parsed in files)
        return {filename: reason for filename, reason in judged if reason is not None}


@dataclass(frozen=True, slots=True)
class Versions:
    """Version ranges by project (normalized name), such as `{"django": ">=4.2"}`."""

    ranges: Mapping[str, SpecifierSet]

    def excludes(self, project: Project, files: Sequence[Parsed], /) -> Excluded:
        """Leave out versions outside the project's range, and files without a version."""
        wanted = self.ranges.get(project.name)
        if wanted is None:
            return {}
        return {
            parsed.file.filename: f"outside {wanted}"
            for parsed in files
            if parsed.version is None or not wanted.contains(parsed.version, prereleases=True)
        }


@dataclass(frozen=True, slots=True)
class Status:
    """Only projects of these statuses (PEP 792), such as {"active", "deprecated"}."""

    kept: frozenset[str]

    def excludes(self, project: Project, files: Sequence[Parsed], /) -> Excluded:
        """Leave out everything of a project whose status is not kept."""
        if project.status in self.kept:
            return {}
        return {parsed.file.filename: f"project is {project.status}" for parsed in files}


@dataclass(frozen=True, slots=True)
class Latest:
    """The newest `count` releases; pre-releases count only where nothing else is there."""

    count: int

    def excludes(self, _project: Project, files: Sequence[Parsed], /) -> Excluded:
        """Leave out all but the newest releases among `files`."""
        versions = sorted({p.version for p in files if p.version is not None}, reverse=True)
        final = [version for version in versions if not version.is_prerelease]
        kept = set((final or versions)[: self.count])
        return {
            parsed.file.filename: f"not among the newest {self.count}"
            for parsed in files
            if parsed.version not in kept
        }


@dataclass(frozen=True, slots=True)
class Filters:
    """All rules of a mirror. `rules` judge independently; `latest` counts what they left."""

    names: Names = field(default_factory=Names)
    rules: tuple[Rule, ...] = ()
    latest: Latest | None = None

    def excludes(self, project: Project, judged: Judged = NOT_JUDGED) -> Excluded:
        """Return every file of the project that the mirror does not keep, with a reason."""
        files = [parse(file) for file in project.files]
        excluded = self._by_rules(project, files)
        for parsed in files:
            if parsed.version is not None and parsed.version in judged:
                excluded.setdefault(parsed.file.filename, judged[parsed.version])
        if self.latest is not None:
            left = [parsed for parsed in files if parsed.file.filename not in excluded]
            excluded |= self.latest.excludes(project, left)
        return excluded

    def left(self, project: Project) -> list[Parsed]:
        """Return the files that are kept as far as the page alone can say."""
        files = [parse(file) for file in project.files]
        excluded = self._by_rules(project, files)
        return [parsed for parsed in files if parsed.file.filename not in excluded]

    def _by_rules(self, project: Project, files: Sequence[Parsed]) -> Excluded:
        reason = self.names.excludes(project.name)
        if reason is not None:
            return {file.filename: reason for file in project.files}
        excluded: Excluded = {}
        for rule in self.rules:
            excluded = {**rule.excludes(project, files), **excluded}
        return excluded


def no_prereleases(parsed: Parsed) -> str | None:
    """Leave out pre-releases and development releases."""
    is_pre = parsed.version is not None and parsed.version.is_prerelease
    return "a pre-release" if is_pre else None


def no_sdists(parsed: Parsed) -> str | None:
    """Leave out source distributions."""
    return None if parsed.file.is_wheel else "a source distribution"


def at_most(size: int) -> Callable[[Parsed], str | None]:
    """Leave out files larger than `size` bytes; a file of unknown size stays."""

    def test(parsed: Parsed) -> str | None:
        known = parsed.file.size
        return f"larger than {size} bytes" if known is not None and known > size else None

    return test


def uploaded(after: str | None, before: str | None) -> Callable[[Parsed], str | None]:
    """Keep files uploaded in [after, before), ISO 8601 UTC; an unknown time is left out."""

    def test(parsed: Parsed) -> str | None:
        time = parsed.file.upload_time
        if time is None:
            return "upload time unknown"
        if after is not None and time < after:
            return f"uploaded before {after}"
        return f"uploaded after {before}" if before is not None and time >= before else None

    return test


def for_platforms(patterns: Iterable[str]) -> Callable[[Parsed], str | None]:
    """Keep pure wheels, sdists, and wheels whose platform tag matches a shell pattern.

    The words linux, macos and windows stand for their families of tags.
    """
    families = {"linux": ["*linux*"], "macos": ["macosx*"], "windows": ["win*"]}
    globs = [glob for pattern in patterns for glob in families.get(pattern, [pattern])]

    def test(parsed: Parsed) -> str | None:
        platforms = {tag.platform for tag in parsed.tags}
        if not platforms or "any" in platforms:
            return None
        if any(fnmatch.fnmatchcase(p, glob) for p in platforms for glob in globs):
            return None
        return "for another platform"

    return test


def for_pythons(versions: Iterable[str]) -> Callable[[Parsed], str | None]:
    """Keep files that some of these CPython versions, such as "3.12", can install."""
    targets = [tuple(int(part) for part in version.split(".")[:2]) for version in versions]

    def test(parsed: Parsed) -> str | None:
        if any(_installable(parsed, major, minor) for major, minor in targets):
            return None
        return "for another Python"

    return test


def _installable(parsed: Parsed, major: int, minor: int) -> bool:
    if not python_allows(parsed.file.requires_python, major, minor):
        return False
    return not parsed.tags or any(_tag_fits(tag, major, minor) for tag in parsed.tags)


def python_allows(requires_python: str | None, major: int, minor: int) -> bool:
    """Ask whether some patch release of a Python is allowed; a senseless bound allows all."""
    if not requires_python:
        return True
    try:
        wanted = SpecifierSet(requires_python)
    except InvalidSpecifier:
        return True
    return any(wanted.contains(f"{major}.{minor}.{patch}") for patch in (0, 99))


def _tag_fits(tag: Tag, major: int, minor: int) -> bool:
    """Say whether a wheel tag suits CPython major.minor (abi3 wheels suit later minors)."""
    found = re.fullmatch(r"(py|cp)(\d)(\d*)", tag.interpreter)
    if found is None or int(found[2]) != major:
        return False
    tagged = int(found[3]) if found[3] else 0
    if found[1] == "py" or tag.abi == "abi3":
        return tagged <= minor
    return tagged == minor
