"""How a node takes part in the network, from its settings and its routing table."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from dpip.app import content
from dpip.federation.heads import Heads
from dpip.federation.peer import Membership
from dpip.federation.trust import Trust
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpip.ipfs.cid import CID
    from dpip.mirror.sources import Sources
    from dpip.settings import Settings


def membership(settings: Settings, sources: Sources) -> Membership:
    """Return how a node takes part; what is routed elsewhere is not the network's business."""

    def mine(name: str) -> bool:
        return sources.routes.source_of(name) != DEFAULT_SOURCE

    heads = Heads(content.records(settings), lambda: head_names(settings), time.time_ns)
    routes = sources.routes
    table = {**routes.names, **{f"{stem}-*": source for stem, source in routes.prefixes.items()}}
    return Membership(
        home=settings.home / "koi",
        name=settings.name,
        trust=Trust.listing(settings.trusted_nodes, (), mine, heads.follows),
        heads=heads,
        url=settings.public_url,
        contacts=settings.first_contact,
        networks=settings.peer_networks,
        unsigned=settings.allow_unsigned,
        withheld=frozenset(f"{pattern} {source}" for pattern, source in table.items()),
    )


def head_names(settings: Settings) -> Iterator[CID]:
    """Yield the names of the indexes that a home publishes or follows."""
    from dpip.ipfs.keys import parse_name
    from dpip.mirror.indexes import Subscription

    published = [path.stem for path in (settings.home / "indexes").glob("k*.sqlite3")]
    followed = [Subscription.parse(text).name for text in settings.index]
    for name in dict.fromkeys([*published, *followed]):
        yield parse_name(name)
