"""Text for a marker: short, and equal where it matters.

Every path of the diagram that ends in true is a clause. A clause may say less than its path
as long as the whole stays the same, so conditions and clauses are dropped while that holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from dpip.resolve import algebra
from dpip.resolve.algebra import FALSE, TRUE, Choice, Cut, Leaf, Line, both, either, of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpip.resolve.algebra import Marker

Clause = tuple[str, ...]
"""Conditions that must all hold, as text."""

NEVER = "python_version < '0'"


def text(marker: Marker, within: Marker = TRUE) -> str:
    """Return a marker as text that means the same in every environment of `within`.

    Empty where it always holds there.
    """
    if algebra.implies(within, marker):
        return ""
    if algebra.is_disjoint(within, marker):
        return NEVER
    clauses = [_shorter(clause, marker, within) for clause in _paths(marker)]
    kept = _needed(sorted(set(clauses), key=lambda clause: (len(clause), clause)), marker, within)
    if len(kept) == 1:
        return " and ".join(kept[0])
    return " or ".join(
        f"({' and '.join(clause)})" if len(clause) > 1 else clause[0] for clause in sorted(kept)
    )


def _paths(marker: Marker, before: Clause = ()) -> Iterator[Clause]:
    if isinstance(marker, Leaf):
        if marker.value:
            yield before
    elif isinstance(marker, Line):
        for lower, upper, branch in algebra.pieces(marker):
            yield from _paths(branch, before + tuple(_bounds(marker.variable, lower, upper)))
    else:
        for condition, branch in _options(marker):
            yield from _paths(branch, before + condition)


def _options(node: Choice) -> Iterator[tuple[Clause, Marker]]:
    if node.values == ("",):
        yield (node.variable,), node.branches[0]
        yield (_negated(node.variable),), node.otherwise
        return
    for value, branch in zip(node.values, node.branches, strict=True):
        yield (f"{node.variable} == '{value}'",), branch
    yield tuple(f"{node.variable} != '{value}'" for value in node.values), node.otherwise


def _negated(condition: str) -> str:
    """Return the opposite of a condition that is a variable of its own."""
    left, operator, right = _split(condition)
    opposite = {"in": "not in", "<": ">=", "<=": ">", ">": "<=", ">=": "<", "~=": "!="}
    return f"{left} {opposite[operator]} {right}"


def _split(condition: str) -> tuple[str, str, str]:
    for operator in ("in", "<=", ">=", "~=", "<", ">"):
        left, found, right = condition.partition(f" {operator} ")
        if found:
            return left, operator, right
    raise AssertionError(condition)


def _bounds(variable: str, lower: Cut | None, upper: Cut | None) -> Iterator[str]:
    if lower is not None:
        yield f"{variable} {'>' if lower.after else '>='} '{lower.version}'"
    if upper is not None:
        yield f"{variable} {'<=' if upper.after else '<'} '{upper.version}'"


@lru_cache(maxsize=4096)
def _meaning(clause: Clause) -> Marker:
    found: Marker = TRUE
    for condition in clause:
        found = both(found, of(condition))
    return found


def _shorter(clause: Clause, marker: Marker, within: Marker) -> Clause:
    """Drop conditions from a clause as long as it still implies the marker."""
    for condition in clause:
        less = tuple(each for each in clause if each != condition)
        if algebra.implies(both(_meaning(less), within), marker):
            clause = less
    return clause


def _needed(clauses: list[Clause], marker: Marker, within: Marker) -> list[Clause]:
    """Drop clauses, the longest first, that the others make up for."""
    kept = list(clauses)
    for clause in reversed(clauses):
        rest = [each for each in kept if each != clause]
        if rest and algebra.implies(both(marker, within), _any(rest)):
            kept = rest
    return kept


def _any(clauses: list[Clause]) -> Marker:
    found: Marker = FALSE
    for clause in clauses:
        found = either(found, _meaning(clause))
    return found
