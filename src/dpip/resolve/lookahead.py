"""What the solver will ask next: one round trip for many questions.

The solver stops at the first fact that it lacks. Before the round goes out, the rest of the
search is played through on what is known: every package that must be installed and has no
version yet takes its best candidate, a candidate whose requirements contradict what is decided
gives way to the next one, requirements of known candidates are followed. Whatever is unknown
on the way is asked for in the same round. This is a guess about the future that costs nothing
when it is wrong: only which facts are fetched depends on it, never what the solver decides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.resolve.facts import Dependencies, Wants
from dpip.resolve.onward import Onward
from dpip.resolve.provider import keys_of
from dpip.resolve.reasons import Unusable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpip.resolve.candidates import Candidates
    from dpip.resolve.facts import CandidateFile, Requirement
    from dpip.resolve.incompatibility import Versions
    from dpip.resolve.provider import IndexProvider, Key, Lacking
    from dpip.resolve.solver import Solver

MOST_AHEAD = 50


def foresee(provider: IndexProvider, solver: Solver, lacking: Lacking) -> Wants:
    """Return what is lacking now, and all that probably will be."""
    return _Foresight(provider, solver, lacking).wants()


class _Foresight:
    def __init__(self, provider: IndexProvider, solver: Solver, lacking: Lacking) -> None:
        self.provider, self.solver = provider, solver
        self.catalog = provider.catalog
        self.projects = dict.fromkeys(lacking.projects)
        self.new: list[Requirement] = []
        """What brought projects into sight whose pages are not known."""
        self.metadata = {file.filename: file for file in lacking.metadata}
        self.ahead: dict[str, CandidateFile] = {}
        self.bounds: dict[Key, Versions] = {}

    def wants(self) -> Wants:
        partial, numbers = self.solver.partial, self.solver.undecided()
        level = {self.provider.keys[n]: partial.remaining[n] for n in numbers if n}
        if not numbers or 0 in numbers:
            level = self._admit(
                requires.requirement for requires in self.provider.requirements(0, 2)
            )
        while level:
            found = [each for key, allowed in level.items() for each in self._follow(key, allowed)]
            level = self._admit(found)
        ahead = [file for name, file in self.ahead.items() if name not in self.metadata]
        onward = Onward(self.catalog, reversed(self.new))
        metadata = tuple(self.metadata.values())
        return Wants(tuple(self.projects), metadata, ahead=tuple(ahead), onward=onward)

    def _admit(self, requirements: Iterable[Requirement]) -> dict[Key, Versions]:
        """Return the packages that come into sight, with what all of them together admit."""
        level: dict[Key, Versions] = {}
        for requirement in requirements:
            candidates = self.catalog.candidates(requirement.name)
            if candidates is None:
                self.projects[requirement.name] = None
                self.new.append(requirement)
                continue
            admitted = candidates.admitted(requirement)
            for key in keys_of(requirement):
                if key in level:
                    level[key] = level[key] & admitted or level[key]
                elif key not in self.bounds and not self._is_known(key):
                    level[key] = admitted
        self.bounds.update(level)
        return level

    def _is_known(self, key: Key) -> bool:
        """Say whether the solver already holds the package to be needed."""
        number = self.provider.number(key)
        return number is not None and not self.solver.partial.remaining[number] & 1

    def _follow(self, key: Key, allowed: Versions) -> list[Requirement]:
        """Return what the version requires that will probably be taken."""
        candidates = self.catalog.candidates(key.name)
        if candidates is None:
            self.projects[key.name] = None
            return []
        # What the search has tried and given up counts as passed over.
        passed = (candidates.read & ~allowed).bit_count()
        for number in candidates.in_order(allowed):
            files = candidates.files(number)
            if isinstance(files, Unusable):
                continue
            known = (self.catalog.dependencies(key.name, file) for file in files)
            first = next(known)
            if first is None:
                self._ask(candidates, allowed, number, passed)
                return []
            found = (each for each in (first, *known) if isinstance(each, Dependencies))
            record = next(found, None)
            if record is None:
                continue
            requirements = self.catalog.active(record.requires, key.extra)
            if not self._contradicts(requirements):
                return requirements
            passed += 1
        return []

    def _contradicts(self, requirements: list[Requirement]) -> bool:
        remaining = self.solver.partial.remaining
        for requirement in requirements:
            number = self.provider.number(keys_of(requirement)[0])
            if number is not None:
                candidates = self.catalog.candidates(requirement.name)
                if candidates and not remaining[number] & candidates.admitted(requirement):
                    return True
        return False

    def _ask(self, candidates: Candidates, allowed: Versions, first: int, passed: int) -> None:
        """Ask for a candidate; for the more below it, the more of them were passed over."""
        more = min(passed, MOST_AHEAD)
        wanted, below = self.metadata, (1 << (first + 1)) - 1
        for number in candidates.in_order(allowed & below):
            files = candidates.files(number)
            if isinstance(files, Unusable):
                continue
            if self.catalog.dependencies(candidates.name, files[0]) is None:
                wanted[files[0].filename] = files[0]
            wanted = self.ahead
            more -= 1
            if more < 0:
                return
