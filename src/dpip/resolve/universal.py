"""One answer for all environments: solve apart only what cannot be solved together.

A `Scope` is a set of environments, given by a marker. Within it a requirement counts if its
marker can hold at all, so one version must do for everybody. Where that is asking too much the
scope is split and its parts are solved one after the other:

* requirements of one version on the same project disagree, under different markers;
* a requirement is for newer Pythons only: what it leads to may be new, too;
* a version needs a newer Python than the oldest of the scope, and there are newer ones in it;
* a version has no file for one of the environments that the user requires.

The parts make up the whole, so every environment has exactly one answer. A later part takes
the versions of earlier parts where it can. In the end each pin's marker is read off the
answer: it is needed where something that is needed requires it.

Splits follow from the requirements alone, in their order; nothing is carried over from an
earlier run, so a second run makes the same ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from msgspec.structs import replace
from packaging.version import Version

from dpip.resolve import algebra, directs, simplify, tag_markers
from dpip.resolve.algebra import FALSE, PYTHON, TRUE, Cut, both, either, without
from dpip.resolve.environment import Forked
from dpip.resolve.facts import Wants
from dpip.resolve.names import wheel_name
from dpip.resolve.requires_python import lower_bounds
from dpip.resolve.resolution import Impossible, NeedMore, Pin, Solution, Statistics
from dpip.resolve.search import Search

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from dpip.resolve.algebra import Marker
    from dpip.resolve.environment import Target
    from dpip.resolve.facts import CandidateFile, Direct, Facts, Requirement
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Outcome


@dataclass(frozen=True, slots=True)
class Whole:
    """What all parts of a universal request have in common."""

    marker: Marker
    home: Target
    """The environment whose files metadata is read from where there is a choice."""
    required: tuple[Marker, ...]
    """Environments that every choice must have a file for."""


ELSEWHERE = 1 << 30
"""The rank of wheels for other platforms: after all that fit the target, before source."""


class Scope:
    """The environments under one marker, a part of (or all of) a whole."""

    def __init__(self, whole: Whole, marker: Marker) -> None:
        self.whole = whole
        self.marker = marker
        lowest, _ = algebra.python_bounds(marker)
        self.oldest = lowest or Cut(Version("0"), after=False)
        self._active: dict[tuple[str, str], bool] = {}

    def active(self, marker: str, extra: str = "") -> bool:
        """Say whether a marker can hold somewhere in the scope."""
        if not marker:
            return True
        key = marker, extra
        found = self._active.get(key)
        if found is None:
            meaning = algebra.given_extra(algebra.of(marker), extra)
            found = self._active[key] = not algebra.is_disjoint(self.marker, meaning)
        return found

    def admits_python(self, requires_python: str) -> bool:
        """Say whether a Requires-Python lets the oldest Python of the scope in."""
        return all(needed <= self.oldest for needed in _lowest(requires_python))

    def rank(self, filename: str) -> int | None:
        """Rank any wheel that some Python of the whole can use, those for the target first.

        Metadata is then read from the same files as for the target alone, in every part.
        """
        wheel = wheel_name(filename)
        if wheel is None or algebra.is_disjoint(tag_markers.pythons(wheel), self.whole.marker):
            return None
        rank = self.whole.home.rank(filename)
        return ELSEWHERE if rank is None else rank

    def forks(self, requirements: Iterable[tuple[Requirement, str]]) -> tuple[Scope, ...]:
        """Split where requirements on one project disagree, or one is for newer Pythons only.

        Each requirement comes with the extra that it was asked under. Nothing: no reason to.
        """
        groups: dict[str, dict[Marker, set[tuple[str, str]]]] = {}
        for each, extra in requirements:
            meaning = algebra.given_extra(algebra.of(each.marker), extra)
            group = groups.setdefault(each.name, {})
            group.setdefault(both(meaning, self.marker), set()).add((each.specifier, each.url))
        parts = [self.marker]
        for group in groups.values():
            disagree = len(group) > 1 and len(set.union(*group.values())) > 1
            for meaning in group:
                if disagree or self._is_newer(meaning):
                    parts = [piece for part in parts for piece in _cut(part, meaning)]
        return self._parts(parts)

    def _is_newer(self, meaning: Marker) -> bool:
        """Say whether a marker leaves out the oldest Pythons of the scope."""
        lowest, _ = algebra.python_bounds(meaning)
        return lowest is not None and lowest > self.oldest

    def python_forks(self, requires_python: str) -> tuple[Scope, ...]:
        """Split at the Python that a version needs, if the scope has both older and newer."""
        bounds = _lowest(requires_python)
        if not bounds:
            return ()
        return self._parts(_cut(self.marker, algebra.between(PYTHON, max(bounds), None)))

    def platform_forks(self, files: Sequence[CandidateFile]) -> tuple[Scope, ...] | None:
        """Return () if files suit all required environments, how to split, or None if not."""
        if any(file.kind == "sdist" for file in files):
            return ()
        covered: Marker = FALSE
        for file in files:
            wheel = wheel_name(file.filename)
            covered = either(covered, TRUE if wheel is None else tag_markers.platforms(wheel))
        for required in self.whole.required:
            here = both(self.marker, required)
            if algebra.is_possible(here) and algebra.is_disjoint(covered, here):
                # The part with more choice goes first, so that it is not held back.
                return self._parts(_cut(self.marker, required)[::-1]) or None
        return ()

    def _parts(self, parts: Sequence[Marker]) -> tuple[Scope, ...]:
        return tuple(Scope(self.whole, part) for part in parts) if len(parts) > 1 else ()


@lru_cache(maxsize=4096)
def _lowest(requires_python: str) -> tuple[Cut, ...]:
    """Return where each lower bound of a Requires-Python begins on the line of versions."""
    return tuple(
        Cut(Version(clause.version), after=clause.operator == ">")
        for clause in lower_bounds(requires_python)
        if clause.operator in {">=", ">"}
    )


def _cut(part: Marker, at: Marker) -> list[Marker]:
    pieces = (both(part, at), without(part, at))
    return [piece for piece in pieces if algebra.is_possible(piece)]


def whole(request: Request) -> Scope:
    """Return the scope of a universal request: its Pythons, everything else left open."""
    wanted = request.requires_python or f">={request.target.variables['python_version']}"
    marker: Marker = TRUE
    for clause in wanted.split(","):
        operator = clause.strip().rstrip("0123456789.*abrc")
        version = clause.strip()[len(operator) :].strip()
        marker = both(marker, algebra.of(f"{PYTHON} {operator.strip()} '{version}'"))
    required = tuple(algebra.of(each) for each in request.required_environments)
    return Scope(Whole(marker, request.target, required), marker)


def _by_urls(scope: Scope, request: Request) -> list[Scope]:
    """Split where a direct requirement holds in a part only: elsewhere the index decides."""
    parts = [scope.marker]
    for given in (*request.requirements, *request.constraints, *request.overrides):
        if given.requirement.url and given.requirement.marker:
            meaning = algebra.of(given.requirement.marker)
            parts = [piece for part in parts for piece in _cut(part, meaning)]
    return [Scope(scope.whole, part) for part in parts]


class UniversalSearch:
    """The search over all parts of a scope, kept between rounds."""

    def __init__(self, request: Request, facts: Facts) -> None:
        self.request, self.facts = request, facts
        self.scope = whole(request)
        self.waiting = list(_by_urls(self.scope, request))
        self.answers: list[tuple[Scope, list[Pin], dict[tuple[str, str], Marker]]] = []
        self.statistics = Statistics()
        self.warnings: set[str] = set()
        self._search: Search | None = None

    def run(self) -> Outcome:
        """Go on until every part is solved, one is impossible, or a fact is lacking."""
        while self.waiting:
            scope = self.waiting[0]
            try:
                if self._search is None:
                    found = directs.gather(self.request, scope, self.facts)
                    if isinstance(found, Wants):
                        return NeedMore(found)
                    self._search = self._open(scope, found)
                outcome = self._search.run()
            except Forked as fork:
                self._search = None
                self.waiting[:1] = [part for part in fork.parts if isinstance(part, Scope)]
                continue
            if isinstance(outcome, NeedMore):
                return outcome
            if isinstance(outcome, Impossible):
                return self._named(outcome, scope)
            self._keep(scope, self._search, outcome)
        return self._joined()

    def _open(self, scope: Scope, found: Mapping[str, Direct]) -> Search:
        request = replace(self.request, preferences=self._preferences())
        return Search(directs.named(request, found), scope, self.facts, found)

    def _preferences(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = dict(self.request.preferences)
        for _, answer, _ in self.answers:
            for pin in answer:
                found[pin.name] = (*found.get(pin.name, ()), pin.version)
        return found

    def _keep(self, scope: Scope, search: Search, outcome: Solution) -> None:
        self.answers.append((scope, list(outcome.pins), reach(search, scope)))
        self.statistics = Statistics(
            self.statistics.tries + outcome.statistics.tries,
            self.statistics.conflicts + outcome.statistics.conflicts,
        )
        self.warnings.update(outcome.warnings)
        del self.waiting[0]
        self._search = None

    def _named(self, outcome: Impossible, scope: Scope) -> Impossible:
        where = simplify.text(scope.marker, self.scope.marker)
        return Impossible(replace(outcome.explanation, environment=where)) if where else outcome

    def _joined(self) -> Solution:
        found: dict[tuple[str, str, str], tuple[Pin, Marker]] = {}
        for _, answer, needed in self.answers:
            for pin in answer:
                where = needed.get((pin.name, pin.version), FALSE)
                if algebra.is_possible(where):
                    key = pin.name, pin.version, pin.url
                    before = found.get(key)
                    found[key] = _join(before, pin, where)
        whole = self.scope.marker
        ordered = sorted(found.values(), key=lambda each: (each[0].name, Version(each[0].version)))
        texts = [simplify.text(scope.marker, whole) for scope, _, _ in self.answers]
        return Solution(
            tuple(replace(pin, marker=simplify.text(where, whole)) for pin, where in ordered),
            self.statistics,
            tuple(sorted(self.warnings)),
            tuple(texts) if len(texts) > 1 else (),
        )


def _join(before: tuple[Pin, Marker] | None, pin: Pin, where: Marker) -> tuple[Pin, Marker]:
    if before is None:
        return pin, where
    other, elsewhere = before
    files = (*other.files, *(file for file in pin.files if file not in other.files))
    joined = replace(
        other,
        files=files,
        extras=tuple(sorted({*other.extras, *pin.extras})),
        requires=tuple(sorted({*other.requires, *pin.requires})),
        wanted_by=tuple(sorted({*other.wanted_by, *pin.wanted_by})),
    )
    return joined, either(elsewhere, where)


def reach(search: Search, scope: Scope) -> dict[tuple[str, str], Marker]:
    """Return where in a scope each pin of its answer is needed.

    A package is needed where something needed requires it; found by following requirements
    from the root until nothing is added.
    """
    provider, decided = search.provider, search.decided
    needed: dict[int, Marker] = dict.fromkeys(decided, FALSE)
    needed[0] = scope.marker
    queue = [0]
    while queue:
        package = queue.pop()
        for edge, marker in provider.links(package, decided[package]):
            wider = either(needed[edge], both(needed[package], marker))
            if wider is not needed[edge]:
                needed[edge] = wider
                queue.append(edge)
    return {
        (key.name, provider.universe_of(package).text(decided[package].bit_length() - 1)): where
        for package, where in needed.items()
        if package and not (key := provider.keys[package]).extra
    }
