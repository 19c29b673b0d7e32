"""How a node takes part in the network, from its settings and its routing table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.federation.peer import Membership
from dpip.federation.trust import Trust
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from dpip.mirror.sources import Sources
    from dpip.settings import Settings


def membership(settings: Settings, sources: Sources) -> Membership:
    """Return how a node takes part; what is routed elsewhere is not the network's business."""

    def mine(name: str) -> bool:
        return sources.routes.source_of(name) != DEFAULT_SOURCE

    routes = sources.routes
    table = {**routes.names, **{f"{stem}-*": source for stem, source in routes.prefixes.items()}}
    return Membership(
        home=settings.home / "koi",
        name=settings.name,
        trust=Trust.listing(settings.trusted_nodes, (), mine),
        url=settings.public_url,
        contacts=settings.first_contact,
        networks=settings.peer_networks,
        unsigned=settings.allow_unsigned,
        withheld=frozenset(f"{pattern} {source}" for pattern, source in table.items()),
    )
