"""The composition root: the one place that builds the real objects of a node, in order.

To add a room to the node: build it here, and mount it with one line in `build`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dpip.app import content
from dpip.app.dispatch import Dispatcher, Lazily
from dpip.app.gains import Gains, neighbours
from dpip.app.index import Index
from dpip.app.life import Node
from dpip.app.membership import membership
from dpip.app.pip_settings import index_url
from dpip.app.status import Status
from dpip.app.stored import open_home
from dpip.federation.compressed import Compressed
from dpip.federation.directory import GraphDirectory
from dpip.federation.guarded import Guarded
from dpip.federation.holdings import Holdings
from dpip.federation.ledger import Ledger
from dpip.federation.peer import Peer
from dpip.federation.told import ToldPages
from dpip.ipfs.gateway.server import Gateway
from dpip.mirror.files import Files
from dpip.mirror.ingest import Ingest
from dpip.mirror.sources import PRIVATE
from dpip.mirror.store import Remake
from dpip.mirror.uploads import PrivateUploads
from dpip.simple.integrity import IntegrityApplication
from dpip.simple.routing import DEFAULT_SOURCE
from dpip.simple.server import SimpleApplication
from dpip.simple.upload import UploadServer

if TYPE_CHECKING:
    from dpip.app.dispatch import Application
    from dpip.app.kubo import KuboSide
    from dpip.app.stored import Stored
    from dpip.federation.neighbours import Neighbours
    from dpip.ipfs.blockstore import Blockstore
    from dpip.mirror.repository import Pages
    from dpip.settings import Settings
    from dpip.simple.legacy_json import LegacyJson, Packages


def build(settings: Settings) -> Node:
    """Build the node of a home. Raises HomeNotWritable, DiskFull and CatalogTooNew."""
    stored = open_home(settings.home)
    kubo = _kubo(settings, stored.leaves)
    directory = GraphDirectory(lambda: peer.node, settings.peer_networks)
    ledger = Ledger(settings.home / "koi" / "ledger.sqlite3")
    guarded = Guarded(ledger)
    told = ToldPages(lambda: peer.cache, guarded)
    index = Index(settings, stored, directory.tellers, told, kubo.afar if kubo else None)
    peer = Peer(
        membership(settings, index, ledger, guarded),
        ledger,
        catalog=stored.catalog,
        pages=index.sources.pages[DEFAULT_SOURCE],
    )
    gains = Gains(stored.catalog)
    nearby = neighbours(directory, stored.leaves, gains.savings, offline=settings.offline)
    ingest = _ingest(settings, stored, index, nearby)
    used: set[str] = set()
    files = Files(
        archives=stored.archives,
        catalog=stored.catalog,
        ingest=ingest,
        upstream=index.files,
        offline=settings.offline,
        remake=Remake(stored.contents),
        used=used.add,
    )
    index.mirrored.files = files
    status = Status(
        settings,
        catalog=stored.catalog,
        sources=index.sources,
        ingest=ingest,
        savings=gains.savings,
        peers=lambda: peer.known,
    )
    mounts: dict[str, Application] = {
        "koi-net": peer,
        **_packages(settings, stored, index, files),
        **_content(settings, stored, kubo),
        "healthz": status.health,
        "metrics": status.metrics,
        "": status.page,
    }
    return Node(
        settings=settings,
        application=Dispatcher(mounts),
        stored=stored,
        index=index,
        ingest=ingest,
        peer=peer,
        neighbours=nearby,
        gains=gains,
        used=used,
        kubo=kubo,
    )


def _ingest(settings: Settings, stored: Stored, index: Index, nearby: Neighbours) -> Ingest:
    return Ingest(
        upstream=index.files,
        nearby=nearby,
        offline=settings.offline,
        archives=stored.archives,
        catalog=stored.catalog,
        now=time.time,
        max_size=settings.max_file_size,
    )


def _packages(
    settings: Settings, stored: Stored, index: Index, files: Files
) -> dict[str, Application]:
    """Build what package tools ask: pages, files, uploads, attestations, closures."""
    simple = SimpleApplication(pages=index.pages, files=files)

    def old() -> tuple[Packages, LegacyJson]:
        # The forms that programs which mirror an index still ask for.
        from dpip.simple.legacy_json import LegacyJson, Packages

        return Packages(simple), LegacyJson(index.pages)

    return {
        "simple": simple,
        "files": Holdings(
            simple, files=files, archives=stored.contents, metadata=stored.catalog.metadata
        ),
        "packages": Lazily(lambda: old()[0]),
        "pypi": Lazily(lambda: old()[1]),
        "legacy": _uploads(settings, stored, index),
        "integrity": IntegrityApplication(stored.private.attestations),
        "resolve": Lazily(lambda: _closures(settings, index, files)),
    }


def _uploads(settings: Settings, stored: Stored, index: Index) -> Application:
    pages: Pages = index.sources.pages[PRIVATE]
    uploads = PrivateUploads(
        private=stored.private,
        archives=stored.archives,
        catalog=stored.catalog,
        pages=pages,
        rerouted=index.reroute,
    )
    return UploadServer(
        stored.private, uploads, stored.archives.scratch, max_file_size=settings.max_file_size
    )


def _content(settings: Settings, stored: Stored, kubo: KuboSide | None) -> dict[str, Application]:
    """Build what IPFS clients ask: blocks, files, names, who has what."""
    gateway = Gateway(kubo.blocks if kubo else stored.leaves, content.records(settings))
    return {
        "ipfs": Compressed(gateway),
        "ipns": gateway,
        "routing": content.routing(settings, stored.leaves),
    }


def _kubo(settings: Settings, blocks: Blockstore) -> KuboSide | None:
    """Build the side of the node that hands over to an IPFS daemon, where one is chosen."""
    if settings.engine == "embedded":
        return None
    from dpip.app.kubo import KuboSide, is_chosen

    return KuboSide(settings, blocks) if is_chosen(settings) else None


def _closures(settings: Settings, index: Index, files: Files) -> Application:
    """Build the closure endpoint; it builds source archives only for its own user."""
    from dpip.resolve.closure_server import ClosureApplication
    from dpip.resolve.node_builds import Builds

    builder = None
    if not settings.offline and settings.host in {"127.0.0.1", "::1", "localhost"}:
        builder = Builds(
            lambda: settings.index_url or index_url(settings.url), settings.home / "builds"
        )
    return ClosureApplication(
        pages=index.pages, files=files, builder=builder, validator=index.pages.validator
    )
