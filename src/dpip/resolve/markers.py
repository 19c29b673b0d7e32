"""Environment markers: read once, asked many times (PEP 508, dependency specifiers).

A marker is a tree of `And`, `Or` and `Comparison`. Here it is asked about one environment;
`algebra` treats it as a Boolean function of all environments.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec
from packaging.specifiers import InvalidSpecifier, Specifier
from packaging.version import InvalidVersion

from dpip.errors import UsageError
from dpip.resolve.names import normalize
from dpip.resolve.names import version as parse_version

if TYPE_CHECKING:
    from collections.abc import Mapping

VERSIONS = frozenset({"python_version", "python_full_version", "implementation_version"})
"""Variables that hold a PEP 440 version."""

VARIABLES = VERSIONS | {
    "extra",
    "extras",
    "dependency_groups",
    "implementation_name",
    "os_name",
    "platform_machine",
    "platform_python_implementation",
    "platform_release",
    "platform_system",
    "platform_version",
    "sys_platform",
}
_OLD_NAMES = {
    "os.name": "os_name",
    "sys.platform": "sys_platform",
    "platform.version": "platform_version",
    "platform.machine": "platform_machine",
    "platform.python_implementation": "platform_python_implementation",
    "python_implementation": "platform_python_implementation",
}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<paren>[()])
    |(?P<op>===|==|~=|!=|<=|>=|<|>)
    |"(?P<double>[^"]*)"|'(?P<single>[^']*)'
    |(?P<word>[A-Za-z_][\w.]*)
    )""",
    re.VERBOSE,
)


MOST_TOKENS = 2000
MOST_NESTED = 50


class InvalidMarker(UsageError):
    """A marker does not follow the grammar."""

    slug = "invalid-marker"


class Comparison(msgspec.Struct, frozen=True):
    """`variable operator literal`; `turned` where the literal stands on the left of `in`."""

    variable: str
    operator: str
    literal: str
    turned: bool = False


class And(msgspec.Struct, frozen=True):
    """All of the parts."""

    parts: tuple[Node, ...]


class Or(msgspec.Struct, frozen=True):
    """Any of the parts."""

    parts: tuple[Node, ...]


Node = Comparison | And | Or


@lru_cache(maxsize=8192)
def parse(marker: str) -> Node:
    """Return the tree of a marker. Raises InvalidMarker."""
    return _Parser(marker).whole()


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = list(self._tokens())
        self.place = 0
        self.depth = 0
        if len(self.tokens) > MOST_TOKENS:
            raise InvalidMarker(f"marker {text[:60]!r}… is too long")

    def _tokens(self) -> list[tuple[str, str]]:
        found, place, text = [], 0, self.text.rstrip()
        while place < len(text):
            match = _TOKEN.match(text, place)
            if match is None:
                raise self.error(text[place:].strip())
            kind = str(match.lastgroup)
            found.append(("literal" if kind in {"double", "single"} else kind, match[kind]))
            place = match.end()
        return found

    def error(self, near: str) -> InvalidMarker:
        return InvalidMarker(f"marker {self.text!r} is not understood near {near!r}")

    def whole(self) -> Node:
        node = self.disjunction()
        if self.place < len(self.tokens):
            raise self.error(self.tokens[self.place][1])
        return node

    def disjunction(self) -> Node:
        parts = [self.conjunction()]
        while self.accept("word", "or"):
            parts.append(self.conjunction())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def conjunction(self) -> Node:
        parts = [self.atom()]
        while self.accept("word", "and"):
            parts.append(self.atom())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def atom(self) -> Node:
        if self.accept("paren", "("):
            self.depth += 1
            if self.depth > MOST_NESTED:
                raise self.error("too many parentheses")
            node = self.disjunction()
            self.depth -= 1
            if not self.accept("paren", ")"):
                raise self.error("a missing parenthesis")
            return node
        left, operator, right = self.take(), self.operator(), self.take()
        return self.comparison(left, operator, right)

    def operator(self) -> str:
        kind, text = self.take()
        if kind == "op" or text == "in":
            return text
        if text == "not" and self.accept("word", "in"):
            return "not in"
        raise self.error(text)

    def comparison(self, left: tuple[str, str], operator: str, right: tuple[str, str]) -> Node:
        turned = left[0] == "literal"
        variable, literal = (right, left) if turned else (left, right)
        name = _OLD_NAMES.get(variable[1], variable[1])
        if variable[0] != "word" or literal[0] != "literal" or name not in VARIABLES:
            raise self.error(f"{left[1]} {operator} {right[1]}")
        value = normalize(literal[1]) if name == "extra" else literal[1]
        if operator in {"in", "not in"}:
            return Comparison(name, operator, value, turned)
        return Comparison(name, _TURNED.get(operator, operator) if turned else operator, value)

    def take(self) -> tuple[str, str]:
        if self.place >= len(self.tokens):
            raise self.error("its end")
        self.place += 1
        return self.tokens[self.place - 1]

    def accept(self, kind: str, text: str) -> bool:
        if self.place < len(self.tokens) and self.tokens[self.place] == (kind, text):
            self.place += 1
            return True
        return False


def holds(node: Node, environment: Mapping[str, str], extra: str = "") -> bool:
    """Say whether a marker is true in an environment, with one extra asked for (or none)."""
    if isinstance(node, And):
        return all(holds(part, environment, extra) for part in node.parts)
    if isinstance(node, Or):
        return any(holds(part, environment, extra) for part in node.parts)
    if node.variable == "extra":
        return compare(extra, node.operator, node.literal)
    value = environment.get(node.variable, "")
    if node.turned:
        return (node.literal in value) is (node.operator == "in")
    return compare(value, node.operator, node.literal, versions=_is_versions(node.variable))


def _is_versions(variable: str) -> bool:
    return variable in VERSIONS or variable == "platform_release"


def compare(value: str, operator: str, literal: str, *, versions: bool = False) -> bool:
    """Compare as versions where both sides are, else as text (the standard's rule)."""
    if operator in {"in", "not in"}:
        return (value in literal) is (operator == "in")
    if versions:
        try:
            return _specifier(operator + literal).contains(parse_version(value), prereleases=True)
        except (InvalidSpecifier, InvalidVersion):
            pass
    return _compare_text(value, operator, literal)


@lru_cache(maxsize=1024)
def _specifier(text: str) -> Specifier:
    return Specifier(text)


def _compare_text(value: str, operator: str, literal: str) -> bool:
    if operator in {"==", "==="}:
        return value == literal
    if operator == "!=":
        return value != literal
    if operator in {"<", ">"}:
        return value < literal if operator == "<" else value > literal
    if operator in {"<=", ">="}:
        return value <= literal if operator == "<=" else value >= literal
    return False
