"""Repositories made of repositories: an index is an expression.

`Filtered(Routed(routes, {"private": uploads, "upstream": mirror}), allow)` is a repository
like any other. `RoutedPages` is the same thought for pages that are already rendered. A
wrapper whose routes name a source that it does not have refuses to be built.
"""

from __future__ import annotations

import contextlib
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dpip.errors import UsageError
from dpip.simple.repository import ProjectNotFound

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from dpip.simple.model import Project, ProjectEntry
    from dpip.simple.repository import PageSource, Repository, StoredPage
    from dpip.simple.routing import Routes


class Lister(Protocol):
    """Anything that streams a root list."""

    def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the root list in name order."""
        ...


class Routed:
    """A Repository in which every name has one source; see `routing`."""

    def __init__(self, routes: Routes, sources: Mapping[str, Repository]) -> None:
        _require(routes, sources)
        self._routes = routes
        self._sources = sources

    async def project(self, name: str) -> Project:
        """Return the page that the name's own source has."""
        return await self._sources[self._routes.source_of(name)].project(name)

    def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream all names, each from its own source."""
        return routed_entries(self._routes, self._sources)


@runtime_checkable
class Validating(Protocol):
    """A PageSource that can tell a page's validator without reading the page."""

    async def validator(self, name: str) -> str | None:
        """Return the validator, or None where `page` must be asked."""
        ...


class RoutedPages:
    """A PageSource in which every name has one source.

    `routes` is asked at each request, so that a table can change while a node runs.
    """

    def __init__(self, routes: Callable[[], Routes], sources: Mapping[str, PageSource]) -> None:
        _require(routes(), sources)
        self._routes = routes
        self._sources = sources

    def cached(self, name: str) -> StoredPage | None:
        """Return the page of the name's own source if it is in memory."""
        return self._source(name).cached(name)

    async def page(self, name: str) -> StoredPage:
        """Return the page of the name's own source."""
        return await self._source(name).page(name)

    async def validator(self, name: str) -> str | None:
        """Return the validator that `page` would have, if that is known without reading it."""
        source = self._source(name)
        return await source.validator(name) if isinstance(source, Validating) else None

    def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream all names, each from its own source."""
        return routed_entries(self._routes(), self._sources)

    def _source(self, name: str) -> PageSource:
        return self._sources[self._routes().source_of(name)]


class Filtered:
    """A Repository without the names that `allowed` says no to."""

    def __init__(self, source: Repository, allowed: Callable[[str], bool]) -> None:
        self._source = source
        self._allowed = allowed

    async def project(self, name: str) -> Project:
        """Return the page of an allowed name; others are not found."""
        if not self._allowed(name):
            raise ProjectNotFound(f"this index does not offer {name!r}", project=name)
        return await self._source.project(name)

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the allowed names."""
        async for entry in self._source.projects():
            if self._allowed(entry.key):
                yield entry


def _require(routes: Routes, sources: Mapping[str, object]) -> None:
    missing = sorted(routes.sources - sources.keys())
    if missing:
        raise UsageError(f"names are routed to a source that does not exist: {missing[0]!r}")


async def routed_entries(
    routes: Routes, sources: Mapping[str, Lister]
) -> AsyncIterator[ProjectEntry]:
    """Merge root lists in name order; each source adds only the names that are routed to it."""
    async with contextlib.AsyncExitStack() as stack:
        waiting = []
        for order, (source, lister) in enumerate(sources.items()):
            entries = _own(routes, source, lister)
            stack.push_async_callback(entries.aclose)
            first = await anext(entries, None)
            if first is not None:
                waiting.append((first.key, order, first, entries))
        heapify(waiting)
        while waiting:
            _, order, entry, entries = waiting[0]
            yield entry
            following = await anext(entries, None)
            if following is None:
                heappop(waiting)
            else:
                heapreplace(waiting, (following.key, order, following, entries))


async def _own(routes: Routes, source: str, lister: Lister) -> AsyncGenerator[ProjectEntry, None]:
    async for entry in lister.projects():
        if routes.source_of(entry.key) == source:
            yield entry
