"""An upstream seen through a mirror's rules: only what the mirror keeps exists."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dpip.simple.model import ProjectEntry
from dpip.simple.repository import ProjectNotFound
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from dpip.mirror.catalog import Catalog
    from dpip.mirror.scope import Scope
    from dpip.mirror.source import PageSource
    from dpip.simple.upstream import Fetched, Validators


class Selected:
    """A PageSource over another; its root list is what is stored, with upstream's serials.

    `scope` is asked at each page, so that rules can change while a node runs.
    """

    def __init__(self, upstream: PageSource, scope: Callable[[], Scope], catalog: Catalog) -> None:
        self._upstream = upstream
        self._scope = scope
        self._catalog = catalog

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        """Return a page without the files that the mirror does not keep."""
        scope = self._scope()
        reason = scope.excludes(name)
        if reason is not None:
            raise ProjectNotFound(f"this mirror does not keep {name!r}: {reason}", project=name)
        fetched = await self._upstream.fetch(name, known)
        if fetched.project is None:
            return fetched
        project, left_out = scope.select(replace(fetched.project, name=name))
        return replace(fetched, project=project, left_out=left_out)

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream what is mirrored, in name order."""
        last = ""
        while rows := self._catalog.page_names(after=last):
            for name, serial, source in rows:
                if source == DEFAULT_SOURCE:
                    yield ProjectEntry(name, serial)
            last = rows[-1][0]
