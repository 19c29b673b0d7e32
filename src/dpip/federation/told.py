"""The pages of names that are private to another node, as it tells them."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dpip.federation import known as told
from dpip.federation.claims import page_of
from dpip.simple.model import ProjectEntry
from dpip.simple.repository import ProjectNotFound, UpstreamUnavailable
from dpip.simple.routing import DEFAULT_SOURCE, Routes
from dpip.simple.upstream import Fetched, Validators

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping

    from dpip.federation.guarded import Guarded
    from dpip.koi import Cache

NETWORK = "network"
"""Their source in the routing table."""


def with_told(table: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Return a routing table with these names in it, but for those that it routes by itself."""
    routes = Routes.from_patterns(table)
    told = [
        name for name in names if name not in table and routes.source_of(name) == DEFAULT_SOURCE
    ]
    return {**table, **dict.fromkeys(told, NETWORK)}


class ToldPages:
    """A PageSource over a KOI node's cache, which `cache` returns once it is open."""

    def __init__(self, cache: Callable[[], Cache | None], guarded: Guarded) -> None:
        self._cache = cache
        self._guarded = guarded

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        """Return a project's page as its guardian told it, or that it has not changed."""
        return await asyncio.to_thread(self._fetch, name, known)

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the guarded names."""
        for name in sorted(self.names):
            yield ProjectEntry(name)

    @property
    def names(self) -> frozenset[str]:
        """The names whose pages these are."""
        return self._guarded.names

    def _fetch(self, name: str, known: Validators | None) -> Fetched:
        cache = self._cache()
        if cache is None:
            raise UpstreamUnavailable("the node is starting")
        found = told.project(cache, name)
        if found is None:
            raise ProjectNotFound(f"{name!r} is private to another node, which has none now")
        claim, _ = found
        etag = f'"{claim.files}.{claim.status}"'
        if known is not None and known.etag == etag:
            return Fetched(None, Validators(etag))
        project = page_of(claim, told.files(cache, name))
        if project is None:
            raise UpstreamUnavailable(f"the news of {name!r} is not complete yet")
        return Fetched(project, Validators(etag))
