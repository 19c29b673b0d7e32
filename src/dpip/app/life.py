"""What a built node does while it runs, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.app import content
from dpip.app.index import PRIVATE_AGE
from dpip.app.renewing import Renewing
from dpip.app.tending import Tending
from dpip.errors import DpipError
from dpip.mirror.rebuild import complete
from dpip.mirror.sources import PRIVATE
from dpip.mirror.store import mapped
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpip.app.content import BothRoutings
    from dpip.app.dispatch import Application
    from dpip.app.gains import Gains
    from dpip.app.index import Index
    from dpip.app.kubo import KuboSide
    from dpip.app.stored import Stored
    from dpip.federation.neighbours import Neighbours
    from dpip.federation.peer import Peer
    from dpip.mirror.ingest import Ingest
    from dpip.settings import Settings

log = logging.getLogger(__name__)
ROUTES_AGE = 2.0
"""Seconds until a row that `dpip route` has written is in force in a running node."""
USES_AGE = 3.0
"""Seconds for which the archives that were served are only noted in memory."""


@dataclass(frozen=True, slots=True)
class Node:
    """A built node: an ASGI application, and what must be started and closed around it."""

    settings: Settings
    application: Application
    stored: Stored
    index: Index
    ingest: Ingest
    peer: Peer
    neighbours: Neighbours
    gains: Gains
    routing: BothRoutings
    used: set[str]
    """The archives that were served since their use was last written."""
    kubo: KuboSide | None = None

    def listens(self, port: int) -> None:
        """Take note of the port: only now can others be told how to reach this node."""
        found = content.provider(self.settings, port)
        if found is None:
            log.warning("others cannot be told how to reach this node: set public_url")
        self.routing.reached_as(found)

    async def background(self, url: str) -> None:
        """Do what a node does when nobody asks; `url` is where it answers.

        That is: take part in the network, learn its upstream, complete its catalog, look for
        newer heads of the indexes that it follows, look after its store, renew its IPNS
        records, follow the routing table.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._converse(url))
            tasks.create_task(self._look_after())

    async def aclose(self) -> None:
        """Stop transfers and questions, close connections, commit and close the stores."""
        await self.index.stop_asking()
        await self.ingest.close()
        await self.neighbours.aclose()
        self.gains.note()
        await self.index.aclose()
        if self.kubo is not None:
            await asyncio.to_thread(self.kubo.close)
        await asyncio.to_thread(self.peer.close)
        await asyncio.to_thread(self.stored.close)

    async def _converse(self, url: str) -> None:
        with _logged("talking to peers"):
            await self.peer.run(url)

    async def _look_after(self) -> None:
        if not self.settings.offline:
            with contextlib.suppress(DpipError):
                await self.index.upstream.upstream()
        with _logged("completing the catalog"):
            await complete(self.stored.catalog, self.stored.archives)
        if self.kubo is not None:
            self.kubo.start()
        tending = Tending(self.settings, lambda: self.stored.archives.kept)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.index.following.run())
            tasks.create_task(self._follow_heads())
            tasks.create_task(tending.run())
            tasks.create_task(self._note_uses())
            tasks.create_task(self.gains.run())
            tasks.create_task(Renewing(self.settings, self.stored.blocks).run())
            tasks.create_task(self._follow_disk())
            tasks.create_task(self._follow_private())

    async def _follow_heads(self) -> None:
        with _logged("following heads"):
            await self.index.following.watch(self.index.sources.pages[DEFAULT_SOURCE].doubt)

    async def _follow_disk(self) -> None:
        """See what others write into the home: routes, rules, and what a sync changes."""
        seen = self.stored.catalog.last_change()
        while True:
            await asyncio.sleep(ROUTES_AGE)
            with _logged("following the routing table"):
                self.index.reroute()
            with _logged("following the rules of the mirror"):
                self.index.follow_rules()
            with _logged("following the catalog"):
                seen = self._forget_changed(seen)
            with _logged("looking for what is withheld"), mapped():
                await asyncio.to_thread(self.index.apart.look_for_roots)

    async def _follow_private(self) -> None:
        """Show and tell what another process changed in private packages: yanks, deletions."""
        private, seen = self.stored.private, 0
        while True:
            await asyncio.sleep(PRIVATE_AGE)
            with _logged("following private packages"):
                version = await asyncio.to_thread(private.version)
                names = [] if version == seen else await asyncio.to_thread(private.names)
                for name in names:
                    await self.index.sources.pages[PRIVATE].refresh(name)
                seen = version

    def _forget_changed(self, seen: int) -> int:
        """Drop pages that changed from memory: another process, a sync, may have done it."""
        while changed := self.stored.catalog.changed_since(seen):
            for _, name in changed:
                for pages in self.index.sources.pages.values():
                    pages.forget(name)
            seen = changed[-1][0]
        return seen

    async def _note_uses(self) -> None:
        """Write what was served, so that what is in use is not what goes first."""
        while True:
            await asyncio.sleep(USES_AGE)
            if self.used:
                now = sorted(self.used)
                self.used.clear()
                with _logged("noting what was served"), mapped():
                    await asyncio.to_thread(self.stored.contents.touch, now)


@contextlib.contextmanager
def _logged(doing: str) -> Iterator[None]:
    """Let background work go on after an error that a request would have shown."""
    try:
        yield
    except DpipError as error:
        log.warning("%s: %s", doing, error.message)
