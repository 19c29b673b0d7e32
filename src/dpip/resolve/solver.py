"""PubGrub: version solving that learns from every dead end.

The loop has two beats. *Propagate*: an incompatibility whose terms all hold but one says that
the last must not; derive that, and go on until nothing more follows. *Decide*: pick a version
for one package that must be installed, and add what that version requires. When propagation
finds an incompatibility of which every term holds, that is a conflict: walk back along the
trail, resolving the conflict with the cause of its newest term, until the result points at an
earlier decision. The result is kept, so that no part of the search makes this mistake twice.
If it comes down to "the root cannot be", there is no answer, and the result's ancestry is the
proof (see `explain`).

Theory: Natalie Weizenbaum's "PubGrub: Next-Generation Version Solving" and its specification
in the Dart project. The sets of versions are integers and "absent" is one of their members
(see `versions`), which makes positive and negative terms the same thing.

Two additions make it fast on real indexes:

* A version whose requirements contradict what is already known is refused before it is
  decided, without looking at the rest of its requirements.
* Conflicts are counted. A package that keeps losing against earlier decisions is decided
  earlier from then on, and the package that it loses against later: the search goes back to
  before the culprit, once, instead of walking down all versions of the victim.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from dpip.resolve.incompatibility import External, Incompatibility, Learned, resolve_on
from dpip.resolve.partial_solution import PartialSolution
from dpip.resolve.versions import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpip.resolve.incompatibility import Package, Versions
    from dpip.resolve.partial_solution import Assignment

ROOT: Package = 0
ROOT_MUST_BE = "the root must be"
"""The first fact of every search."""
CONFLICTS_BEFORE_SWAP = 2
"""Losses that are put down to chance. On recorded indexes 2 tries a third fewer versions than 5."""


class Refused(NamedTuple):
    """Terms that cannot all hold, `choose`'s package among them, and the provider's reason."""

    terms: dict[Package, Versions]
    fact: Any


class Edge(NamedTuple):
    """A requirement of a version: `package` must be in `admitted`."""

    package: Package
    admitted: Versions
    fact: Any


class Provider(Protocol):
    """What the solver asks about packages, which it knows by number only.

    Any method may raise for want of a fact; nothing has changed then, and the call is
    repeated when the solver runs again. Answers depend on facts and arguments alone.
    """

    def universe(self, package: Package) -> Versions:
        """Return all versions of a package, "absent" included."""
        ...

    def choose(self, package: Package, allowed: Versions, solver: Solver) -> Versions | Refused:
        """Return the one version of `allowed` to try, or why (some of) it cannot be."""
        ...

    def edges(self, package: Package, version: Versions, solver: Solver) -> Iterator[Edge]:
        """Yield what a version requires; first what concerns packages already known.

        A package that is new is announced with `solver.add`, in the order of first sight.
        """
        ...

    def is_pinned(self, package: Package) -> bool:
        """Say whether a package is to be decided before all others (a direct URL)."""
        ...

    def leader(self, package: Package) -> Package:
        """Return the package that must be decided before this one, or itself."""
        ...


class NoAnswer(Exception):
    """There is no answer. `proof` is an incompatibility that forbids the root itself."""

    def __init__(self, proof: Incompatibility) -> None:
        super().__init__("no answer")
        self.proof = proof


class Solver:
    """One search. It can be interrupted by the provider and run again."""

    def __init__(self, provider: Provider) -> None:
        self.provider = provider
        self.partial = PartialSolution()
        self.tries = 0
        """Versions that were tried, for statistics."""
        self.conflicts = 0
        self._everything: list[Versions] = []
        self._involving: list[list[Incompatibility]] = []
        self._requirements: dict[tuple[Package, Package, Versions], Incompatibility] = {}
        self._losses: dict[Package, int] = {}
        self._wins: dict[Package, int] = {}
        self._new_winners: list[Package] = []
        self._changed: list[Package] = [ROOT]
        self.add(provider.universe(ROOT))
        self.forbid({ROOT: ABSENT}, ROOT_MUST_BE)

    def add(self, everything: Versions) -> Package:
        """Announce a package and return its number."""
        self._everything.append(everything)
        self._involving.append([])
        self.partial.add(everything)
        return len(self._everything) - 1

    def forbid(self, terms: dict[Package, Versions], fact: Any) -> Incompatibility:
        """Add an incompatibility from outside; it takes effect with the next propagation."""
        return self.take(terms, External(fact))

    def take(self, terms: dict[Package, Versions], cause: External | Learned) -> Incompatibility:
        """Add an incompatibility whose cause is known."""
        # A term that admits everything always holds: it says nothing.
        telling = {p: term for p, term in terms.items() if term != self._everything[p]}
        return self._remember(Incompatibility(telling, cause))

    def run(self) -> dict[Package, Versions]:
        """Return the version of every package of the answer. Raises NoAnswer."""
        while True:
            self._propagate()
            package = self._next()
            if package is None:
                return dict(self.partial.decided)
            self._decide(package)

    def undecided(self) -> list[Package]:
        """Return the packages that must be installed and have no version yet, by number."""
        decided = self.partial.decided
        return [
            package
            for package, remaining in enumerate(self.partial.remaining)
            if not remaining & ABSENT and package not in decided
        ]

    def _next(self) -> Package | None:
        package = min(self.undecided(), key=self._urgency, default=None)
        if package is None:
            return None
        leader = self.provider.leader(package)
        return package if leader in self.partial.decided else leader

    def _urgency(self, package: Package) -> tuple[int, Package]:
        """Rank a package: pinned by URL, losing, down to one version, winning, then the rest."""
        if self.provider.is_pinned(package):
            return 0, package
        if self._losses.get(package, 0) >= CONFLICTS_BEFORE_SWAP:
            return 1, package
        remaining = self.partial.remaining[package]
        if not remaining & (remaining - 1):
            return 2, package
        return (3 if self._wins.get(package, 0) >= CONFLICTS_BEFORE_SWAP else 4), package

    def _decide(self, package: Package) -> None:
        choice = self.provider.choose(package, self.partial.remaining[package], self)
        if isinstance(choice, Refused):
            self.forbid(choice.terms, choice.fact)
            self._changed.append(package)
            return
        refusal = self._require(package, choice)
        self._changed.append(package)
        if refusal is None:
            self.partial.decide(package, choice)
        else:
            self._blame(package, refusal)
            self._swap()

    def _require(self, package: Package, version: Versions) -> Incompatibility | None:
        """Add what a version requires; return the first requirement that cannot be met."""
        for edge in self.provider.edges(package, version, self):
            refusal = self._add_edge(package, version, edge)
            if refusal is not None:
                return refusal
        self.tries += 1
        return None

    def _add_edge(self, package: Package, version: Versions, edge: Edge) -> Incompatibility | None:
        """Add one requirement; return it if it cannot be met as things stand."""
        if edge.package == package:
            # On itself: either it says nothing, or it can never be met.
            met = version & edge.admitted
            return None if met else self.forbid({package: version}, edge.fact)
        key = package, edge.package, edge.admitted
        added = self._requirements.get(key)
        if added is None:
            forbidden = self._everything[edge.package] & ~edge.admitted
            added = self.forbid({package: version, edge.package: forbidden}, edge.fact)
            self._requirements[key] = added
        else:
            added.widen(package, version)
        return None if self.partial.remaining[edge.package] & edge.admitted else added

    def _remember(self, incompatibility: Incompatibility) -> Incompatibility:
        for package in incompatibility.terms:
            self._involving[package].append(incompatibility)
        return incompatibility

    def _propagate(self) -> None:
        changed = self._changed
        while changed:
            # Newest first: learned incompatibilities are the strongest.
            for incompatibility in reversed(self._involving[changed.pop()]):
                if self._apply(incompatibility):
                    break

    def _apply(self, incompatibility: Incompatibility) -> bool:
        """Derive what an incompatibility forbids now; True where it was a conflict."""
        remaining, open_package = self.partial.remaining, -1
        for package, term in incompatibility.terms.items():
            left = remaining[package]
            if left & ~term:
                if open_package >= 0 or not left & term:
                    return False
                open_package = package
        if open_package >= 0:
            term = incompatibility.terms[open_package]
            self.partial.derive(open_package, term, incompatibility)
            self._changed.append(open_package)
            return False
        self.conflicts += 1
        learned = self._learn(incompatibility)
        self._changed.clear()
        self._changed.extend(learned.terms)
        self._swap()
        return True

    def _learn(self, conflict: Incompatibility) -> Incompatibility:
        """Walk back to the decision that is to blame; return what it taught. Raises NoAnswer."""
        current = conflict
        while True:
            if not {p: term for p, term in current.terms.items() if p != ROOT or term == ABSENT}:
                raise NoAnswer(current)
            newest, level = self._latest(current)
            if newest.cause is None or level < newest.level:
                if current is not conflict:
                    self._remember(current)
                self.partial.backtrack(level)
                return current
            self._blame(newest.package, newest.cause)
            everything = self._everything[newest.package]
            current = resolve_on(newest.package, everything, current, newest.cause)

    def _latest(self, conflict: Incompatibility) -> tuple[Assignment, int]:
        """Return the last satisfier, and the level at which all the others already held."""
        newest, level = None, 0
        for package, term in conflict.terms.items():
            step = self.partial.satisfier(package, term)
            if step is None:
                continue
            if newest is None or step.position > newest.position:
                if newest is not None:
                    level = max(level, newest.level)
                newest = step
            else:
                level = max(level, step.level)
        assert newest is not None
        return newest, max(level, self._level_without(newest, conflict.terms[newest.package]))

    def _level_without(self, newest: Assignment, term: Versions) -> int:
        """Return since when the term would hold given `newest` alone on top of what was."""
        wider = term | (self._everything[newest.package] & ~newest.granted)
        step = self.partial.satisfier(newest.package, wider)
        return 0 if step is None else step.level

    def _blame(self, loser: Package, incompatibility: Incompatibility) -> None:
        others = [package for package in incompatibility.terms if package not in {loser, ROOT}]
        for package in others:
            self._wins[package] = self._wins.get(package, 0) + 1
            if self._wins[package] == CONFLICTS_BEFORE_SWAP:
                self._new_winners.append(package)
        if others:
            self._losses[loser] = self._losses.get(loser, 0) + 1

    def _swap(self) -> None:
        """Go back to before a decision that has won too often, so that others come first."""
        for package in self._new_winners:
            if package in self.partial.decided and not self._had_no_choice(package):
                self.partial.backtrack(self.partial.level_of(package) - 1)
        self._new_winners.clear()

    def _had_no_choice(self, package: Package) -> bool:
        before = self.partial.before_decision(package)
        return self.provider.is_pinned(package) or not before & (before - 1)


def ancestry(proof: Incompatibility) -> Iterator[Incompatibility]:
    """Yield an incompatibility and everything that it follows from, each once."""
    seen: set[int] = set()
    stack = [proof]
    while stack:
        current = stack.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if isinstance(current.cause, Learned):
            stack += [current.cause.right, current.cause.left]
