"""What is decided and derived so far: a trail that can be walked back.

For each package one set says what it can still be. A *decision* picks one version; a
*derivation* takes away what an incompatibility forbids. Both only ever shrink the set, so the
trail of a package is a falling chain of sets, and "since when does this term hold?" (its
satisfier) is the first link of the chain that lies inside the term.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from dpip.resolve.incompatibility import Incompatibility, Package, Versions


class Assignment(NamedTuple):
    """One link: after it, `package` can only be in `remaining`."""

    position: int
    """Where it stands in the whole trail."""
    level: int
    """How many decisions were made up to and with it."""
    package: Package
    granted: Versions
    """The set that this step alone says, before intersection with the earlier ones."""
    remaining: Versions
    cause: Incompatibility | None
    """None for a decision."""


class PartialSolution:
    """The trail. Packages are numbered from 0 in the order in which they were first seen."""

    def __init__(self) -> None:
        self.remaining: list[Versions] = []
        """By package: what it can still be."""
        self.decided: dict[Package, Versions] = {}
        """The one version of each decided package, in order of decision."""
        self.level = 0
        self._trail: list[Assignment] = []
        self._chains: list[list[Assignment]] = []
        self._everything: list[Versions] = []

    def add(self, everything: Versions) -> None:
        """Make room for the next package, of which nothing is known yet."""
        self.remaining.append(everything)
        self._everything.append(everything)
        self._chains.append([])

    def decide(self, package: Package, version: Versions) -> None:
        """Pick one version of a package; opens a new level."""
        self.level += 1
        self.decided[package] = version
        self._append(package, version, None)

    def derive(self, package: Package, forbidden: Versions, cause: Incompatibility) -> None:
        """Take away what an almost satisfied incompatibility forbids."""
        self._append(package, self._everything[package] & ~forbidden, cause)

    def _append(self, package: Package, granted: Versions, cause: Incompatibility | None) -> None:
        remaining = self.remaining[package] & granted
        step = Assignment(len(self._trail), self.level, package, granted, remaining, cause)
        self._trail.append(step)
        self._chains[package].append(step)
        self.remaining[package] = remaining

    def satisfier(self, package: Package, term: Versions) -> Assignment | None:
        """Return the step since which `package` is within `term`; None: from the start."""
        if not self._everything[package] & ~term:
            return None
        for step in self._chains[package]:
            if not step.remaining & ~term:
                return step
        raise AssertionError("asked for the satisfier of a term that does not hold")

    def backtrack(self, level: int) -> None:
        """Forget everything after the given number of decisions."""
        while self._trail and self._trail[-1].level > level:
            step = self._trail.pop()
            chain = self._chains[step.package]
            chain.pop()
            before = chain[-1].remaining if chain else self._everything[step.package]
            self.remaining[step.package] = before
            if step.cause is None:
                del self.decided[step.package]
        self.level = level

    def level_of(self, package: Package) -> int:
        """Return the level that was opened by deciding a package."""
        return self._chains[package][self._decision(package)].level

    def before_decision(self, package: Package) -> Versions:
        """Return what a decided package could still be just before it was decided."""
        place = self._decision(package)
        return self._chains[package][place - 1].remaining if place else self._everything[package]

    def _decision(self, package: Package) -> int:
        return next(n for n, step in enumerate(self._chains[package]) if step.cause is None)
