"""Sets of one project's versions, each set one Python integer.

A project's versions are numbered once, oldest first, from 1. A set is an integer with a bit
for each member, so that intersection, union, complement and emptiness are single machine
operations however many versions there are, and the newest member is the highest bit.

Bit 0 stands for "not installed at all". It turns PubGrub's two kinds of terms into one: "foo
in S" is the set S, "not foo in S" is its complement, bit 0 included. A package *must* be
installed as soon as what is known about it has lost bit 0.

A PEP 440 specifier becomes a set by bisection: on a sorted list every clause is a run of
neighbours or the complement of one, so that a clause looks at the logarithm of the versions
and only those are ever parsed. What a clause means is left to `packaging`.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING

from packaging.specifiers import InvalidSpecifier, Specifier
from packaging.version import Version

from dpip.resolve.names import version as parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

ABSENT = 1
"""The set whose only member is "not installed"."""

_PRERELEASE = re.compile(r"\d(?:a|b|rc|\.dev)\d")


@lru_cache(maxsize=16384)
def clauses(specifier: str) -> tuple[Specifier, ...]:
    """Return the clauses of a specifier set. Raises packaging's InvalidSpecifier."""
    return tuple(Specifier(part) for part in specifier.split(",") if part.strip())


def is_valid(specifier: str) -> bool:
    """Say whether text is a PEP 440 specifier set."""
    try:
        clauses(specifier)
    except InvalidSpecifier:
        return False
    return True


class Universe:
    """The numbered versions of one project, and specifiers as sets of them."""

    __slots__ = ("_masks", "everything", "newest_first", "prereleases", "released")

    def __init__(self, newest_first: Sequence[str]) -> None:
        self.newest_first = newest_first
        self.released = (1 << (len(newest_first) + 1)) - 2
        """All versions."""
        self.everything = self.released | ABSENT
        self.prereleases = self._mark_prereleases()
        self._masks: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.newest_first)

    def _mark_prereleases(self) -> int:
        top, marked = len(self.newest_first), 0
        search = _PRERELEASE.search
        for position, text in enumerate(self.newest_first):
            if search(text.partition("+")[0]):
                marked |= 1 << (top - position)
        return marked

    def text(self, number: int) -> str:
        """Return the version of a number, as PEP 440 normalizes it."""
        return self.newest_first[len(self.newest_first) - number]

    def members(self, versions: int) -> Iterator[int]:
        """Yield the numbers in a set, newest first; "not installed" is not one of them."""
        versions &= self.released
        while versions:
            number = versions.bit_length() - 1
            yield number
            versions ^= 1 << number

    def matching(self, specifier: str) -> int:
        """Return the versions that a specifier admits, pre-releases included.

        Raises packaging's InvalidSpecifier.
        """
        found = self._masks.get(specifier)
        if found is None:
            found = self.released
            for clause in clauses(specifier):
                found &= self._clause(clause)
            self._masks[specifier] = found
        return found

    def _clause(self, clause: Specifier) -> int:
        operator, written = clause.operator, clause.version
        if operator == "===":
            return self._literal(written)
        admits = clause.contains
        if operator in {"<", "<="}:
            return self._below(self._first(lambda v: not admits(v, prereleases=True)))
        if operator in {">", ">="}:
            return self.released & ~self._below(self._first(lambda v: admits(v, prereleases=True)))
        negated = operator == "!="
        start = self._first(_not_before(written))
        end = self._first(lambda v: admits(v, prereleases=True) is negated, start)
        run = self._below(end) & ~self._below(start)
        return self.released & ~run if negated else run

    def _first(self, wanted: Callable[[Version], bool], start: int = 1) -> int:
        """Return the first number from `start` on that is wanted, where wanted is monotone."""
        count, texts = len(self.newest_first), self.newest_first
        return bisect_left(
            range(count + 1),
            x=True,
            lo=start,
            hi=count + 1,
            key=lambda number: wanted(parse(texts[count - number])),
        )

    def _below(self, number: int) -> int:
        return (1 << number) - 2

    def _literal(self, written: str) -> int:
        wanted, count = written.lower(), len(self.newest_first)
        return sum(
            1 << (count - position)
            for position, text in enumerate(self.newest_first)
            if text.lower() == wanted
        )


def _not_before(written: str) -> Callable[[Version], bool]:
    if written.endswith(".*"):
        written = f"{written[:-2]}.dev0"
    bound = Version(written)
    return lambda version: version >= bound
