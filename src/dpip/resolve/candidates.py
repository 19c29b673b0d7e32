"""One project's versions under the rules of a request: which may be used, which comes first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace
from packaging.specifiers import InvalidSpecifier

from dpip.resolve.environment import Forked
from dpip.resolve.facts import Dependencies, Unavailable
from dpip.resolve.names import wheel_name
from dpip.resolve.reasons import NotFound, Obstacle, Unusable
from dpip.resolve.versions import Universe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dpip.resolve.environment import Environment
    from dpip.resolve.facts import CandidateFile, Project, Requirement
    from dpip.resolve.incompatibility import Versions
    from dpip.resolve.request import Given, Request

    Read = Callable[[CandidateFile], Dependencies | Unavailable]
    Ranked = tuple[list[tuple[int, CandidateFile]], list[Unusable]]


class OutOfUse(NamedTuple):
    """Versions that cannot be used, all for one reason."""

    versions: Versions
    reason: Unusable


class Candidates:
    """The versions of one project. What is found out about a version is remembered."""

    def __init__(
        self,
        request: Request,
        environment: Environment,
        page: Project | NotFound,
        given: tuple[Given, ...],
    ) -> None:
        self.request = request
        self.environment = environment
        self.missing = page if isinstance(page, NotFound) else None
        self.page = None if isinstance(page, NotFound) else page
        self.name = page.name
        self.universe = Universe(() if self.page is None else self.page.versions)
        self.pinned = self._pinned(given)
        """Versions that the user named exactly: the only ones that may be yanked."""
        self.hashes = frozenset(each for one in given for each in one.hashes)
        self._needs_hash = request.require_hashes and not any(
            "sha256=" in one.requirement.url.partition("#")[2] for one in given
        )
        self._lowest = request.resolution == "lowest" or (
            request.resolution == "lowest-direct"
            and any(
                each.requirement.name == self.name and environment.active(each.requirement.marker)
                for each in request.requirements
            )
        )
        self._early = request.releases.early(self.name)
        self.read: Versions = 0
        """Versions whose metadata was read."""
        self._usable: dict[int, list[CandidateFile] | Unusable] = {}
        self._by_rank: dict[int, Ranked] = {}
        self._records: dict[Versions, tuple[Dependencies, CandidateFile]] = {}

    def _pinned(self, given: tuple[Given, ...]) -> Versions:
        found = 0
        for one in given:
            if one.requirement.url:
                found |= self.admitted(one.requirement)
            for clause in one.requirement.specifier.split(","):
                if clause.startswith("==") and not clause.endswith("*"):
                    found |= self.admitted(replace(one.requirement, specifier=clause))
        return found

    def admitted(self, requirement: Requirement) -> Versions:
        """Return the versions that a requirement admits; a specifier that is none admits none."""
        if not requirement.specifier:
            return self.universe.released
        try:
            return self.universe.matching(requirement.specifier)
        except InvalidSpecifier:
            return 0

    def record(self, version: Versions) -> Dependencies:
        """Return the metadata of a version that was chosen."""
        return self._records[version][0]

    def chosen(self, version: Versions) -> tuple[Dependencies, CandidateFile]:
        """Return the metadata of a version that was chosen, and the file that has it."""
        return self._records[version]

    def installable(self, number: int) -> tuple[CandidateFile, ...]:
        """Return the files of a usable version that fit the target, best first."""
        return tuple(file for rank, file in self._ranked(number)[0] if rank < FOREIGN)

    def choose(self, allowed: Versions, read: Read) -> Versions | OutOfUse:
        """Return the version of `allowed` to try first; or which are out, and why.

        `read` returns a file's metadata, or raises where it is not known yet.
        """
        refused: OutOfUse | None = None
        for number in self.in_order(allowed):
            reason = self.obstacle(number, read)
            if reason is None:
                return 1 << number
            if reason.obstacle == "python":
                self._fork(self.environment.python_forks(reason.detail))
            if refused is None or refused.reason == reason:
                before = 0 if refused is None else refused.versions
                refused = OutOfUse(before | 1 << number, reason)
        assert refused is not None
        return refused

    def _fork(self, parts: tuple[Environment, ...]) -> None:
        if parts:
            raise Forked(parts)

    def _suits_platforms(self, number: int) -> bool:
        parts = self.environment.platform_forks(self.installable(number))
        self._fork(parts or ())
        return parts is not None

    def in_order(self, allowed: Versions) -> Iterator[int]:
        """Yield the numbers of versions in order of preference: final releases first.

        A pre-release is for when no final release is left in the range (PEP 440), unless the
        request takes them all alike.
        """
        preferred = self._preferred() & allowed
        rest = allowed & ~preferred
        early = 0 if self._early else rest & self.universe.prereleases
        for part in (preferred, rest & ~early, early):
            members = self.universe.members(part)
            yield from reversed(list(members)) if self._lowest else members

    def _preferred(self) -> Versions:
        preferred = 0
        for version in self.request.preferences.get(self.name, ()):
            preferred |= self.universe.matching(f"==={version}")
        return preferred

    def obstacle(self, number: int, read: Read) -> Unusable | None:
        """Return why a version cannot be used, or None; learns its metadata on the way."""
        files = self.files(number)
        if isinstance(files, Unusable):
            return files
        if 1 << number in self._records:
            return None
        if not self._suits_platforms(number):
            return Unusable(self.name, "platform")
        failure = Unavailable("not-found")
        for file in files:
            found = read(file)
            if isinstance(found, Dependencies):
                return self._accept(number, found, file)
            failure = found
        reason = Unusable(self.name, "metadata", failure.detail or failure.cause)
        self._usable[number] = reason
        return reason

    def _accept(self, number: int, record: Dependencies, file: CandidateFile) -> Unusable | None:
        """Keep a version's metadata, unless it says that this Python will not do."""
        if not self.environment.admits_python(record.requires_python):
            reason = Unusable(self.name, "python", record.requires_python)
            self._usable[number] = reason
            return reason
        self._records[1 << number] = record, file
        self.read |= 1 << number
        return None

    def files(self, number: int) -> list[CandidateFile] | Unusable:
        """Return the files to read a version's metadata from, best first, or why there are none."""
        found = self._usable.get(number)
        if found is None:
            found = self._usable[number] = self._sift(number)
        return found

    def _sift(self, number: int) -> list[CandidateFile] | Unusable:
        kept, reasons = self._ranked(number)
        if any(rank < FOREIGN for rank, _ in kept):
            return _metadata_order(kept)
        if kept:
            return Unusable(self.name, "platform")
        return min(reasons, key=lambda each: _WEIGHT[each.obstacle], default=NO_FILES)

    def _ranked(self, number: int) -> Ranked:
        """Return the files of a version that the rules allow, best first, and the objections."""
        found = self._by_rank.get(number)
        if found is None:
            found = self._by_rank[number] = self._rank_all(number)
        return found

    def _rank_all(self, number: int) -> Ranked:
        assert self.page is not None
        kept: list[tuple[int, CandidateFile]] = []
        reasons: list[Unusable] = []
        for file in self.page.files[len(self.universe) - number]:
            reason = self._objection(number, file)
            if reason is None:
                kept.append((self._rank(file), file))
            else:
                reasons.append(reason)
        if len(kept) > 1:
            if any(file.filename.count("-") == WITH_BUILD for _, file in kept):
                kept.sort(key=lambda each: build_number(each[1]), reverse=True)
            kept.sort(key=lambda each: each[0])
        return kept, reasons

    def _rank(self, file: CandidateFile) -> int:
        """Order the files of a version: fitting wheels, source, wheels for something else."""
        if file.kind == "sdist":
            return SOURCE
        rank = self.environment.rank(file.filename)
        return FOREIGN if rank is None else rank

    def _objection(self, number: int, file: CandidateFile) -> Unusable | None:
        request, formats = self.request, self.request.formats
        if request.exclude_newer is not None and not _uploaded_before(file, request.exclude_newer):
            return Unusable(self.name, "date")
        if file.kind == "wheel" and not formats.wheels(self.name):
            return Unusable(self.name, "format", "wheels are ruled out by --no-binary")
        if file.kind == "sdist" and not formats.sdists(self.name):
            return Unusable(self.name, "format", "building is ruled out by --only-binary")
        if self._early is False and self.universe.prereleases >> number & 1:
            return Unusable(self.name, "early")
        if file.requires_python and not self.environment.admits_python(file.requires_python):
            return Unusable(self.name, "python", file.requires_python)
        if file.yanked is not None and not self.pinned >> number & 1:
            return Unusable(self.name, "yanked", file.yanked)
        if (self.hashes or self._needs_hash) and f"sha256:{file.sha256}" not in self.hashes:
            return Unusable(self.name, "hash")
        return None


WITH_BUILD = 5
"""Hyphens in the name of a wheel that has a build tag."""
SOURCE = 1 << 40
FOREIGN = 1 << 41
NO_FILES = Unusable("", "metadata", "no files")
_WEIGHT: dict[Obstacle, int] = {
    "yanked": 0,
    "python": 1,
    "platform": 2,
    "format": 3,
    "early": 4,
    "hash": 5,
    "date": 6,
    "metadata": 7,
    "url": 8,
}


def _uploaded_before(file: CandidateFile, moment: float) -> bool:
    return file.upload_time is not None and file.upload_time < moment


def _metadata_order(ranked: list[tuple[int, CandidateFile]]) -> list[CandidateFile]:
    """Read a fitting wheel's metadata; else any wheel's, since that spares a build; else source."""
    files = [file for rank, file in ranked if rank < SOURCE]
    if not files:
        files = [file for rank, file in ranked if rank == FOREIGN][:1]
    return files[:2] + [file for rank, file in ranked if rank == SOURCE][:1]


def build_number(file: CandidateFile) -> tuple[int, str]:
    """Return a wheel's build tag in the order of PEP 427; higher is newer."""
    wheel = wheel_name(file.filename)
    build = wheel.build if wheel else ""
    digits = build[: len(build) - len(build.lstrip("0123456789"))]
    return int(digits or 0), build[len(digits) :]
