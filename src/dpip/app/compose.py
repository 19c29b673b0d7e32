"""The composition root: the one place that builds the real objects of a node, in order.

To add a room to the node: build it here, and mount it with one line in `mounts`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.app import content
from dpip.app.configured import ConfiguredUpstream
from dpip.app.dispatch import Dispatcher, Lazily
from dpip.app.following import follow
from dpip.app.pip_settings import index_url
from dpip.app.renewing import Renewing
from dpip.app.status import Status
from dpip.app.tending import Tending
from dpip.errors import DpipError
from dpip.federation.assembly import Assembly
from dpip.federation.compressed import Compressed
from dpip.federation.directory import GraphDirectory
from dpip.federation.holdings import Holdings
from dpip.federation.neighbours import Neighbours
from dpip.federation.peer import Membership, Peer
from dpip.federation.trust import Trust
from dpip.ipfs.disk.archives import Archives as ArchiveStore
from dpip.ipfs.disk.leaves import WithLeaves
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.ipfs.gateway.server import Gateway
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import Catalog
from dpip.mirror.files import Files
from dpip.mirror.hosts import ByHost, ByScheme
from dpip.mirror.ingest import Ingest
from dpip.mirror.private import Private, PrivatePages
from dpip.mirror.rebuild import complete, rebuild
from dpip.mirror.refresh import Policy
from dpip.mirror.repository import Pages
from dpip.mirror.sources import PRIVATE, Sources
from dpip.mirror.store import ARCHIVES, BLOCKS, Remake, mapped
from dpip.mirror.uploads import PrivateUploads, with_private
from dpip.settings import MIRROR_NAME
from dpip.simple.integrity import IntegrityApplication
from dpip.simple.render import render
from dpip.simple.routing import DEFAULT_SOURCE
from dpip.simple.server import SimpleApplication
from dpip.simple.upload import UploadServer
from dpip.simple.upstream import Upstream
from dpip.simple.wrappers import RoutedPages

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dpip.app.dispatch import Application
    from dpip.app.following import Following
    from dpip.app.kubo import KuboSide
    from dpip.ipfs.blockstore import Blockstore
    from dpip.mirror.source import FileSource, PageSource
    from dpip.settings import Settings
    from dpip.simple.legacy_json import LegacyJson, Packages

log = logging.getLogger(__name__)
PRIVATE_AGE = 1.0
"""Seconds until a running node shows what another process changed in private packages."""
ROUTES_AGE = 2.0
"""Seconds until a row that `dpip route` has written is in force in a running node."""
USES_AGE = 3.0
"""Seconds for which the archives that were served are only noted in memory."""


@dataclass(frozen=True, slots=True)
class Node:
    """A built node: an ASGI application, and what must be started and closed around it."""

    settings: Settings
    application: Application
    catalog: Catalog
    archives: Archives
    upstream: ConfiguredUpstream
    sources: Sources
    private: Private
    indexes: dict[str, Upstream]
    ingest: Ingest
    peer: Peer
    neighbours: Neighbours
    reroute: Callable[[], None]
    """Puts the routing table that is on disk in force."""
    blocks: DiskBlockstore
    following: Following
    contents: ArchiveStore
    used: set[str]
    """The archives that were served since their use was last written."""
    kubo: KuboSide | None = None

    async def background(self, url: str) -> None:
        """Do what a node does when nobody asks; `url` is where it answers.

        That is: take part in the network, learn its upstream, complete its catalog, look for
        newer heads of the indexes that it follows, look after its store, follow the routing table.
        That is: learn its upstream, complete its catalog, look for newer heads of the indexes
        that it follows, look after its store, renew its IPNS records, follow the routing table.
        """
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._converse(url))
            tasks.create_task(self._look_after())

    async def _converse(self, url: str) -> None:
        with _logged("talking to peers"):
            await self.peer.run(url)

    async def _look_after(self) -> None:
        if not self.settings.offline:
            with contextlib.suppress(DpipError):
                await self.upstream.upstream()
        with _logged("completing the catalog"):
            await complete(self.catalog, self.archives)
        if self.kubo is not None:
            self.kubo.start()
        tending = Tending(self.settings, lambda: self.archives.kept)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.following.run())
            tasks.create_task(tending.run())
            tasks.create_task(self._note_uses())
            tasks.create_task(Renewing(self.settings, self.blocks).run())
            seen = self.catalog.last_change()
            while True:
                await asyncio.sleep(ROUTES_AGE)
                with _logged("following the routing table"):
                    self.reroute()
                with _logged("following the catalog"):
                    seen = self._forget_changed(seen)

    def _forget_changed(self, seen: int) -> int:
        """Drop pages that changed from memory: another process, a sync, may have done it."""
        while changed := self.catalog.changed_since(seen):
            for _, name in changed:
                for pages in self.sources.pages.values():
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
                    await asyncio.to_thread(self.contents.touch, now)

    async def aclose(self) -> None:
        """Stop transfers and questions, close connections, commit and close the catalog."""
        await self.sources.close()
        await self.ingest.close()
        await self.neighbours.aclose()
        await self.upstream.aclose()
        for index in self.indexes.values():
            await index.aclose()
        await self.following.aclose()
        if self.kubo is not None:
            await asyncio.to_thread(self.kubo.close)
        await asyncio.to_thread(self.catalog.close)
        await asyncio.to_thread(self.private.close)
        await asyncio.to_thread(self.blocks.close)


@contextlib.contextmanager
def _logged(doing: str) -> Iterator[None]:
    """Let background work go on after an error that a request would have shown."""
    try:
        yield
    except DpipError as error:
        log.warning("%s: %s", doing, error.message)


def build(settings: Settings) -> Node:
    """Build the node of a home. Raises HomeNotWritable, DiskFull and CatalogTooNew."""
    archives = Archives(settings.home / ARCHIVES)
    catalog = Catalog(settings.home / "catalog.sqlite3")
    if catalog.set_aside is not None:
        log.warning("the catalog was damaged; it is now %s", catalog.set_aside)
        rebuild(catalog, archives, now=time.time())
    upstream = ConfiguredUpstream(
        lambda: settings.index_url or index_url(settings.url),
        timeout=settings.upstream_timeout,
        max_page_size=settings.max_page_size,
    )
    private = Private(settings.home / "private.sqlite3")
    blocks = DiskBlockstore(settings.home / BLOCKS)
    contents = ArchiveStore(blocks, settings.home / ARCHIVES)
    leaves = WithLeaves(contents)
    following = follow(settings, leaves)
    indexes: dict[str, Upstream] = {}
    files_of: FileSource = ByHost(upstream, indexes)
    default = _followed(settings, upstream, catalog)
    if following.indexes:
        from dpip.mirror.ordered import Ordered
        from dpip.mirror.subscribed import SCHEME

        files_of = ByScheme(files_of, SCHEME, following.indexes[0])
        default = Ordered([*following.indexes, default])

    def pages_of(source: str) -> Pages:
        return _pages(settings, source, default=default, indexes=indexes, private=private,
                      catalog=catalog)  # fmt: skip

    def reroute() -> None:
        sources.use(with_private(catalog.routes(), private.names()))

    sources = Sources({}, pages_of)
    reroute()
    directory = GraphDirectory(lambda: peer.node, settings.peer_networks)
    neighbours = Neighbours(directory, Assembly(leaves).make, insistent=settings.offline)
    ingest = Ingest(
        upstream=files_of,
        nearby=neighbours,
        offline=settings.offline,
        archives=archives,
        catalog=catalog,
        now=time.time,
        max_size=settings.max_file_size,
    )
    used: set[str] = set()
    files = Files(
        archives=archives,
        catalog=catalog,
        ingest=ingest,
        upstream=files_of,
        offline=settings.offline,
        remake=Remake(contents),
        used=used.add,
    )
    routed = RoutedPages(lambda: sources.routes, sources.pages)
    simple = SimpleApplication(pages=routed, files=files)
    uploads = PrivateUploads(
        private=private,
        archives=archives,
        catalog=catalog,
        pages=sources.pages[PRIVATE],
        rerouted=reroute,
    )
    legacy = UploadServer(private, uploads, archives.scratch, max_file_size=settings.max_file_size)
    status = Status(
        settings,
        catalog=catalog,
        sources=sources,
        ingest=ingest,
        savings=neighbours.savings,
        peers=lambda: peer.known,
    )
    kubo = _kubo(settings, leaves)
    gateway = Gateway(kubo.blocks if kubo else leaves, content.records(settings))
    peer = Peer(
        _membership(settings, sources), catalog=catalog, pages=sources.pages[DEFAULT_SOURCE]
    )
    mounts: dict[str, Application] = {
        "koi-net": peer,
        "simple": simple,
        "files": Holdings(simple, files=files, archives=contents),
        "packages": Lazily(lambda: _old(routed, simple)[0]),
        "pypi": Lazily(lambda: _old(routed, simple)[1]),
        "legacy": legacy,
        "integrity": IntegrityApplication(private.attestations),
        "resolve": Lazily(lambda: _closures(settings, routed, files)),
        "ipfs": Compressed(gateway),
        "ipns": gateway,
        "routing": content.routing(settings, leaves),
        "healthz": status.health,
        "metrics": status.metrics,
        "": status.page,
    }
    return Node(
        settings=settings,
        application=Dispatcher(mounts),
        catalog=catalog,
        archives=archives,
        upstream=upstream,
        sources=sources,
        private=private,
        indexes=indexes,
        ingest=ingest,
        peer=peer,
        neighbours=neighbours,
        reroute=reroute,
        blocks=blocks,
        following=following,
        contents=contents,
        used=used,
        kubo=kubo,
    )


def _old(pages: RoutedPages, files: SimpleApplication) -> tuple[Packages, LegacyJson]:
    """Build the forms that programs which mirror an index still ask for."""
    from dpip.simple.legacy_json import LegacyJson, Packages

    return Packages(files), LegacyJson(pages)


def _followed(settings: Settings, upstream: ConfiguredUpstream, catalog: Catalog) -> PageSource:
    """Return the upstream as the home's mirror sees it, or as it is where there is none."""
    if not (settings.home / MIRROR_NAME).is_file():
        return upstream
    # Rules need half of `packaging`, which a node without a mirror starts without.
    from dpip.app.mirroring import LiveScope
    from dpip.mirror.selected import Selected
    from dpip.mirror.worklist import Worklist

    return Selected(upstream, LiveScope(settings.home, Worklist(catalog)), catalog)


def _kubo(settings: Settings, blocks: Blockstore) -> KuboSide | None:
    """Build the side of the node that hands over to an IPFS daemon, where one is chosen."""
    if settings.engine == "embedded":
        return None
    from dpip.app.kubo import KuboSide, is_chosen

    return KuboSide(settings, blocks) if is_chosen(settings) else None


def _membership(settings: Settings, sources: Sources) -> Membership:
    """Return how a node takes part; what is routed elsewhere is not the network's business."""

    def mine(name: str) -> bool:
        return sources.routes.source_of(name) != DEFAULT_SOURCE

    return Membership(
        home=settings.home / "koi",
        name=settings.name,
        trust=Trust.listing(settings.trusted_nodes, (), mine),
        url=settings.public_url,
        contacts=settings.first_contact,
        networks=settings.peer_networks,
    )


def _pages(
    settings: Settings,
    source: str,
    *,
    default: PageSource,
    indexes: dict[str, Upstream],
    private: Private,
    catalog: Catalog,
) -> Pages:
    """Build the pages of one source of the routing table."""
    policy = Policy(max_age=settings.page_max_age, offline=settings.offline)
    asked = default
    if source == PRIVATE:
        # It is at hand also when the node is offline, and costs one look to confirm.
        asked, policy = PrivatePages(private), Policy(max_age=PRIVATE_AGE, absent_age=0)
    elif source != DEFAULT_SOURCE:
        asked = indexes[source] = Upstream(
            source, timeout=settings.upstream_timeout, max_page_size=settings.max_page_size
        )
    return Pages(
        upstream=asked, source=source, catalog=catalog, render=render, policy=policy, now=time.time
    )


def _closures(settings: Settings, pages: RoutedPages, files: Files) -> Application:
    """Build the closure endpoint; it builds source archives only for its own user."""
    from dpip.resolve.closure_server import ClosureApplication
    from dpip.resolve.node_builds import Builds

    builder = None
    if not settings.offline and settings.host in {"127.0.0.1", "::1", "localhost"}:
        builder = Builds(
            lambda: settings.index_url or index_url(settings.url), settings.home / "builds"
        )
    return ClosureApplication(pages=pages, files=files, builder=builder, validator=pages.validator)
