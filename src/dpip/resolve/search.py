"""One environment's search, and the pins of its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.resolve.lookahead import foresee
from dpip.resolve.provider import Catalog, IndexProvider, Lacking
from dpip.resolve.resolution import Impossible, NeedMore, Pin, Solution, Statistics
from dpip.resolve.solver import NoAnswer, Solver

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from dpip.resolve.environment import Environment
    from dpip.resolve.facts import Direct, Facts
    from dpip.resolve.incompatibility import Package, Versions
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Outcome


class Search:
    """One environment's solver, kept between rounds so that nothing is done twice."""

    def __init__(
        self,
        request: Request,
        environment: Environment,
        facts: Facts,
        directs: Mapping[str, Direct],
    ) -> None:
        self.provider = IndexProvider(Catalog(request, environment, facts, directs))
        self.solver = Solver(self.provider)
        self.decided: Mapping[Package, Versions] = {}

    def run(self) -> Outcome:
        """Go on until there is an answer, proof that there is none, or a fact is lacking.

        Raises Forked where the environment must be solved in parts.
        """
        try:
            self.decided = self.solver.run()
        except Lacking as lacking:
            return NeedMore(foresee(self.provider, self.solver, lacking))
        except NoAnswer as verdict:
            from dpip.resolve import explain

            return Impossible(explain.explain(verdict.proof, self.provider))
        statistics = Statistics(self.solver.tries, self.solver.conflicts)
        found = tuple(pins(self.provider, self.decided))
        return Solution(found, statistics, warnings(self.provider, self.decided, found))


class Links:
    """Who needs whom in an answer, by project name."""

    def __init__(self, provider: IndexProvider, decided: Mapping[Package, Versions]) -> None:
        self.extras: dict[str, set[str]] = {}
        self.needs: dict[str, set[str]] = {}
        self.wanted_by: dict[str, set[str]] = {}
        for package, version in decided.items():
            key = provider.keys[package]
            if key.extra:
                self.extras.setdefault(key.name, set()).add(key.extra)
            for reason in provider.requirements(package, version):
                name = reason.requirement.name
                self.wanted_by.setdefault(name, set()).add(key.name or reason.origin)
                self.needs.setdefault(key.name, set()).add(name)


def pins(provider: IndexProvider, decided: Mapping[Package, Versions]) -> list[Pin]:
    """Return the pins of an answer, sorted by name."""
    links = Links(provider, decided)
    return [
        _pin(provider, package, version, links)
        for package, version in sorted(decided.items(), key=lambda each: provider.keys[each[0]])
        if package and not provider.keys[package].extra
    ]


def warnings(
    provider: IndexProvider, decided: Mapping[Package, Versions], found: Sequence[Pin]
) -> tuple[str, ...]:
    """Return what is odd about an answer: extras that do not exist, yanked versions."""
    provided = {pin.name: pin.record.extras for pin in found}
    keys = [provider.keys[package] for package in decided]
    odd = [
        f"{key.name} has no extra {key.extra!r}"
        for key in keys
        if key.extra and key.extra not in provided[key.name]
    ]
    for pin in found:
        if pin.file.yanked is not None:
            reason = f": {pin.file.yanked}" if pin.file.yanked else ""
            odd.append(f"{pin.name} {pin.version} was yanked{reason}")
    return tuple(sorted(odd))


def _pin(
    provider: IndexProvider,
    package: Package,
    version: Versions,
    links: Links,
) -> Pin:
    name = provider.keys[package].name
    candidates = provider.catalog.candidates(name)
    assert candidates is not None
    record, read_from = candidates.chosen(version)
    files = candidates.installable(version.bit_length() - 1)
    direct = provider.catalog.directs.get(name)
    return Pin(
        name,
        candidates.universe.text(version.bit_length() - 1),
        files[0],
        files,
        record,
        read_from,
        tuple(sorted(set(links.extras.get(name, ())) & set(record.extras))),
        tuple(sorted(links.needs.get(name, set()) - {name})),
        url="" if direct is None else direct.url,
        editable=direct is not None and direct.editable,
        wanted_by=tuple(sorted(links.wanted_by.get(name, ()))),
    )
