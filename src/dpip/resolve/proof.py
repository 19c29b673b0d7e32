"""From "there is no answer" to the least that it takes to see why.

The solver's proof rests on facts from outside, and often on more of them than needed: it
learned some on paths that did not matter in the end. Facts are left out one by one as long as
the rest still has no answer; what remains has a proof of its own, in which every fact counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.resolve.incompatibility import External, Incompatibility, Learned
from dpip.resolve.reasons import Unusable
from dpip.resolve.solver import ROOT, ROOT_MUST_BE, Edge, NoAnswer, Solver, ancestry

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dpip.resolve.incompatibility import Package, Versions
    from dpip.resolve.solver import Refused

MOST_TRIALS = 300
"""Facts are no longer left out after so many attempts: a reader's patience is limited too."""
MOST_WORK = 2_000_000
"""Squares of numbers of facts, summed over all attempts: about what each attempt costs."""


def shortest(proof: Incompatibility, universes: Sequence[Versions]) -> Incompatibility:
    """Return a proof in which (within MOST_TRIALS and MOST_WORK) no fact can be spared.

    Large parts are left out first, then smaller ones, then single facts.
    """
    facts, trials = together(leaves(proof)), MOST_TRIALS
    work = MOST_WORK - len(facts) ** 2
    if work < 0:
        return proof
    proof = contradiction(facts, universes) or proof
    part = max(1, len(facts) // 4)
    while part:
        place = 0
        while place < len(facts) and trials and work > 0:
            fewer = facts[:place] + facts[place + part :]
            shorter, trials = contradiction(fewer, universes), trials - 1
            work -= len(fewer) ** 2
            if shorter is None:
                place += part
            else:
                proof, facts = shorter, _used(fewer, shorter)
        part //= 2
    return proof


def together(facts: Sequence[Incompatibility]) -> list[Incompatibility]:
    """Put versions of a package that are out for the same reason into one fact.

    Of metadata that cannot be had, each version has a reason of its own: the first is told.
    """
    found: list[Incompatibility] = []
    places: dict[tuple[Package, str, str], int] = {}
    for fact in facts:
        reason = fact.cause.fact if isinstance(fact.cause, External) else None
        if not isinstance(reason, Unusable) or len(fact.terms) != 1:
            found.append(fact)
            continue
        package, versions = next(iter(fact.terms.items()))
        key = (package, reason.obstacle, "" if reason.obstacle == "metadata" else reason.detail)
        place = places.setdefault(key, len(found))
        if place == len(found):
            found.append(fact)
        else:
            first = found[place]
            found[place] = Incompatibility({package: first.terms[package] | versions}, first.cause)
    return found


def _used(facts: Sequence[Incompatibility], proof: Incompatibility) -> list[Incompatibility]:
    causes = {id(leaf.cause) for leaf in leaves(proof)}
    return [fact for fact in facts if id(fact.cause) in causes]


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
    """Return the learned incompatibilities of a proof, each after what it follows from.

    The longer of two stories is told last, right before it is used.
    """
    found: list[Incompatibility] = []
    sizes: dict[int, int] = {}
    stack = [proof]
    while stack:
        each = stack[-1]
        waiting = [parent for parent in _learned_parents(each) if id(parent) not in sizes]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        if id(each) not in sizes:
            sizes[id(each)] = 1 + sum(sizes[id(parent)] for parent in _learned_parents(each))
    seen: set[int] = set()
    plan = [(proof, False)]
    while plan:
        each, told = plan.pop()
        if told:
            found.append(each)
        elif id(each) not in seen and isinstance(each.cause, Learned):
            seen.add(id(each))
            parents = sorted(_learned_parents(each), key=lambda parent: sizes[id(parent)])
            plan.append((each, True))
            plan += [(parent, False) for parent in reversed(parents)]
    return found


def _learned_parents(each: Incompatibility) -> list[Incompatibility]:
    if not isinstance(each.cause, Learned):
        return []
    parents = (each.cause.left, each.cause.right)
    return [parent for parent in parents if isinstance(parent.cause, Learned)]
