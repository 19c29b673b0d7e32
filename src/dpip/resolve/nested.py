"""What a build needs: resolved and fetched by the same engine, apart from the run it is part of.

A build happens in the middle of a resolve, in a thread that others may wait for. Its own
requirements are therefore solved on facts and with threads of their own: two runs that share
those could each wait for the other. A project that is being built cannot be had from source
meanwhile, however many builds lie between; that is what ends circles.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from dpip.resolve.errors import BuildFailed
from dpip.resolve.names import normalize

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dpip.resolve.engine import Engine
    from dpip.resolve.facts import Project, Unavailable
    from dpip.resolve.gather import Gathered, Pages
    from dpip.resolve.metadata import Metadata
    from dpip.resolve.request import Request
    from dpip.resolve.sdist import Sources

ORIGIN = "[build-system] requires"
MOST_SAID = 300
"""Characters of a reason that go into an error."""


class Nested:
    """Builds inside of builds; `chain` names the projects that are being built around them."""

    def __init__(self, engine: Engine, pages: SharedPages, chain: tuple[str, ...] = ()) -> None:
        self._engine = engine
        self._pages = pages
        self._chain = chain

    def sources(self) -> Sources:
        """Return what reads and builds source archives at this depth."""
        from dpip.resolve.build import Isolation
        from dpip.resolve.sdist import Sources

        return Sources(Isolation(self.provide, self._engine.children))

    def provide(self, requires: Sequence[str], where: str) -> list[Path]:
        """Return wheels that meet what the build of `where` requires. Raises BuildFailed."""
        from dpip.resolve.resolution import Solution

        name = project_of(where)
        if name in self._chain:
            chain = " > ".join((*self._chain, name))
            raise BuildFailed(f"{where} needs itself to be built ({chain})")
        inner = Nested(self._engine, self._pages, (*self._chain, name))
        facts = inner.facts()
        try:
            solution = self._engine.solve(_request(requires), facts, hinting=False)
        finally:
            facts.close()
        if not isinstance(solution, Solution):
            reason = _reason(solution.explanation.lines[-1])
            raise BuildFailed(f"{where}: its build requirements cannot be met: {reason}")
        return [self._engine.wheel(pin, inner) for pin in solution.pins]

    def facts(self) -> Gathered:
        """Return facts for one solve, with pages shared and everything else its own."""
        from dpip.resolve.gather import Gathered

        return Gathered(self._pages, self._metadata, lambda: self._engine.directs)

    def _metadata(self) -> Metadata:
        return self._engine.metadata_with(self.sources)


class SharedPages:
    """Pages that each build would ask for anew, kept for the run."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._kept: dict[str, Project | Unavailable] = {}
        self._lock = threading.Lock()

    def at_hand(self, name: str) -> Project | Unavailable | None:
        """Return what is known without asking anybody."""
        with self._lock:
            found = self._kept.get(name)
        return found or self._pages.at_hand(name)

    def project(self, name: str) -> Project | Unavailable:
        """Return the page, asking for it."""
        found = self._pages.project(name)
        with self._lock:
            return self._kept.setdefault(name, found)


def project_of(where: str) -> str:
    """Return the project that the name of a source archive is of; else the place as it is."""
    stem, dash, _ = where.rpartition("-")
    return normalize(stem) if dash and "/" not in where else where


def _reason(line: str) -> str:
    """Return the middle of an explanation's last sentence: what the requirements met with."""
    _, _, rest = line.partition(f"({ORIGIN})")
    said = (rest or line).removesuffix(", there is no answer.")
    return said.removeprefix(",").strip().removeprefix("and ").removeprefix("but ")[:MOST_SAID]


def _request(requires: Sequence[str]) -> Request:
    from dpip.resolve import records
    from dpip.resolve.environment import here
    from dpip.resolve.request import Given, Request

    given = tuple(Given(records.requirement(line, ORIGIN), ORIGIN) for line in requires)
    return Request(given, here())
