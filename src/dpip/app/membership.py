"""How a node takes part in the network, from its settings and its routing table."""

from __future__ import annotations

import time
from ipaddress import ip_network
from typing import TYPE_CHECKING

from dpip.app import content
from dpip.errors import UsageError
from dpip.federation.dropped import Dropped
from dpip.federation.heads import Heads
from dpip.federation.orders import contact_url
from dpip.federation.peer import Membership
from dpip.federation.told import NETWORK
from dpip.federation.trust import Trust, key_hash
from dpip.koi import KoiError, KoiNetNode
from dpip.koi.network.address import endpoint
from dpip.koi.network.contact import Contact
from dpip.mirror.archives import is_sha256
from dpip.settings import MIRROR_NAME
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from dpip.app.index import Index
    from dpip.federation.guarded import Guarded
    from dpip.federation.ledger import Ledger
    from dpip.ipfs.cid import CID
    from dpip.settings import Settings


def membership(settings: Settings, index: Index, ledger: Ledger, guarded: Guarded) -> Membership:
    """Return how a node takes part; what is routed elsewhere is not the network's business.

    Raises UsageError for a setting with which it could not.
    """
    _check(settings)
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


def _check(settings: Settings) -> None:
    """Raise UsageError where a setting is not what it must be: it would be ignored in silence."""
    checks: list[tuple[str, Callable[[str], object], Sequence[str]]] = [
        ("name", lambda text: KoiNetNode(text, "0" * 64), [settings.name]),
        ("public_url", endpoint, [settings.public_url] if settings.public_url else []),
        ("first_contact", _contact, settings.first_contact),
        ("peer_networks", lambda text: ip_network(text, strict=False), settings.peer_networks),
        ("trusted_nodes", _key, settings.trusted_nodes),
        ("private_nodes", _key, settings.private_nodes),
    ]
    for name, check, texts in checks:
        for text in texts:
            try:
                check(text)
            except (KoiError, ValueError) as error:
                raise UsageError(f"setting {name}: {error}") from None


def _contact(text: str) -> None:
    endpoint(Contact.parse(contact_url(text)).url)


def _key(text: str) -> None:
    if not is_sha256(key_hash(text)):
        raise ValueError(f"{text[:200]!r} is not a node's RID, nor the hash at its end")


def head_names(settings: Settings) -> Iterator[CID]:
    """Yield the names of the indexes that a home publishes or follows."""
    from dpip.ipfs.keys import parse_name
    from dpip.mirror.indexes import Subscription

    published = [path.stem for path in (settings.home / "indexes").glob("k*.sqlite3")]
    followed = [Subscription.parse(text).name for text in settings.index]
    for name in dict.fromkeys([*published, *followed]):
        yield parse_name(name)
