"""How a node takes part in the network, from its settings and its routing table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dpip.app import content
from dpip.federation.dropped import Dropped
from dpip.federation.heads import Heads
from dpip.federation.peer import Membership
from dpip.federation.told import NETWORK
from dpip.federation.trust import Trust
from dpip.settings import MIRROR_NAME
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpip.app.index import Index
    from dpip.federation.guarded import Guarded
    from dpip.federation.ledger import Ledger
    from dpip.ipfs.cid import CID
    from dpip.settings import Settings


def membership(settings: Settings, index: Index, ledger: Ledger, guarded: Guarded) -> Membership:
    """Return how a node takes part; what is routed elsewhere is not the network's business."""
    sources, dropped = index.sources, Dropped(ledger)

    def mine(name: str) -> bool:
        return sources.routes.source_of(name) not in {DEFAULT_SOURCE, NETWORK}

    heads = Heads(content.records(settings), lambda: head_names(settings), time.time_ns)
    routes = sources.routes
    table = {**routes.names, **{f"{stem}-*": source for stem, source in routes.prefixes.items()}}
    withheld = {f"{name} {source}" for name, source in table.items() if source != NETWORK}
    return Membership(
        home=settings.home / "koi",
        name=settings.name,
        trust=Trust.listing(
            settings.trusted_nodes,
            settings.private_nodes,
            mine=mine,
            follows=heads.follows,
            guarded=guarded,
            dropped=dropped,
        ),
        heads=heads,
        dropped=dropped,
        eager=bool(settings.first_contact) or (settings.home / MIRROR_NAME).exists(),
        url=settings.public_url,
        contacts=settings.first_contact,
        networks=settings.peer_networks,
        unsigned=settings.allow_unsigned,
        withheld=frozenset(withheld),
        guarded=guarded,
        rerouted=index.reroute,
    )


def head_names(settings: Settings) -> Iterator[CID]:
    """Yield the names of the indexes that a home publishes or follows."""
    from dpip.ipfs.keys import parse_name
    from dpip.mirror.indexes import Subscription

    published = [path.stem for path in (settings.home / "indexes").glob("k*.sqlite3")]
    followed = [Subscription.parse(text).name for text in settings.index]
    for name in dict.fromkeys([*published, *followed]):
        yield parse_name(name)
