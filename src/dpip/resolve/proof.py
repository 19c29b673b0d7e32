"""From "there is no answer" to the least that it takes to see why.

The solver's proof rests on facts from outside, and often on more of them than needed: it
learned some on paths that did not matter in the end. Facts are left out one by one as long as
the rest still has no answer; what remains has a proof of its own, in which every fact counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.resolve.incompatibility import External, Learned
from dpip.resolve.solver import ROOT, ROOT_MUST_BE, Edge, NoAnswer, Solver, ancestry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dpip.resolve.incompatibility import Incompatibility, Package, Versions
    from dpip.resolve.solver import Refused

MOST_FACTS = 200
"""Beyond this many, leaving out is not tried: it would take longer than the reader's patience."""


def shortest(proof: Incompatibility, universes: Sequence[Versions]) -> Incompatibility:
    """Return a proof in which no fact can be spared."""
    facts = leaves(proof)
    found = contradiction(facts, universes)
    if found is None or len(facts) > MOST_FACTS:
        return proof
    place = 0
    while place < len(facts):
        fewer = facts[:place] + facts[place + 1 :]
        shorter = contradiction(fewer, universes)
        if shorter is None:
            place += 1
        else:
            used = {id(leaf.cause) for leaf in leaves(shorter)}
            found, facts = shorter, [fact for fact in fewer if id(fact.cause) in used]
    return found


def leaves(proof: Incompatibility) -> list[Incompatibility]:
    """Return the facts that a proof rests on, without the one that the root must be."""
    return [
        each
        for each in ancestry(proof)
        if isinstance(each.cause, External) and each.cause.fact != ROOT_MUST_BE
    ]


def contradiction(
    facts: Sequence[Incompatibility], universes: Sequence[Versions]
) -> Incompatibility | None:
    """Return a proof that facts contradict each other, or None if they do not."""
    solver = Solver(_Fixed(universes))
    for universe in universes[1:]:
        solver.add(universe)
    for fact in facts:
        solver.take(dict(fact.terms), fact.cause)
    try:
        solver.run()
    except NoAnswer as verdict:
        return verdict.proof
    return None


class _Fixed:
    """A provider that knows nothing but the facts that the solver was given."""

    def __init__(self, universes: Sequence[Versions]) -> None:
        self.universes = universes

    def universe(self, package: Package) -> Versions:
        return self.universes[package]

    def choose(self, _package: Package, allowed: Versions, _solver: Solver) -> Versions | Refused:
        return 1 << (allowed.bit_length() - 1)

    def edges(self, _package: Package, _version: Versions, _solver: Solver) -> Iterator[Edge]:
        return iter(())

    def is_pinned(self, package: Package) -> bool:
        return package == ROOT

    def leader(self, package: Package) -> Package:
        return package


def steps(proof: Incompatibility) -> list[Incompatibility]:
    """Return the learned incompatibilities of a proof, each after what it follows from."""
    found: list[Incompatibility] = []
    seen: set[int] = set()

    def visit(each: Incompatibility) -> None:
        if id(each) in seen or not isinstance(each.cause, Learned):
            return
        seen.add(id(each))
        for parent in _deepest_last(each.cause):
            visit(parent)
        found.append(each)

    visit(proof)
    return found


def _deepest_last(cause: Learned) -> list[Incompatibility]:
    """Order two parents so that the longer story is told right before it is used."""
    return sorted((cause.left, cause.right), key=_size)


def _size(each: Incompatibility) -> int:
    return sum(1 for _ in ancestry(each))
