"""The index of a node: which pages it has from where, as one expression of small sources.

default  =  followed indexes, in order  ►  upstream, as the home's mirror selects it
a name   →  its one source by the routing table: default | private | another index's URL
            | network, for what is private to a node that tells us of it
a file   →  by the scheme and host of its URL: a followed index | another index | upstream
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dpip.app.configured import ConfiguredUpstream
from dpip.app.following import follow
from dpip.app.mirrored import Mirrored
from dpip.app.pip_settings import index_url
from dpip.federation.told import NETWORK, with_told
from dpip.mirror.apart import Apart
from dpip.mirror.hosts import ByHost, ByScheme
from dpip.mirror.private import PrivatePages
from dpip.mirror.refresh import Policy
from dpip.mirror.repository import Pages
from dpip.mirror.sources import PRIVATE, Sources
from dpip.mirror.uploads import with_private
from dpip.simple.render import render
from dpip.simple.routing import DEFAULT_SOURCE
from dpip.simple.upstream import Upstream
from dpip.simple.wrappers import RoutedPages

if TYPE_CHECKING:
    from dpip.app.following import Urls
    from dpip.app.stored import Stored
    from dpip.federation.told import ToldPages
    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.connections import Dial
    from dpip.mirror.catalog import FileRecord
    from dpip.mirror.source import FileSource, PageSource
    from dpip.settings import Settings

PRIVATE_AGE = 1.0
"""Seconds until a node shows what another process, or node, changed in private packages."""
AT_HAND = Policy(max_age=PRIVATE_AGE, absent_age=0, first_pause=0.1, longest_pause=PRIVATE_AGE)
"""For what lies here: one look confirms it, and one that fails costs nothing to repeat."""


class Index:
    """The pages and files of a node, and everybody that it asks for them."""

    def __init__(
        self,
        settings: Settings,
        stored: Stored,
        neighbours: Urls,
        told: ToldPages,
        afar: Blockstore | None = None,
        *,
        dial: Dial | None = None,
    ) -> None:
        """Build the index. Raises UsageError for a followed index that is none.

        Blocks of followed indexes may come from what `neighbours` names, connected to by `dial`,
        and from `afar`; `told` are the pages of names that are private to other nodes.
        """
        self._settings = settings
        self._stored = stored
        self._told = told
        self.upstream = ConfiguredUpstream(
            lambda: settings.index_url or index_url(settings.url),
            timeout=settings.upstream_timeout,
            max_page_size=settings.max_page_size,
        )
        self.following = follow(settings, stored.leaves, neighbours, afar, dial=dial)
        self.mirrored = Mirrored(self.upstream, settings.home, stored.catalog)
        self.apart = Apart(stored.catalog, stored.contents, self.is_apart)
        self.apart.add(stored.private.uploaded())
        self._others: dict[str, Upstream] = {}
        self._default, self.files = self._ordered()
        self.sources = Sources({}, self._pages)
        self.pages = RoutedPages(lambda: self.sources.routes, self.sources.pages)
        self.reroute()

    def reroute(self) -> None:
        """Put the routing table that is on disk in force."""
        stored = self._stored
        table = with_private(stored.catalog.routes(), stored.private.names())
        self.sources.use(with_told(table, self._told.names))
        self.apart.follow(self.sources.routes)

    def follow_rules(self) -> None:
        """Let pages be looked at again after the home's rules have changed."""
        if self.mirrored.changed():
            self.sources.pages[DEFAULT_SOURCE].forget_all()

    def is_apart(self, name: str) -> bool:
        """Say whether a normalized name is not from the default source, but private or routed."""
        return self.sources.routes.source_of(name) != DEFAULT_SOURCE

    async def stop_asking(self) -> None:
        """Give up the questions that are open."""
        await self.sources.close()

    async def aclose(self) -> None:
        """Close every connection."""
        await self.upstream.aclose()
        for other in self._others.values():
            await other.aclose()
        await self.following.aclose()

    def _ordered(self) -> tuple[PageSource, FileSource]:
        default = self.mirrored
        files: FileSource = ByHost(self.upstream, self._others)
        indexes = self.following.indexes
        if not indexes:
            return default, files
        from dpip.mirror.ordered import Ordered
        from dpip.mirror.subscribed import SCHEME

        return Ordered([*indexes, default]), ByScheme(files, SCHEME, indexes[0])

    def _pages(self, source: str) -> Pages:
        """Build the pages of one source of the routing table."""
        settings = self._settings
        policy = Policy(max_age=settings.page_max_age, offline=settings.offline)
        asked = self._default
        if source == PRIVATE:
            asked, policy = PrivatePages(self._stored.private), AT_HAND
        elif source == NETWORK:
            asked, policy = self._told, AT_HAND
        elif source != DEFAULT_SOURCE:
            asked = self._others[source] = Upstream(
                source, timeout=settings.upstream_timeout, max_page_size=settings.max_page_size
            )
        return Pages(
            upstream=asked,
            source=source,
            catalog=self._stored.catalog,
            render=render,
            policy=policy,
            now=time.time,
            listed=_nothing if source == DEFAULT_SOURCE else self.apart.listed,
        )


def _nothing(_files: list[FileRecord]) -> None:
    """Note nothing of public pages."""
