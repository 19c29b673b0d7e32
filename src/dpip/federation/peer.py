"""The KOI node inside a dpip node: made when its own address is known, mounted before that."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from dpip.errors import DpipError
from dpip.federation.adopter import Adopter
from dpip.federation.announcer import Announcer
from dpip.federation.listener import Listener
from dpip.federation.orders import Orders, contact_url
from dpip.federation.rids import KINDS, IpnsName
from dpip.federation.terms import Terms, record, recorded
from dpip.federation.trust import TrustPolicy
from dpip.federation.upkeep import keep_up
from dpip.koi import Cache, KoiError, KoiNetEdge, KoiNetNode, NodeInterface
from dpip.koi.network.contact import Contact, introduce
from dpip.koi.processor.default_handlers import coordinator_handlers
from dpip.koi.protocol.consts import PREFIX
from dpip.koi.protocol.node import NodeProfile, NodeProvides, NodeType
from dpip.koi.server import app
from dpip.simple.asgi import send_error

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from dpip.federation.dropped import Dropped
    from dpip.federation.guarded import Guarded
    from dpip.federation.heads import Heads
    from dpip.federation.ledger import Ledger
    from dpip.federation.trust import Trust
    from dpip.koi.server import App
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.repository import Pages
    from dpip.simple.asgi import Receive, Scope, Send

log = logging.getLogger(__name__)
LOOK_FOR_HEADS = 0.25
"""Seconds between looks at the records of the indexes that are published or followed."""


class NotYet(DpipError):
    """The node does not speak to its peers yet."""

    slug = "not-yet"
    default_hint = "ask again in a moment"


class PeersUnusable(DpipError):
    """The node cannot take part in the network."""

    slug = "peers-unusable"


@dataclass(frozen=True, slots=True)
class Membership:
    """How a node takes part. `home` is the directory of its KOI state and of its key.

    With `eager` news is made although nobody is there yet: others are meant to follow.
    `url` is the node's own base URL, empty for the address that it listens on; `networks` are
    private ones in which peers may be called; `unsigned` admits peers of KOI-net 1.0. `heads`
    are those of indexes that are published or followed. `withheld` are the rows of the routing
    table that keep names out of the network. `rerouted` is called in the event loop once
    `guarded` has a new name.
    """

    home: Path
    name: str
    trust: Trust
    heads: Heads
    dropped: Dropped
    eager: bool = False
    url: str = ""
    contacts: Sequence[str] = ()
    networks: Sequence[str] = ()
    unsigned: bool = False
    withheld: frozenset[str] = frozenset()
    guarded: Guarded | None = None
    rerouted: Callable[[], None] = lambda: None


class Peer:
    """A node's part in the network: an ASGI application, and tasks around it."""

    def __init__(
        self, membership: Membership, ledger: Ledger, *, catalog: Catalog, pages: Pages
    ) -> None:
        self._membership = membership
        self._ledger = ledger
        self._catalog = catalog
        self._pages = pages
        self._app: App | None = None
        self.node: NodeInterface | None = None
        self.cache: Cache | None = None
        """What this node holds of the network's news, while it takes part."""

    @property
    def known(self) -> int:
        """How many other nodes this one knows of."""
        if self.node is None:
            return 0
        return sum(rid != self.node.identity.rid for rid, _ in self.node.graph.profiles())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request below `/koi-net`."""
        if self._app is None:
            await send_error(send, NotYet("the node is starting"))
            return
        await self._app({**scope, "root_path": ""}, receive, cast("Any", send))

    async def run(self, url: str) -> None:
        """Take part in the network until cancelled; `url` is where the node answers."""
        ledger, cache = self._ledger, Cache(self._membership.home)
        adopter = Adopter(
            catalog=self._catalog,
            ledger=ledger,
            cache=cache,
            pages=self._pages,
            mine=self._membership.trust.mine,
        )
        try:
            node = await asyncio.to_thread(
                self._start, url, adopter, cache, asyncio.get_running_loop()
            )
        except KoiError as error:
            raise PeersUnusable(str(error)) from None
        base = (self._membership.url or url).rstrip("/")
        announcer = Announcer(self._catalog, ledger, node.processor, cache, base)
        self.node, self.cache, self._app = node, cache, app(node, lifespan=False)
        try:
            orders = Orders(ledger, node, self._membership.dropped)
            await asyncio.gather(
                adopter.run(),
                announcer.run(self._has_listeners),
                orders.run(),
                self._tell_heads(node),
                keep_up(node),
            )
        finally:
            self.cache = None
            await asyncio.shield(asyncio.to_thread(self._stop))

    def close(self) -> None:
        """Let go of the ledger, once `run` has ended."""
        self._ledger.close()

    def _has_listeners(self) -> bool:
        """Say whether news is worth its making: there are nodes to hear it, or will be."""
        return self._membership.eager or self.known > 0

    async def _tell_heads(self, node: NodeInterface) -> None:
        """Tell of heads that are published or found by other processes, for ever."""
        while True:
            try:
                if news := await asyncio.to_thread(self._membership.heads.news, node.cache):
                    node.processor.accept(news)
            except (DpipError, KoiError, OSError) as error:
                log.warning("telling heads: %s", error)
            await asyncio.sleep(LOOK_FOR_HEADS)

    def _start(
        self, url: str, adopter: Adopter, cache: Cache, loop: asyncio.AbstractEventLoop
    ) -> NodeInterface:
        ours = self._membership

        def rerouted() -> None:
            loop.call_soon_threadsafe(ours.rerouted)

        listener = Listener(
            ours.trust,
            ours.heads,
            guarded=ours.guarded,
            believed=adopter.believed,
            doubted=adopter.doubted,
            rerouted=rerouted,
        )
        node = NodeInterface(
            name=ours.name,
            profile=profile((ours.url or url).rstrip("/") + PREFIX),
            identity_file_path=ours.home / "identity.json",
            cache=cache,
            use_kobj_processor_thread=True,
            first_contact=contact_url(ours.contacts[0]) if ours.contacts else None,
            handlers=[*coordinator_handlers, *listener.handlers],
            rid_types_of_interest=(KoiNetNode, KoiNetEdge, *KINDS),
            policy=TrustPolicy(ours.trust),
            allowed_networks=tuple(ours.networks),
            allow_unsigned=ours.unsigned,
        )
        node.network.undated = frozenset({IpnsName})
        node.network.response_handler.audience = ours.trust
        self._agree(node)
        node.start()
        for contact in ours.contacts[1:]:
            introduction = introduce(
                Contact.parse(contact_url(contact)), node.network.caller, node.network.runner
            )
            node.network.runner.spawn(introduction)
        return node

    def _agree(self, node: NodeInterface) -> None:
        """Have everything told again where more is believed, or shown, than in the last run."""
        ours = self._membership
        terms, before = (
            Terms(ours.trust.nodes, ours.withheld, ours.trust.allowed),
            recorded(self._ledger),
        )
        if terms.widens(before):
            node.network.cursors.clear()
        journal = node.network.response_handler.journal
        if terms.shows_more(before) and journal is not None:
            journal.disown()
        record(self._ledger, terms)

    def _stop(self) -> None:
        if self._app is not None:
            self._app.close()
        if self.node is not None:
            with contextlib.suppress(KoiError):
                self.node.close()


def profile(base_url: str) -> NodeProfile:
    """Return what a mirror says of itself."""
    kinds = [KoiNetNode, KoiNetEdge, *KINDS]
    return NodeProfile(
        base_url=base_url,
        node_type=NodeType.FULL,
        provides=NodeProvides(event=kinds, state=kinds),
    )
