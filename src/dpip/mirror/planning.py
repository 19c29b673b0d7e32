"""What upstream has that a mirror must look at: by its changelog, or by its root list.

The changelog tells what happened since the serial that was read last, removals by name. It is
believed only from a serial on that was taken *before* a root list was compared, for the same
upstream and the same rules; and once a day a root list is compared all the same, so that no gap
lasts. Whatever goes wrong with a changelog, the root list says it too.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TYPE_CHECKING, Protocol

from dpip.errors import DpipError
from dpip.mirror import reapply
from dpip.mirror.follow import Due, compare
from dpip.mirror.worklist import CHUNK, Sorted
from dpip.simple.model import ProjectEntry
from dpip.simple.repository import UpstreamInvalid

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpip.mirror.catalog import Catalog
    from dpip.mirror.scope import Scope
    from dpip.mirror.source import PageSource
    from dpip.mirror.worklist import Worklist
    from dpip.simple.changelog import Event

RULES, SERIAL = "rules", "serial"
"""Marks: the rules that what is stored was filtered by; the newest serial that was planned."""
READ = "changelog"
"""Mark: how far a changelog was read, when a root list was last compared, and whose it is."""
RELIST = 86_400.0
"""Seconds for which the changelog alone is followed."""


class ChangeSource(Protocol):
    """A changelog: `simple.changelog.Changelog` is one. All raise DpipError."""

    @property
    def origin(self) -> str:
        """What its serials belong to."""
        ...

    async def last_serial(self) -> int:
        """Return the newest serial."""
        ...

    async def packages(self) -> dict[str, int]:
        """Return the newest serial of every project, by name."""
        ...

    def since(self, serial: int) -> AsyncIterator[Event]:
        """Yield what happened after a serial, in order."""
        ...


FindChangelog = Callable[[], Awaitable[ChangeSource | None]]


class Plan:
    """Makes due what there is to do; see `Sync` for the arguments. `recheck` is seconds."""

    def __init__(
        self,
        *,
        upstream: PageSource,
        changelog: FindChangelog | None,
        scope: Scope,
        rules: str,
        own: Callable[[str], bool],
        catalog: Catalog,
        worklist: Worklist,
        now: Callable[[], float],
        recheck: float,
    ) -> None:
        self._upstream = upstream
        self._find_changelog = changelog
        self._scope = scope
        self._rules = rules
        self._own = own
        self._catalog = catalog
        self._worklist = worklist
        self._now = now
        self._recheck = recheck

    async def make(self) -> str:
        """Look at the rules, then at upstream; return what of it was read."""
        if self._worklist.mark(RULES) != self._rules:
            await self._apply_rules()
        changelog, target = await self._changelog()
        if changelog is not None and await self._follow(changelog):
            return "changelog"
        await self._list(changelog)
        if changelog is not None and target is not None:
            await self._note_read(target, self._now(), changelog)
        return "root list" if self._scope.exact is None else "pages"

    async def _apply_rules(self) -> None:
        """Filter what is stored anew, and ask for every page, since rules may allow more."""
        await self._mark(READ, "")
        await reapply.reapply(self._catalog, self._worklist, self._scope, self._now())
        await asyncio.wrap_future(self._catalog.distrust())
        await asyncio.wrap_future(self._worklist.add_all(self._now()))
        await self._mark(RULES, self._rules)

    # By the changelog

    async def _changelog(self) -> tuple[ChangeSource | None, int | None]:
        """Return upstream's changelog and its newest serial, or that it has none."""
        if self._find_changelog is None:
            return None, None
        try:
            changelog = await self._find_changelog()
            return changelog, await changelog.last_serial() if changelog else None
        except DpipError:
            return None, None

    async def _follow(self, changelog: ChangeSource) -> bool:
        """Make due what happened since the last time; False: the root list must say it."""
        read = (self._worklist.mark(READ) or "").split(" ", 2)
        if len(read) != 3 or read[2] != changelog.origin:
            return False
        serial, listed_at = int(read[0]), float(read[1])
        if not 0 <= self._now() - listed_at < RELIST:
            return False
        news: dict[str, Due] = {}
        try:
            async for event in changelog.since(serial):
                serial = event.serial
                if self._keeps(event.name):
                    news[event.name] = Due(event.name, serial, listed=not event.is_removal)
        except DpipError:
            return False
        await self._add(news.values())
        await self._note_read(serial, listed_at, changelog)
        return True

    async def _note_read(self, serial: int, listed_at: float, changelog: ChangeSource) -> None:
        await self._mark(READ, f"{serial} {listed_at} {changelog.origin}")
        await self._mark(SERIAL, str(serial))

    # By the root list

    async def _list(self, changelog: ChangeSource | None) -> None:
        listed = Sorted()
        try:
            await listed.gather(self._listed())
            if listed.newest is None and changelog is not None:
                # A list without serials would have every page asked for.
                with contextlib.suppress(DpipError):
                    listed.tell(await changelog.packages())
            if not listed.count and self._worklist.counts()["followed"]:
                raise UpstreamInvalid("upstream's root list has nothing that this mirror keeps")
            recheck_before = self._now() - self._recheck
            await self._add(compare(self._worklist.all(), listed, recheck_before=recheck_before))
        finally:
            listed.close()
        if listed.newest is not None:
            await self._mark(SERIAL, str(listed.newest))

    async def _listed(self) -> AsyncIterator[ProjectEntry]:
        """Yield the wanted part of the root list, or the names where they are a closed list."""
        names = self._scope.exact
        if names is not None:
            for name in names:
                if self._keeps(name):
                    yield ProjectEntry(name)
            return
        async for entry in self._upstream.projects():
            if self._keeps(entry.key):
                yield entry

    def _keeps(self, name: str) -> bool:
        return self._own(name) and self._scope.excludes(name) is None

    async def _add(self, dues: Iterable[Due]) -> None:
        now, batch = self._now(), list[Due]()
        for due in dues:
            batch.append(due)
            if len(batch) == CHUNK:
                await asyncio.wrap_future(self._worklist.add(batch, now))
                batch = []
        await asyncio.wrap_future(self._worklist.add(batch, now))

    async def _mark(self, key: str, value: str) -> None:
        await asyncio.wrap_future(self._worklist.set_mark(key, value))
