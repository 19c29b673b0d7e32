"""Words for what the solver knows as numbers: versions, facts, conclusions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from dpip.resolve.facts import Requirement
from dpip.resolve.incompatibility import External
from dpip.resolve.reasons import Constrained, Requires, SameVersion, Unusable
from dpip.resolve.solver import ROOT
from dpip.resolve.versions import ABSENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpip.resolve.incompatibility import Incompatibility, Package, Versions
    from dpip.resolve.provider import IndexProvider

MOST_RUNS = 3
"""Runs of neighbouring versions that are written out."""


class Wording:
    """Words for one search. Versions that cannot be used anyway do not interrupt a range."""

    def __init__(self, provider: IndexProvider, facts: Iterable[Incompatibility]) -> None:
        self.provider = provider
        self._unusable: dict[str, Versions] = {}
        for fact in facts:
            if isinstance(fact.cause, External) and isinstance(fact.cause.fact, Unusable):
                for package, versions in fact.terms.items():
                    name = provider.keys[package].name
                    self._unusable[name] = self._unusable.get(name, 0) | versions

    def fact(self, incompatibility: Incompatibility) -> str:
        """Return a fact from outside as a clause."""
        if not isinstance(incompatibility.cause, External):
            return self.conclusion(incompatibility)
        match incompatibility.cause.fact:
            case Requires() as reason:
                return self._requires(reason, incompatibility)
            case Constrained(given):
                return f"your constraint says {given.requirement} ({given.origin})"
            case Unusable() as reason:
                package, versions = next(iter(incompatibility.terms.items()))
                return self._obstacle(reason, self.versions(package, versions, bridged=False))
            case SameVersion(name, extra):
                return f"{name}[{extra}] is {name}"
        return self.conclusion(incompatibility)

    def _requires(self, reason: Requires, incompatibility: Incompatibility) -> str:
        requirement = reason.requirement
        if not reason.parent:
            verb = "you require"
            where = f" ({reason.origin})"
        else:
            parents = [p for p in incompatibility.terms if self._stands_for(p, reason)]
            versions = incompatibility.terms[parents[0]] if parents else 0
            who = self.versions(parents[0], versions) if parents else reason.parent
            verb, where = f"{who} requires", ""
        line = str(Requirement(requirement.name, requirement.specifier, requirement.extras))
        overrides = self.provider.catalog.overrides.get(requirement.name)
        if overrides:
            where += f" (your override, {overrides[0].origin})"
        return f"{verb} {line}{where}{self._shortage(reason)}"

    def _stands_for(self, package: Package, reason: Requires) -> bool:
        return package != ROOT and reason.parent.startswith(f"{self.provider.keys[package]} ")

    def _shortage(self, reason: Requires) -> str:
        """Say it where a requirement cannot be met by any version that there is."""
        name = reason.requirement.name
        candidates = self.provider.catalog.candidates(name)
        if candidates is None:
            return ""
        if candidates.missing is not None:
            unavailable = candidates.missing.unavailable
            if unavailable.cause == "not-found":
                return f", but no index has a project {name}"
            return (
                f", but the page of {name} cannot be had: {unavailable.detail or unavailable.cause}"
            )
        if candidates.admitted(reason.requirement):
            return ""
        if not len(candidates.universe):
            return f", but {name} has no files"
        newest = candidates.universe.newest_first[0]
        return f", but no version of {name} matches (the newest is {newest})"

    def _obstacle(self, reason: Unusable, versions: str) -> str:
        match reason.obstacle:
            case "yanked":
                return f"{versions} {_was(versions)} yanked{_because(reason.detail)}"
            case "python":
                return f"{versions} needs Python {reason.detail} (you solve for {self._python()})"
            case "platform":
                return f"{versions} has no wheel for this platform and no source archive"
            case "date":
                return f"{versions} {_was(versions)} not there yet at {self._moment()}"
            case "format":
                return f"{versions} has no other files ({reason.detail})"
            case "early":
                return f"{versions} is no final release (--only-final)"
            case "hash":
                which = versions.removeprefix("every version of ")
                return f"no file of {which} has a hash that you gave"
            case "url":
                return f"{versions} requires {reason.detail}, a URL that you did not name"
            case _:
                return f"the metadata of {versions} cannot be had ({reason.detail})"

    def _python(self) -> str:
        request = self.provider.catalog.request
        if request.universal:
            return request.requires_python or f">={request.target.variables['python_version']}"
        return request.target.python

    def _moment(self) -> str:
        moment = self.provider.catalog.request.exclude_newer or 0.0
        return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M UTC")

    def conclusion(self, incompatibility: Incompatibility) -> str:
        """Return what a learned incompatibility says as a clause."""
        terms = {p: v for p, v in incompatibility.terms.items() if p != ROOT}
        out = [self.versions(p, v) for p, v in terms.items() if not v & ABSENT]
        needed = [
            self.versions(p, self.provider.universe(p) & ~v) for p, v in terms.items() if v & ABSENT
        ]
        if not needed:
            together = " together" if len(out) > 1 else ""
            return f"{_join(out)} cannot be used{together}"
        what = " or ".join(needed)
        if not out:
            return f"{what} is needed"
        return f"{_join(out)} {'requires' if len(out) == 1 else 'together require'} {what}"

    def listed(self, incompatibility: Incompatibility) -> tuple[str, ...]:
        """Return the versions that an obstacle is about, newest first."""
        package, versions = next(iter(incompatibility.terms.items()))
        universe = self.provider.universe_of(package)
        return tuple(universe.text(number) for number in universe.members(versions))

    def versions(self, package: Package, versions: Versions, *, bridged: bool = True) -> str:
        """Return a set of versions of a package in words."""
        key, universe = self.provider.keys[package], self.provider.universe_of(package)
        versions &= universe.released
        ignored = self._unusable.get(key.name, 0) & ~versions if bridged else 0
        if not versions:
            return f"a version of {key} that does not exist"
        if not universe.released & ~(versions | ignored):
            only = len(universe) == 1
            return f"{key} {universe.text(1)}" if only else f"every version of {key}"
        runs = list(_runs(versions, ignored))
        written = [self._run(package, low, high) for low, high in runs[:MOST_RUNS]]
        more = f" and {len(runs) - MOST_RUNS} more ranges" if len(runs) > MOST_RUNS else ""
        return f"{key} {', '.join(written)}{more}"

    def _run(self, package: Package, low: int, high: int) -> str:
        universe = self.provider.universe_of(package)
        if low == high:
            return universe.text(low)
        if high == len(universe):
            return f"≥ {universe.text(low)}"
        if low == 1:
            return f"≤ {universe.text(high)}"
        return f"{universe.text(low)} to {universe.text(high)}"


def _runs(versions: Versions, ignored: Versions) -> Iterable[tuple[int, int]]:
    """Yield (lowest, highest) of each run, newest first, bridging what is ignored."""
    while versions:
        high = versions.bit_length() - 1
        low = high
        while (versions | ignored) >> (low - 1) & 1 and low > 1:
            low -= 1
        while not versions >> low & 1:
            low += 1
        yield low, high
        versions &= (1 << low) - 1


def _join(parts: list[str]) -> str:
    return " and ".join(parts)


def _was(versions: str) -> str:
    return "were" if any(sign in versions for sign in ("≥", "≤", " to ", ",", "every")) else "was"


def _because(detail: str) -> str:
    return f" ({detail})" if detail else ""
