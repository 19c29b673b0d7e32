"""What cannot hold at once, and why.

An incompatibility is a set of terms, at most one a package, that no answer satisfies all of.
"foo 1.0 needs bar ≥ 2" reads: foo in {1.0} and bar not in {≥ 2} cannot both be. A term is a
set of versions (see `versions`), so nothing here knows a version by name.

Two incompatibilities resolve on a package p into a third that follows from them: if everything
else in both holds, then p is in neither of the two sets, so it cannot be in their union. The
terms that both have for another package must both hold: their intersection. Everything that
the solver learns is made this way, and each learned incompatibility remembers its two parents:
the chain of them down to what the index says *is* the proof that there is no answer.
"""

from __future__ import annotations

from typing import Any

import msgspec

Package = int
Versions = int


class Learned(msgspec.Struct, frozen=True):
    """Follows from two others, by resolving on one package."""

    left: Incompatibility
    right: Incompatibility


class External(msgspec.Struct, frozen=True):
    """Comes from outside the solver. `fact` is whatever the provider said, for explaining."""

    fact: Any


class Incompatibility:
    """Terms that cannot all hold, by package.

    Mutable in one way only: `widen`. It compares by identity.
    """

    __slots__ = ("cause", "terms")

    def __init__(self, terms: dict[Package, Versions], cause: Learned | External) -> None:
        self.terms = terms
        self.cause = cause

    def widen(self, package: Package, versions: Versions) -> None:
        """Say the same of more versions of `package`.

        Neighbouring versions mostly have equal requirements: one wide incompatibility does
        the work of many. What was derived from the narrow one stays derived: it was
        satisfied by fewer versions, so the wide one is satisfied too.
        """
        self.terms[package] |= versions

    def __repr__(self) -> str:
        return " & ".join(f"{package}:{versions:b}" for package, versions in self.terms.items())


def resolve_on(
    package: Package, everything: Versions, left: Incompatibility, right: Incompatibility
) -> Incompatibility:
    """Return what follows from two incompatibilities that share `package`.

    `everything` is the package's whole universe: a term of that size says nothing and is
    left out.
    """
    terms = dict(left.terms)
    for other, versions in right.terms.items():
        if other != package:
            terms[other] = terms[other] & versions if other in terms else versions
    union = left.terms[package] | right.terms[package]
    if union == everything:
        del terms[package]
    else:
        terms[package] = union
    return Incompatibility(terms, Learned(left, right))
