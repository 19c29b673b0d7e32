"""Facts and rules, as the solver wants them: numbered packages, sets, one choice at a time.

A package of the solver is a project or one extra of a project. An extra has the versions of
its project and requires the very same one, so that asking for `foo[bar]` in one place and for
`foo` in another meets in one version, and stays so when the search walks back.

Only `Lacking` interrupts: it says what must be known before the solver can take its next step.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from dpip.resolve.candidates import Candidates
from dpip.resolve.environment import Forked
from dpip.resolve.facts import Project, Requirement, Unavailable
from dpip.resolve.reasons import Constrained, NotFound, Requires, SameVersion, Unusable
from dpip.resolve.solver import Edge, Refused
from dpip.resolve.versions import ABSENT, Universe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dpip.resolve.algebra import Marker
    from dpip.resolve.environment import Environment
    from dpip.resolve.facts import CandidateFile, Dependencies, Direct, Facts
    from dpip.resolve.incompatibility import Package, Versions
    from dpip.resolve.request import Given, Request
    from dpip.resolve.solver import Solver


class Lacking(Exception):
    """The solver cannot go on without these facts."""

    def __init__(
        self, projects: tuple[str, ...] = (), metadata: tuple[CandidateFile, ...] = ()
    ) -> None:
        super().__init__(projects, metadata)
        self.projects = projects
        self.metadata = metadata


class Key(NamedTuple):
    """What a package of the solver is: a project, or an extra of it."""

    name: str
    extra: str = ""

    def __str__(self) -> str:
        return f"{self.name}[{self.extra}]" if self.extra else self.name


class Catalog:
    """Every project that was looked at: its candidates, or why there are none."""

    def __init__(
        self,
        request: Request,
        environment: Environment,
        facts: Facts,
        directs: Mapping[str, Direct],
    ) -> None:
        self.request = request
        self.environment = environment
        self.facts = facts
        self.directs = directs
        self.given = by_name(request.requirements)
        self.constraints = by_name(request.constraints)
        self.overrides = by_name(request.overrides)
        self._candidates: dict[str, Candidates] = {}

    def candidates(self, name: str) -> Candidates | None:
        """Return a project's candidates; None as long as its page is not known."""
        found = self._candidates.get(name)
        if found is None:
            page = self._page(name)
            if page is None:
                return None
            given = self._pins(name)
            fresh = Candidates(self.request, self.environment, page, given)
            # Threads that look ahead make them too: the first one made is everybody's.
            found = self._candidates.setdefault(name, fresh)
        return found

    def _page(self, name: str) -> Project | NotFound | None:
        direct = self.directs.get(name)
        if direct is not None:
            return Project(name, (direct.dependencies.version,), ((direct.file,),))
        page = self.facts.project(name)
        return NotFound(name, page) if isinstance(page, Unavailable) else page

    def _pins(self, name: str) -> tuple[Given, ...]:
        """Return what the user wrote about a project, as far as it is for this environment."""
        sources = (self.given, self.constraints, self.overrides)
        return tuple(
            given
            for source in sources
            for given in source.get(name, ())
            if self.environment.active(given.requirement.marker)
        )

    def dependencies(self, name: str, file: CandidateFile) -> Dependencies | Unavailable | None:
        """Return what a candidate's metadata says, if it is known."""
        direct = self.directs.get(name)
        return self.facts.dependencies(file) if direct is None else direct.dependencies

    def active(self, requirements: tuple[Requirement, ...], extra: str) -> list[Requirement]:
        """Return the requirements that hold in the target environment, overrides in place.

        With an extra: only those that hold because of it.
        """
        environment, found = self.environment, []
        for each in requirements:
            if extra and "extra" not in each.marker:
                continue
            if environment.active(each.marker, extra):
                found += self._overridden(each)
        return found

    def _overridden(self, requirement: Requirement) -> list[Requirement]:
        overrides = self.overrides.get(requirement.name)
        if overrides is None:
            return [requirement]
        return [
            Requirement(
                requirement.name,
                given.requirement.specifier,
                tuple(sorted({*requirement.extras, *given.requirement.extras})),
                _and(requirement.marker, given.requirement.marker),
                given.requirement.url,
            )
            for given in overrides
            if self.environment.active(given.requirement.marker)
        ]


def _and(left: str, right: str) -> str:
    return f"({left}) and ({right})" if left and right else left or right


def by_name(givens: tuple[Given, ...]) -> dict[str, list[Given]]:
    """Group what the user wrote by project."""
    found: dict[str, list[Given]] = {}
    for given in givens:
        found.setdefault(given.requirement.name, []).append(given)
    return found


class IndexProvider:
    """The solver's view of a catalog. Package 0 is the user's own list of requirements."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self.keys: list[Key] = [Key("")]
        self._numbers: dict[Key, Package] = {Key(""): 0}
        self._requirements: dict[tuple[Package, Versions], list[Requires]] = {}

    def universe(self, package: Package) -> Versions:
        """Return all versions of a package, "absent" included."""
        return self.universe_of(package).everything

    def universe_of(self, package: Package) -> Universe:
        """Return the numbered versions of a package; the root has one."""
        return self._candidates(package).universe if package else ROOT_UNIVERSE

    def _candidates(self, package: Package) -> Candidates:
        found = self.catalog.candidates(self.keys[package].name)
        assert found is not None
        return found

    def number(self, key: Key) -> Package | None:
        """Return the number of a package that the solver has seen."""
        return self._numbers.get(key)

    def is_pinned(self, package: Package) -> bool:
        """Say whether a package comes from a direct URL (or is the root)."""
        return package == 0 or self.keys[package].name in self.catalog.directs

    def leader(self, package: Package) -> Package:
        """Return a project for its extra, else the package itself."""
        key = self.keys[package]
        return self._numbers[Key(key.name)] if key.extra else package

    def choose(self, package: Package, allowed: Versions, solver: Solver) -> Versions | Refused:
        """Return the version to try. Raises Lacking."""
        if package == 0:
            return 2
        if self.keys[package].extra:
            choice = self._follow(package, allowed, solver)
        else:
            choice = self._pick(package, allowed)
        return self._refuse_urls(package, choice) if isinstance(choice, int) else choice

    def _pick(self, package: Package, allowed: Versions) -> Versions | Refused:
        candidates = self._candidates(package)
        choice = candidates.choose(allowed, lambda file: self._metadata(candidates.name, file))
        if isinstance(choice, int):
            return choice
        return Refused({package: choice.versions}, choice.reason)

    def _refuse_urls(self, package: Package, version: Versions) -> Versions | Refused:
        """Refuse a version that requires a URL which the user did not name."""
        directs = self.catalog.directs
        for reason in self.requirements(package, version):
            name, url = reason.requirement.name, reason.requirement.url
            if url and (name not in directs or directs[name].url != url):
                fact = Unusable(self.keys[package].name, "url", str(reason.requirement))
                return Refused({package: version}, fact)
        return version

    def _follow(self, package: Package, allowed: Versions, solver: Solver) -> Versions | Refused:
        """Choose for an extra what was decided for its project."""
        leader = self.leader(package)
        decided = solver.partial.decided[leader]
        if decided & allowed:
            return decided
        key = self.keys[package]
        others = self.universe(package) & ~decided & ~ABSENT
        return Refused({leader: decided, package: others}, SameVersion(key.name, key.extra))

    def _metadata(self, name: str, file: CandidateFile) -> Dependencies | Unavailable:
        found = self.catalog.dependencies(name, file)
        if found is None:
            raise Lacking(metadata=(file,))
        return found

    def edges(self, package: Package, version: Versions, solver: Solver) -> Iterator[Edge]:
        """Yield what a version requires, known packages first. Raises Lacking."""
        key = self.keys[package]
        if key.extra:
            yield Edge(self.leader(package), version, SameVersion(key.name, key.extra))
        requirements = self.requirements(package, version)
        later: list[tuple[Key, Requires]] = []
        for reason in requirements:
            for wanted in keys_of(reason.requirement):
                number = self._numbers.get(wanted)
                if number is None:
                    later.append((wanted, reason))
                else:
                    yield Edge(number, self._admitted(wanted.name, reason), reason)
        lacking = [key.name for key, _ in later if self.catalog.candidates(key.name) is None]
        if lacking:
            raise Lacking(projects=tuple(dict.fromkeys(lacking)))
        for wanted, reason in later:
            yield Edge(self._number(wanted, solver), self._admitted(wanted.name, reason), reason)

    def requirements(self, package: Package, version: Versions) -> list[Requires]:
        """Return what a version requires in the target environment."""
        found = self._requirements.get((package, version))
        if found is None:
            found = self._read(package, version)
            extra = self.keys[package].extra
            parts = self.catalog.environment.forks(self._bounds(found, extra))
            if parts:
                raise Forked(parts)
            self._requirements[package, version] = found
        return found

    def _bounds(self, found: list[Requires], extra: str) -> Iterator[tuple[Requirement, str]]:
        """Yield requirements, each with the extra that it was asked under, and constraints."""
        yield from ((each.requirement, extra) for each in found)
        for name in dict.fromkeys(each.requirement.name for each in found):
            for given in self.catalog.constraints.get(name, ()):
                yield given.requirement, ""

    def links(self, package: Package, version: Versions) -> Iterator[tuple[Package, Marker]]:
        """Yield the packages that a version of an answer requires, and under which marker."""
        from dpip.resolve import algebra

        key = self.keys[package]
        if key.extra:
            yield self.leader(package), algebra.TRUE
        for reason in self.requirements(package, version):
            marker = algebra.given_extra(algebra.of(reason.requirement.marker), key.extra)
            for wanted in keys_of(reason.requirement):
                yield self._numbers[wanted], marker

    def _read(self, package: Package, version: Versions) -> list[Requires]:
        if package == 0:
            return [
                Requires("", requirement, given.origin)
                for given in self.catalog.request.requirements
                for requirement in self.catalog.active((given.requirement,), "")
            ]
        key, candidates = self.keys[package], self._candidates(package)
        parent = f"{key} {candidates.universe.text(version.bit_length() - 1)}"
        record = candidates.record(version)
        return [Requires(parent, each) for each in self.catalog.active(record.requires, key.extra)]

    def _admitted(self, name: str, reason: Requires) -> Versions:
        candidates = self.catalog.candidates(name)
        assert candidates is not None
        return candidates.admitted(reason.requirement)

    def _number(self, key: Key, solver: Solver) -> Package:
        """Return a package's number, announcing it and what limits it where it is new."""
        number = self._numbers.get(key)
        if number is not None:
            return number
        number = self._numbers[key] = solver.add(self._everything(key.name))
        self.keys.append(key)
        if not key.extra:
            self._constrain(number, solver)
        return number

    def _everything(self, name: str) -> Versions:
        candidates = self.catalog.candidates(name)
        assert candidates is not None
        return candidates.universe.everything

    def _constrain(self, package: Package, solver: Solver) -> None:
        environment, candidates = self.catalog.environment, self._candidates(package)
        for given in self.catalog.constraints.get(self.keys[package].name, ()):
            if environment.active(given.requirement.marker):
                admitted = candidates.admitted(given.requirement)
                left_out = candidates.universe.released & ~admitted
                if left_out:
                    solver.forbid({package: left_out}, Constrained(given))


ROOT_UNIVERSE = Universe(("0",))


def keys_of(requirement: Requirement) -> list[Key]:
    """Return the packages that a requirement is about: the project, then its extras."""
    name = requirement.name
    return [Key(name), *(Key(name, extra) for extra in requirement.extras)]
