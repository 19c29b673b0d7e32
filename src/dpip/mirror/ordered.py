"""Several indexes as one page source: the first that has a name is the one that it is from.

Order is trust. An index that cannot be asked right now is not passed over in favour of a
later one, because then an outage would change where a name comes from; only an index of which
no head was ever seen is, since it cannot have answered before.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.mirror.source import Narrowing
from dpip.mirror.subscribed import NoHead
from dpip.simple.repository import ProjectNotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from dpip.mirror.source import PageSource
    from dpip.simple.model import ProjectEntry
    from dpip.simple.upstream import Fetched, Validators


class Ordered:
    """A PageSource over at least one other, in order of precedence."""

    def __init__(self, sources: Sequence[PageSource]) -> None:
        self._sources = tuple(sources)

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        """Return the page of the first source that has the name."""
        missing: ProjectNotFound | NoHead | None = None
        for source in self._sources:
            try:
                return await source.fetch(name, known)
            except (ProjectNotFound, NoHead) as error:
                missing = error
        raise missing or ProjectNotFound(f"there is no project {name!r}")

    async def narrowed(self, name: str, told: Fetched) -> Fetched:
        """Return what the last source, which is upstream, would show of a page."""
        last = self._sources[-1]
        return await last.narrowed(name, told) if isinstance(last, Narrowing) else told

    def is_current(self, etag: str | None) -> bool:
        """Say whether a page is as the last source shows it; those of others are not."""
        last = self._sources[-1]
        return last.is_current(etag) if isinstance(last, Narrowing) else True

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the names of all sources; one that several have may come several times."""
        for source in self._sources:
            try:
                async for entry in source.projects():
                    yield entry
            except NoHead:
                continue
