"""Markers as a Boolean algebra: decision diagrams that are equal exactly if their meaning is.

A marker is a function from environments to true or false. It is kept as a decision diagram:
ask the first variable, follow the branch of its value, ask the next. Variables have a fixed
order, a node whose branches all agree is left out, and equal nodes are one object. Two markers
that mean the same are then the *same object*: "is it always true?", "can both hold?" and "does
it say anything new?" are an operation and a comparison by identity.

A version variable branches at cuts on the line of versions, a text variable by value with one
branch for all other values. What text operators such as `in` say of a variable is a variable
of its own, of which nothing else is known.

The theory is that of Bryant's reduced ordered decision diagrams, with more than two branches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from packaging.version import InvalidVersion, Version

from dpip.resolve import markers
from dpip.resolve.markers import And, Comparison, Or

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_ORDER = (
    "python_full_version",
    "implementation_version",
    "sys_platform",
    "os_name",
    "platform_machine",
    "implementation_name",
)
"""Asked in this order; all others come after these, by name."""

PYTHON = "python_full_version"
_SYNONYMS = {
    ("platform_system", "Windows"): ("sys_platform", "win32"),
    ("platform_system", "Linux"): ("sys_platform", "linux"),
    ("platform_system", "Darwin"): ("sys_platform", "darwin"),
    ("platform_python_implementation", "CPython"): ("implementation_name", "cpython"),
    ("platform_python_implementation", "PyPy"): ("implementation_name", "pypy"),
}


class Cut(NamedTuple):
    """A place between versions: just before a version, or just after it."""

    version: Version
    after: bool


@dataclass(frozen=True, slots=True, eq=False)
class Leaf:
    """Always true, or always false."""

    value: bool


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """Branches of a version variable: `branches[i]` lies below `cuts[i]`, the last above all."""

    variable: str
    cuts: tuple[Cut, ...]
    branches: tuple[Marker, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """Branches of a text variable: by value, and one for every other value."""

    variable: str
    values: tuple[str, ...]
    branches: tuple[Marker, ...]
    otherwise: Marker


Marker = Leaf | Line | Choice

TRUE = Leaf(value=True)
FALSE = Leaf(value=False)

_nodes: dict[tuple[object, ...], Marker] = {}


def _line(variable: str, cuts: Iterable[Cut], branches: Iterable[Marker]) -> Marker:
    kept_cuts: list[Cut] = []
    branch_list = list(branches)
    kept = branch_list[:1]
    for cut, branch in zip(cuts, branch_list[1:], strict=True):
        if branch is not kept[-1]:
            kept_cuts.append(cut)
            kept.append(branch)
    if not kept_cuts:
        return kept[0]
    key = (variable, *kept_cuts, *map(id, kept))
    return _nodes.setdefault(key, Line(variable, tuple(kept_cuts), tuple(kept)))


def _choice(variable: str, branches: dict[str, Marker], otherwise: Marker) -> Marker:
    told = {
        value: branches[value] for value in sorted(branches) if branches[value] is not otherwise
    }
    if not told:
        return otherwise
    key = (variable, id(otherwise), *told, *map(id, told.values()))
    node = Choice(variable, tuple(told), tuple(told.values()), otherwise)
    return _nodes.setdefault(key, node)


def both(left: Marker, right: Marker) -> Marker:
    """Return what holds where both do."""
    return _combine(left, right, FALSE, TRUE)


def either(left: Marker, right: Marker) -> Marker:
    """Return what holds where at least one does."""
    return _combine(left, right, TRUE, FALSE)


def neither(marker: Marker) -> Marker:
    """Return what holds where the marker does not."""
    return _map(marker, lambda leaf: FALSE if leaf is TRUE else TRUE)


def without(left: Marker, right: Marker) -> Marker:
    """Return what holds where the left one does and the right one does not."""
    return both(left, neither(right))


def is_possible(marker: Marker) -> bool:
    """Say whether it holds in any environment that can be."""
    return both(marker, _possible()) is not FALSE


def is_disjoint(left: Marker, right: Marker) -> bool:
    """Say whether no environment satisfies both."""
    return not is_possible(both(left, right))


def implies(left: Marker, right: Marker) -> bool:
    """Say whether the right one holds wherever the left one does."""
    return not is_possible(without(left, right))


_combined: dict[tuple[int, int, int], Marker] = {}


def _combine(left: Marker, right: Marker, zero: Marker, one: Marker) -> Marker:
    """Return left·right, where `zero` absorbs everything and `one` changes nothing."""
    if left is zero or right is zero:
        return zero
    if left is one or left is right:
        return right
    if right is one:
        return left
    key = (id(left), id(right), id(zero))
    found = _combined.get(key)
    if found is None:
        found = _combined[key] = _combine_nodes(left, right, zero, one)
    return found


def _combine_nodes(left: Marker, right: Marker, zero: Marker, one: Marker) -> Marker:
    assert not isinstance(left, Leaf)
    assert not isinstance(right, Leaf)
    first = min(left, right, key=lambda node: _rank(node.variable))
    if isinstance(first, Line):
        cuts = sorted(set(_cuts(left, first.variable)) | set(_cuts(right, first.variable)))
        lefts, rights = (_along(node, first.variable, cuts) for node in (left, right))
        pairs = zip(lefts, rights, strict=True)
        return _line(first.variable, cuts, [_combine(a, b, zero, one) for a, b in pairs])
    values = {*_values(left, first.variable), *_values(right, first.variable)}
    branches = {
        value: _combine(
            _under(left, first.variable, value), _under(right, first.variable, value), zero, one
        )
        for value in values
    }
    others = (_under(left, first.variable, None), _under(right, first.variable, None))
    return _choice(first.variable, branches, _combine(*others, zero, one))


@lru_cache(maxsize=256)
def _rank(variable: str) -> tuple[int, str]:
    known = _ORDER.index(variable) if variable in _ORDER else len(_ORDER)
    return known, variable


def _cuts(node: Marker, variable: str) -> tuple[Cut, ...]:
    return node.cuts if isinstance(node, Line) and node.variable == variable else ()


def _values(node: Marker, variable: str) -> tuple[str, ...]:
    return node.values if isinstance(node, Choice) and node.variable == variable else ()


def _along(node: Marker, variable: str, cuts: list[Cut]) -> list[Marker]:
    """Return the branches of a node between finer cuts."""
    if not isinstance(node, Line) or node.variable != variable:
        return [node] * (len(cuts) + 1)
    branches, place = [], 0
    for cut in cuts:
        branches.append(node.branches[place])
        if place < len(node.cuts) and node.cuts[place] == cut:
            place += 1
    return [*branches, node.branches[place]]


def _under(node: Marker, variable: str, value: str | None) -> Marker:
    """Return what is left of a node for one value of a text variable; None: any other value."""
    if not isinstance(node, Choice) or node.variable != variable:
        return node
    if value in node.values:
        return node.branches[node.values.index(value)]
    return node.otherwise


def _map(marker: Marker, change: Callable[[Leaf], Marker]) -> Marker:
    done: dict[int, Marker] = {}

    def walk(node: Marker) -> Marker:
        if isinstance(node, Leaf):
            return change(node)
        found = done.get(id(node))
        if found is None:
            branches = [walk(branch) for branch in node.branches]
            if isinstance(node, Line):
                found = _line(node.variable, node.cuts, branches)
            else:
                named = dict(zip(node.values, branches, strict=True))
                found = _choice(node.variable, named, walk(node.otherwise))
            done[id(node)] = found
        return found

    return walk(marker)


def given_extra(marker: Marker, extra: str) -> Marker:
    """Return a marker with the variable `extra` settled; empty: no extra was asked for."""
    if isinstance(marker, Leaf):
        return marker
    if isinstance(marker, Choice) and marker.variable == "extra":
        return given_extra(_under(marker, "extra", extra), extra)
    branches = [given_extra(branch, extra) for branch in marker.branches]
    if isinstance(marker, Line):
        return _line(marker.variable, marker.cuts, branches)
    named = dict(zip(marker.values, branches, strict=True))
    return _choice(marker.variable, named, given_extra(marker.otherwise, extra))


@lru_cache(maxsize=8192)
def of(text: str) -> Marker:
    """Return the meaning of a marker's text. Raises InvalidMarker."""
    return _of(markers.parse(text)) if text else TRUE


def _of(node: markers.Node) -> Marker:
    found: Marker
    if isinstance(node, And):
        found = TRUE
        for part in node.parts:
            found = both(found, _of(part))
        return found
    if isinstance(node, Or):
        found = FALSE
        for part in node.parts:
            found = either(found, _of(part))
        return found
    return _comparison(node)


def _comparison(node: Comparison) -> Marker:
    if node.variable in markers.VERSIONS:
        try:
            return _versions(node)
        except InvalidVersion:
            pass
    if node.operator in {"==", "===", "!="}:
        variable, value = _SYNONYMS.get(
            (node.variable, node.literal), (node.variable, node.literal)
        )
        equal = _choice(variable, {value: TRUE}, FALSE)
        return neither(equal) if node.operator == "!=" else equal
    negated = node.operator == "not in"
    operator = "in" if negated else node.operator
    turned = f"{node.literal!r} {operator} {node.variable}"
    name = turned if node.turned else f"{node.variable} {operator} {node.literal!r}"
    said = _choice(name, {"": TRUE}, FALSE)
    return neither(said) if negated else said


def _versions(node: Comparison) -> Marker:
    operator, literal = node.operator, node.literal
    if operator in {"in", "not in"}:
        found: Marker = FALSE
        for word in literal.replace(",", " ").split():
            found = either(found, _versions(Comparison(node.variable, "==", word)))
        return found if operator == "in" else neither(found)
    if node.variable == "python_version":
        return _python_version(operator, literal)
    return _interval(node.variable, operator, literal)


def _python_version(operator: str, literal: str) -> Marker:
    """Turn the two-part variable into the full one: "3.10" is every 3.10.x."""
    if operator == "~=" or literal.endswith(".*"):
        return _interval(PYTHON, operator, literal)
    bound = Version(literal)
    own = Version(f"{bound.major}.{bound.minor}")
    following = Cut(Version(f"{bound.major}.{bound.minor + 1}"), after=False)
    starting = Cut(own, after=False)
    exact = bound == own
    match operator:
        case "==" | "===" | "!=":
            same = between(PYTHON, starting, following) if exact else FALSE
            return neither(same) if operator == "!=" else same
        case ">=" | ">":
            return between(PYTHON, starting if exact and operator == ">=" else following, None)
        case _:
            return between(PYTHON, None, starting if exact and operator == "<" else following)


def _interval(variable: str, operator: str, literal: str) -> Marker:
    if literal.endswith(".*") or operator == "~=":
        written = Version(literal.removesuffix(".*"))
        prefix = written.release if operator != "~=" else written.release[:-1]
        upper = Version(".".join(map(str, (*prefix[:-1], prefix[-1] + 1))))
        inside = between(variable, Cut(written, after=False), Cut(upper, after=False))
        return neither(inside) if operator == "!=" else inside
    before, after = Cut(Version(literal), after=False), Cut(Version(literal), after=True)
    match operator:
        case ">=":
            return between(variable, before, None)
        case ">":
            return between(variable, after, None)
        case "<":
            return between(variable, None, before)
        case "<=":
            return between(variable, None, after)
        case "!=":
            return neither(between(variable, before, after))
        case _:
            return between(variable, before, after)


def between(variable: str, lower: Cut | None, upper: Cut | None) -> Marker:
    """Return "the version lies between two cuts"; None: no bound on that side."""
    cuts = [cut for cut in (lower, upper) if cut is not None]
    branches: list[Marker] = [FALSE] if lower is not None else []
    branches.append(TRUE)
    if upper is not None:
        branches.append(FALSE)
    return _line(variable, cuts, branches)


@lru_cache(maxsize=1)
def _possible() -> Marker:
    """Return what holds in every environment that there is: systems imply their family."""
    found: Marker = TRUE
    for system, family in (("win32", "nt"), ("linux", "posix"), ("darwin", "posix")):
        implied = either(of(f"sys_platform != {system!r}"), of(f"os_name == {family!r}"))
        found = both(found, implied)
    return found


def python_bounds(marker: Marker) -> tuple[Cut | None, Cut | None]:
    """Return the lowest and the highest Python under a marker; None: no bound."""
    if not isinstance(marker, Line) or marker.variable != PYTHON:
        return None, None
    open_below = marker.branches[0] is not FALSE
    open_above = marker.branches[-1] is not FALSE
    lower = None if open_below else marker.cuts[0]
    upper = None if open_above else marker.cuts[-1]
    return lower, upper


def pieces(node: Line) -> list[tuple[Cut | None, Cut | None, Marker]]:
    """Return the branches of a version variable with the cuts around them."""
    ends = (None, *node.cuts, None)
    return [(*cuts, branch) for cuts, branch in zip(pairwise(ends), node.branches, strict=True)]
