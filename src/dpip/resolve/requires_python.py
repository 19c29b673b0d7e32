"""Requires-Python, read without what limits it from above.

An upper bound says what was tested, not what works; see decision 10.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, Specifier

from dpip.resolve import names
from dpip.resolve.versions import clauses

if TYPE_CHECKING:
    from collections.abc import Iterable


@lru_cache(maxsize=4096)
def admits(python: str, requires_python: str) -> bool:
    """Say whether a Requires-Python lets a Python version in, upper bounds left out."""
    version = names.version(python)
    return all(c.contains(version, prereleases=True) for c in lower_bounds(requires_python))


@lru_cache(maxsize=4096)
def lower_bounds(requires_python: str) -> tuple[Specifier, ...]:
    """Return a Requires-Python without what limits it from above; nothing if it is no PEP 440."""
    try:
        return tuple(_without_upper(requires_python))
    except InvalidSpecifier:
        return ()


def _without_upper(specifier: str) -> Iterable[Specifier]:
    for clause in clauses(specifier):
        if clause.operator in {"~=", "==", "==="}:
            yield Specifier(">=" + clause.version.removesuffix(".*"))
        elif clause.operator not in {"<", "<="}:
            yield clause
