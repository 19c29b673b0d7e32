"""Sources of pages made of sources: `RoutedPages` gives every name its one source.

It refuses to be built where its routes name a source that it does not have.
"""

from __future__ import annotations

import contextlib
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from dpip.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping

    from dpip.simple.model import ProjectEntry
    from dpip.simple.repository import PageSource, StoredPage
    from dpip.simple.routing import Routes


class Lister(Protocol):
    """Anything that streams a root list."""

    def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the root list in name order."""
        ...


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
