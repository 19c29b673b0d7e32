"""The composition root: the one place that builds the real objects of a node, in order.

To add a room to the node: build it here, and mount it with one line in `build`.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dpip.app import content
from dpip.app.audience import Audience
from dpip.app.dispatch import Dispatcher
from dpip.app.gains import Gains, neighbours
from dpip.app.index import Index
from dpip.app.life import Node
from dpip.app.membership import membership
from dpip.app.packages import packages
from dpip.app.status import Status
from dpip.app.stored import open_home
from dpip.federation.compressed import Compressed
from dpip.federation.directory import GraphDirectory
from dpip.federation.guarded import Guarded
from dpip.federation.ledger import Ledger
from dpip.federation.passes import Passes
from dpip.federation.peer import Peer
from dpip.federation.told import ToldPages
from dpip.ipfs.gateway.server import Gateway
from dpip.mirror.files import Files
from dpip.mirror.ingest import Ingest
from dpip.mirror.provenance import Provenances
from dpip.mirror.store import Remake
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from dpip.app.dispatch import Application
    from dpip.app.kubo import KuboSide
    from dpip.app.stored import Stored
    from dpip.federation.neighbours import Neighbours
    from dpip.ipfs.blockstore import Blockstore
    from dpip.settings import Settings


def build(settings: Settings) -> Node:
    """Build the node of a home. Raises HomeNotWritable, DiskFull and CatalogTooNew."""
    stored = open_home(settings.home)
    kubo = _kubo(settings, stored.leaves)
    directory = GraphDirectory(
        lambda: peer.node,
        settings.peer_networks,
        circle=lambda name: audience.circle(name),  # noqa: PLW0108 - it is made below
    )
    ledger = Ledger(settings.home / "koi" / "ledger.sqlite3")
    guarded = Guarded(ledger)
    told = ToldPages(lambda: peer.cache, guarded)
    afar = kubo.afar if kubo else None
    index = Index(settings, stored, directory.tellers, told, afar, dial=directory.dial)
    member = membership(settings, index, ledger, guarded)
    passes = Passes(lambda: peer.node, time.time)
    audience = Audience(settings, stored, index, trust=member.trust, guarded=guarded, passes=passes)
    peer = Peer(
        member,
        ledger,
        catalog=stored.catalog,
        pages=index.sources.pages[DEFAULT_SOURCE],
    )
    gains = Gains(stored.catalog)
    nearby = neighbours(
        directory, stored.leaves, gains.savings, audience.sign, offline=settings.offline
    )
    provenances = Provenances(stored.catalog, index.files, offline=settings.offline)
    ingest = _ingest(settings, stored, index, nearby, provenances)
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
    routing = content.routing(settings, stored.leaves, audience.shown)
    mounts: dict[str, Application] = {
        "koi-net": peer,
        **packages(settings, stored, index, files, audience=audience, provenances=provenances),
        **_content(settings, stored, kubo, audience),
        "routing": audience.blocks(routing.full, routing.public),
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
        routing=routing,
        used=used,
        kubo=kubo,
    )


def _ingest(
    settings: Settings,
    stored: Stored,
    index: Index,
    nearby: Neighbours,
    provenances: Provenances,
) -> Ingest:
    return Ingest(
        upstream=index.files,
        nearby=nearby,
        offline=settings.offline,
        archives=stored.archives,
        catalog=stored.catalog,
        now=time.time,
        max_size=settings.max_file_size,
        stored=provenances.keep,
    )


def _content(
    settings: Settings, stored: Stored, kubo: KuboSide | None, audience: Audience
) -> dict[str, Application]:
    """Build what IPFS clients ask of a gateway: blocks, files, names."""

    def gateway(blocks: Blockstore) -> Gateway:
        return Gateway(kubo.beside(blocks) if kubo else blocks, content.records(settings))

    full, public = gateway(stored.leaves), gateway(audience.shown)
    return {
        "ipfs": audience.blocks(Compressed(full), Compressed(public), public.forget),
        "ipns": audience.blocks(full, public, public.forget),
    }


def _kubo(settings: Settings, blocks: Blockstore) -> KuboSide | None:
    """Build the side of the node that hands over to an IPFS daemon, where one is chosen."""
    if settings.engine == "embedded":
        return None
    from dpip.app.kubo import KuboSide, is_chosen

    return KuboSide(settings, blocks) if is_chosen(settings) else None
