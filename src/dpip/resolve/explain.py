"""Why there is no answer: told in sentences, and as data.

The proof is shortened first (see `proof`). Each step of it becomes one sentence: "Because A
and B, C." A conclusion that is only used by the next step is folded into it, so that a chain
of requirements reads as one sentence instead of a ladder. Facts say where they come from: a
requirement, a constraint or an override of the user with its place, the index, the Python or
the platform that is solved for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from dpip.resolve import proof as proofs
from dpip.resolve.incompatibility import External, Learned
from dpip.resolve.reasons import Constrained, Requires, SameVersion, Unusable
from dpip.resolve.solver import ROOT_MUST_BE
from dpip.resolve.wording import Wording

if TYPE_CHECKING:
    from dpip.resolve.incompatibility import Incompatibility
    from dpip.resolve.provider import IndexProvider

MOST_FOLDED = 4
"""Facts that one sentence may name."""
FEWEST_ALIKE = 3
"""Facts about versions of one project that are told as one, where they tell the same."""
MOST_LINES = 30
"""Of a longer story the end is told, which is nearest to what the user asked for."""


class Bound(msgspec.Struct, frozen=True):
    """One fact that the contradiction rests on."""

    kind: str
    """requirement, constraint, override, dependency, missing, or an obstacle (see `reasons`)."""
    name: str
    """The project that it limits."""
    text: str
    """As a clause of a sentence."""
    requirement: str = ""
    """The requirement's line; of an obstacle its detail, such as a Requires-Python."""
    origin: str = ""
    """Where the user wrote it, or the version whose metadata says it."""
    versions: tuple[str, ...] = ()
    """The versions that cannot be used, newest first, where it is an obstacle."""


class Explanation(msgspec.Struct, frozen=True):
    """Lines for a person, and the facts behind them for a program."""

    lines: tuple[str, ...]
    bounds: tuple[Bound, ...] = ()
    hints: tuple[str, ...] = ()
    """What to change for an answer to exist, the smallest change first."""
    environment: str = ""
    """The marker of the environments that there is no answer for; empty: all."""

    def text(self) -> str:
        """Return all of it for a terminal."""
        where = f" for {self.environment}" if self.environment else ""
        lines = [f"error: there is no answer{where}", *(f"  {line}" for line in self.lines)]
        return "\n".join([*lines, *(f"hint: {hint}" for hint in self.hints)]) + "\n"

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "error": "no-answer",
            "environment": self.environment,
            "lines": list(self.lines),
            "bounds": [
                {
                    "kind": bound.kind,
                    "name": bound.name,
                    "text": bound.text,
                    "requirement": bound.requirement,
                    "origin": bound.origin,
                    "versions": list(bound.versions),
                }
                for bound in self.bounds
            ],
            "hints": list(self.hints),
        }


def explain(proof: Incompatibility, provider: IndexProvider) -> Explanation:
    """Return the explanation of a proof, without hints (see `relax`)."""
    universes = [provider.universe(package) for package in range(len(provider.keys))]
    shorter = proofs.shortest(proof, universes)
    facts = proofs.leaves(shorter)
    wording = Wording(provider, facts)
    return Explanation(tuple(_Story(wording).tell(shorter)), _bounds(facts, wording, provider))


def _bounds(
    facts: list[Incompatibility], wording: Wording, provider: IndexProvider
) -> tuple[Bound, ...]:
    found = []
    for fact in facts:
        assert isinstance(fact.cause, External)
        match fact.cause.fact:
            case Requires(parent, requirement, origin) as reason:
                kind = _kind(reason, provider)
                text = wording.fact(fact)
                where = origin or parent
                found.append(Bound(kind, requirement.name, text, str(requirement), where))
            case Constrained(given):
                name, line = given.requirement.name, str(given.requirement)
                found.append(Bound("constraint", name, wording.fact(fact), line, given.origin))
            case Unusable(name, obstacle, detail):
                versions = wording.listed(fact)
                text = wording.fact(fact)
                found.append(Bound(obstacle, name, text, detail, versions=versions))
    return tuple(dict.fromkeys(found))


def _kind(reason: Requires, provider: IndexProvider) -> str:
    candidates = provider.catalog.candidates(reason.requirement.name)
    if candidates is not None and candidates.missing is not None:
        return "missing"
    if reason.requirement.name in provider.catalog.overrides:
        return "override"
    return "dependency" if reason.parent else "requirement"


class _Story:
    """Sentences for the steps of one proof."""

    def __init__(self, wording: Wording) -> None:
        self.wording = wording
        self.lines: list[str] = []
        self._folded: dict[int, list[Incompatibility]] = {}
        self._told: dict[int, int] = {}

    def tell(self, proof: Incompatibility) -> list[str]:
        """Return one line for each step that is not folded into the next."""
        steps = proofs.steps(proof)
        if not steps:
            return [f"Because {self.wording.fact(proof)}, there is no answer."]
        uses = _uses(steps)
        for step in steps:
            premises = self._premises(step)
            if step is not proof and self._can_fold(step, premises, uses):
                self._folded[id(step)] = premises
            else:
                self._say(step, premises, proof)
        left_out = len(self.lines) - MOST_LINES
        if left_out > 0:
            return [f"({left_out} steps before these are left out.)", *self.lines[left_out:]]
        return self.lines

    def _premises(self, step: Incompatibility) -> list[Incompatibility]:
        """Return what a step rests on, with folded steps replaced by what they rest on."""
        assert isinstance(step.cause, Learned)
        found: list[Incompatibility] = []
        for parent in (step.cause.left, step.cause.right):
            found += self._folded.get(id(parent), [parent])
        return [each for each in dict.fromkeys(found) if not _goes_without_saying(each)]

    def _can_fold(
        self, step: Incompatibility, premises: list[Incompatibility], uses: dict[int, int]
    ) -> bool:
        told = len({self.wording.subject(premise) or id(premise) for premise in premises})
        return told < MOST_FOLDED and (uses[id(step)] == 1 or told < 2)

    def _say(
        self, step: Incompatibility, premises: list[Incompatibility], proof: Incompatibility
    ) -> None:
        last = len(self.lines)
        clauses: list[str] = []
        alike = self._alike(premises)
        opening = "Because"
        for premise in sorted(premises, key=lambda each: self._place(each, last)):
            told = self._told.get(id(premise))
            if id(premise) in alike:
                clauses.append(alike[id(premise)])
            elif told is None:
                clauses.append(self.wording.fact(premise))
            elif told == last and last and opening == "Because":
                opening = "And because"
            else:
                clauses.append(f"{self.wording.conclusion(premise)} (line {told})")
        so = "there is no answer" if step is proof else self.wording.conclusion(step)
        because = f"{opening} {_and(clauses)}, {so}." if clauses else f"So {so}."
        self.lines.append(because)
        self._told[id(step)] = len(self.lines)

    def _alike(self, premises: list[Incompatibility]) -> dict[int, str]:
        """Return one clause for each set of facts that tell the same of several versions."""
        groups: dict[object, list[Incompatibility]] = {}
        for premise in premises:
            groups.setdefault(self.wording.subject(premise) or id(premise), []).append(premise)
        found: dict[int, str] = {}
        for group in groups.values():
            if len(group) >= FEWEST_ALIKE:
                found |= dict.fromkeys(map(id, group), self.wording.together(group))
        return found

    def _place(self, premise: Incompatibility, last: int) -> tuple[bool, int]:
        """Order premises: what was just said, what the user wants, requirements, obstacles."""
        told = bool(last) and self._told.get(id(premise)) == last
        fact = premise.cause.fact if isinstance(premise.cause, External) else None
        if isinstance(fact, Requires):
            return not told, 1 if fact.parent else 0
        return not told, 3 if isinstance(fact, Unusable) else 2


def _uses(steps: list[Incompatibility]) -> dict[int, int]:
    found: dict[int, int] = {}
    for step in steps:
        assert isinstance(step.cause, Learned)
        for parent in (step.cause.left, step.cause.right):
            found[id(parent)] = found.get(id(parent), 0) + 1
    return found


def _goes_without_saying(each: Incompatibility) -> bool:
    """Say whether a fact only ties a project to its extras, or the root to itself."""
    if not isinstance(each.cause, External):
        return False
    fact = each.cause.fact
    return fact == ROOT_MUST_BE or isinstance(fact, SameVersion)


def _and(clauses: list[str]) -> str:
    distinct = list(dict.fromkeys(clauses))
    if len(distinct) < 3:
        return " and ".join(distinct)
    return f"{', '.join(distinct[:-1])} and {distinct[-1]}"
