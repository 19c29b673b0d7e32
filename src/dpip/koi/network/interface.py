"""`node.network`: everything that a node does with other nodes."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any, TypeVar

from ..cache import Cache, store_of
from ..earlier import claim, take_queues
from ..envelopes import Envelopes
from ..errors import KoiError, UnreachablePeer
from ..journal import Cursors, Journal
from ..model import decode
from ..outbox import Outbox
from ..protocol.api_models import (
    BundlesPayload,
    EventsPayload,
    FetchBundles,
    FetchManifests,
    ManifestsPayload,
    PollEvents,
)
from ..protocol.consts import FETCH_BUNDLES_PATH, FETCH_MANIFESTS_PATH, POLL_EVENTS_PATH
from ..protocol.edge import EdgeType
from ..protocol.event import Event, ReceivedEvent
from ..protocol.node import NodeType
from ..rid import RID, KoiNetNode, RIDType
from .address import AddressPolicy
from .background import Background
from .caller import RECEIVED_HEADER, SEQUENCE_HEADER, Caller, Peer
from .catch_up import CatchUp
from .contact import Contact, introduce, meet_successor
from .delivery import Delivery
from .graph import NetworkGraph
from .request_handler import RequestHandler
from .response_handler import ResponseHandler
from .transport import HttpTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ..bundle import Bundle, Manifest
    from ..cache import BundleCache
    from ..identity import NodeIdentity
    from ..processor.knowledge_object import KnowledgeObject
    from .background import Runner
    from .transport import Transport

T = TypeVar("T")
LONGEST_SPAN = 200
START_PAUSE = 0.3

logger = logging.getLogger(__name__)


class NetworkInterface:
    """Queues, requests and the graph. `first_contact` (`URL` or `RID@URL`) is whom it greets.

    The first four arguments are all that a program needs to give. What is queued lies in the
    cache's own database, and for caches of other make in one beside `file_path`.
    """

    identity: NodeIdentity
    cache: BundleCache
    first_contact: str | None
    graph: NetworkGraph
    request_handler: RequestHandler
    response_handler: ResponseHandler
    event_queues_file_path: str | Path

    def __init__(
        self,
        file_path: str | Path,
        first_contact: str | None,
        cache: BundleCache,
        identity: NodeIdentity,
        *,
        allow_unsigned: bool = True,
        allowed_networks: Sequence[str] = (),
        sync: bool = False,
        transport: Transport | None = None,
        runner: Runner | None = None,
    ) -> None:
        self.identity = identity
        self.cache = cache
        self.event_queues_file_path = file_path
        self.store = store_of(cache, file_path, sync=sync)
        self.graph = NetworkGraph(cache, identity)
        self.envelopes = Envelopes(identity, self.graph, allow_unsigned=allow_unsigned)
        self.outbox = Outbox(self.store)
        claim(self.store, identity.profile)
        take_queues(file_path, self.store, self.outbox)
        self.runner = runner or Background()
        self.transport = transport or HttpTransport(
            AddressPolicy.for_node(identity.profile.base_url, allowed=tuple(allowed_networks))
        )
        self.caller = Caller(identity, self.graph, self.envelopes, self.transport)
        self.caller.on_replaced = self._look_again
        self._looking = False
        self.first_contact = None
        self.contact: Contact | None = None
        if first_contact is not None:
            self.name_first_contact(first_contact)
        self.delivery = Delivery(self.outbox, self.caller, self.runner)
        self.request_handler = RequestHandler(
            cache, self.graph, caller=self.caller, runner=self.runner
        )
        kept_here = isinstance(cache, Cache) and cache.store is self.store
        self.response_handler = ResponseHandler(cache, Journal(self.store) if kept_here else None)
        self.cursors = Cursors(self.store)
        self.undated: frozenset[RIDType] = frozenset()
        self.on_found: Callable[[list[KnowledgeObject]], None] | None = None
        self._received: dict[str, str] = {}

    def name_first_contact(self, text: str) -> None:
        """Say whom to greet, as `URL` or `RID@URL`, before the node starts."""
        self.first_contact = text
        self.contact = Contact.parse(text)
        if self.contact.rid is not None:
            self.caller.contacts[self.contact.rid] = self.contact.url
        if isinstance(self.transport, HttpTransport):
            self.transport.policy = self.transport.policy.naming(self.contact.url)

    def start(self) -> None:
        """Deliver what an earlier run left, and introduce this node if it knows nobody."""
        self.delivery.wake_all()
        if self.contact is not None or self.graph.get_neighbors():
            self.runner.spawn(self._prepare())
        if self.contact is not None and not self.graph.get_neighbors():
            self.runner.spawn(introduce(self.contact, self.caller, self.runner))

    def _look_again(self, url: str) -> None:
        """Meet the node in the place of the first contact, if a URL was all that we knew of it."""
        contact = self.contact
        if contact is None or contact.rid is not None or contact.url != url or self._looking:
            return
        if not self._successor(url):
            self._looking = True
            self.runner.spawn(self._meet(url))

    def _successor(self, url: str | None) -> bool:
        """Say whether a node is known that may answer at the URL of one that does not any more."""
        return bool(url) and self.graph.node_at(str(url), besides=self.caller.replaced) is not None

    async def _meet(self, url: str) -> None:
        try:
            found = await meet_successor(url, self.caller)
            if found and self.on_found is not None:
                self.on_found(found)
        except KoiError as error:
            logger.info("cannot meet who is at %s now: %s", url, error)
        finally:
            self._looking = False

    async def _prepare(self) -> None:
        """Load the HTTP client, but let the node answer its first requests before.

        A node that knows nobody does without it, which is a fifth of an idle node's memory.
        """
        await self.runner.sleep(START_PAUSE)
        await self.transport.prepare()

    def stop(self, timeout: float = 2.0) -> None:
        """Deliver for at most `timeout` seconds more; the rest stays queued."""
        deadline = time.monotonic() + timeout
        while self.delivery.busy and time.monotonic() < deadline:
            time.sleep(0.01)
        self.delivery.stop()
        try:
            self.runner.call(self.transport.close())
        finally:
            self.runner.close()

    def push_event_to(self, event: Event, node: KoiNetNode, flush: bool = False) -> None:
        """Queue an event for a node, which is called or polls, as its edge or profile says."""
        self.outbox.push(event.signed_form(), [node])
        if flush:
            self.flush_webhook_queue(node)
        else:
            self.delivery.wake([node])

    def flush_poll_queue(self, node: KoiNetNode, limit: int = 0) -> list[Event]:
        """Return the events queued for a node that polls.

        They stay queued until the next call confirms that the answer arrived.
        """
        batch = self.outbox.hand_out(node, limit)
        return [] if batch is None else [decode(event, Event) for event in batch.events]

    def flush_webhook_queue(self, node: RID) -> None:
        """Deliver what is queued for a FULL node now; what fails stays queued."""
        if not isinstance(node, KoiNetNode) or not self.delivery.is_webhook(node):
            return

        async def deliver() -> None:
            try:
                while await self.delivery.deliver(node):
                    pass
            except KoiError as error:
                logger.info("cannot deliver to %s: %s", node, error)

        self.runner.call(deliver())
        self.delivery.wake([node])

    def get_state_providers(self, rid_type: RIDType) -> list[KoiNetNode]:
        """Return the FULL nodes that answer state queries about a type."""
        return [
            rid
            for rid, profile in self.graph.profiles()
            if profile.node_type == NodeType.FULL
            and rid_type in profile.provides.state
            and rid != self.identity.rid
        ]

    def fetch_remote_bundle(self, rid: RID) -> Bundle | None:
        """Return the bundle from the first state provider that has it, or None."""
        return self.runner.call(self.find_bundle(rid, None))

    def fetch_remote_manifest(self, rid: RID) -> Manifest | None:
        """Return the manifest from the first state provider that has it, or None."""
        return self.runner.call(self.find_manifest(rid, None))

    async def find_bundle(self, rid: RID, sender: KoiNetNode | None) -> Bundle | None:
        """Ask the sender, or the state providers, for a bundle."""
        for node in self._holders(rid, sender):
            request = FetchBundles([rid])
            answer = await self._try(node, FETCH_BUNDLES_PATH, request, BundlesPayload)
            for bundle in answer.bundles if answer else ():
                if bundle.rid == rid:
                    return bundle
        return None

    async def find_manifest(self, rid: RID, sender: KoiNetNode | None) -> Manifest | None:
        """Ask the sender, or the state providers, for a manifest."""
        request = FetchManifests(rids=[rid])
        for node in self._holders(rid, sender):
            answer = await self._try(node, FETCH_MANIFESTS_PATH, request, ManifestsPayload)
            for manifest in answer.manifests if answer else ():
                if manifest.rid == rid:
                    return manifest
        return None

    def _holders(self, rid: RID, sender: KoiNetNode | None) -> list[KoiNetNode]:
        profile = None if sender is None else self.graph.get_node_profile(sender)
        if sender is not None and profile is not None and profile.node_type == NodeType.FULL:
            return [sender]
        return self.get_state_providers(type(rid))

    async def _try(self, node: KoiNetNode, path: str, request: Any, kind: type[T]) -> T | None:
        try:
            peer = await self.caller.peer(node, None)
            return await self.caller.ask(peer, path, request, kind)
        except KoiError as error:
            logger.info("%s: %s", node, error)
            return None

    def catch_up(
        self, node: KoiNetNode, rid_types: Sequence[RIDType], *, after: float = 0.0
    ) -> None:
        """Compare a node's state with the cache, on the side, and queue the differences."""
        if self.on_found is not None:
            work = CatchUp(
                self.cache,
                self.caller,
                self.on_found,
                self.runner.sleep,
                cursors=self.cursors,
                undated=self.undated,
            )
            self.runner.spawn(work.run(node, rid_types, after=after))

    def poll_neighbors(self) -> list[Event]:
        """Take the events that neighbours, or else the first contact, have queued for us."""
        return [event for _, events in self.poll() for event in events]

    def poll(self) -> list[tuple[KoiNetNode | None, list[Event]]]:
        """Poll every neighbour that queues for us, at once; nodes that fail are left out."""
        return self.runner.call(self._poll_all())

    async def _poll_all(self) -> list[tuple[KoiNetNode | None, list[Event]]]:
        work = [self._poll_one(node, url) for node, url in self._polled()]
        answers = await self.runner.gather(work)
        return [answer for answer in answers if answer[1]]

    def _polled(self) -> Sequence[tuple[KoiNetNode | None, str | None]]:
        partial = self.identity.profile.node_type == NodeType.PARTIAL
        found: list[tuple[KoiNetNode | None, str | None]] = []
        for node in self.graph.get_neighbors():
            profile = self.graph.get_node_profile(node)
            edge = self.graph.get_edge_profile(source=node, target=self.identity.rid)
            asks = partial or (edge is not None and edge.edge_type == EdgeType.POLL)
            if profile is None or profile.node_type != NodeType.FULL or not asks:
                continue
            if node not in self.caller.replaced or not self._successor(profile.base_url):
                found.append((node, None))
        if not found and self.contact is not None and partial:
            found.append((self.contact.rid, self.contact.url))
        return found

    async def _poll_one(
        self, node: KoiNetNode | None, url: str | None
    ) -> tuple[KoiNetNode | None, list[Event]]:
        try:
            peer = await self.caller.peer(node, url)
            return peer.rid, await self._poll_peer(peer)
        except UnreachablePeer as error:
            logger.info("cannot poll %s: %s", node or url, error)
        except KoiError as error:
            logger.warning("cannot poll %s: %s", node or url, error)
        return node, []

    async def _poll_peer(self, peer: Peer) -> list[Event]:
        headers = {RECEIVED_HEADER: self._received.get(peer.url, "0")}
        answer, http = await self.caller.exchange(
            peer, POLL_EVENTS_PATH, PollEvents(), EventsPayload, headers=headers
        )
        sender = peer.rid if peer.signed else None
        lane, first, last = _span(http.headers.get(SEQUENCE_HEADER, ""))
        if lane:
            self._received[peer.url] = f"{lane}:{last}"
        return [
            ReceivedEvent(
                event.rid, event.event_type, event.manifest, event.contents, sender, lane, seq
            )
            for seq, event in enumerate(answer.events, first)
        ]


def _span(sequence: str) -> tuple[str, int, int]:
    """Read `<lane>:<first>-<last>`; an empty lane if it is not that."""
    lane, _, span = sequence.rpartition(":")
    first, _, last = span.partition("-")
    if not lane or not first.isdecimal() or not last.isdecimal() or len(sequence) > LONGEST_SPAN:
        return "", 0, 0
    return lane, int(first), int(last)
