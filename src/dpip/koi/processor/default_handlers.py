"""What a node does unless told otherwise: eight small decisions.

Pass `handlers=[…]` to a node to replace them all. `coordinator_handlers` is for the nodes
that others contact first.
"""

from __future__ import annotations

import dataclasses
import logging
from typing import TYPE_CHECKING, Final

from ..bundle import Bundle
from ..errors import InvalidContents
from ..model import to_plain
from ..protocol.edge import EdgeProfile, EdgeStatus, EdgeType, generate_edge_bundle
from ..protocol.event import Event, EventType
from ..protocol.node import NodeProfile, NodeType
from ..rid import KoiNetEdge, KoiNetNode, RIDType
from ..signing import key_id
from .handler import STOP_CHAIN, HandlerType, KnowledgeHandler, StopChain
from .knowledge_object import KnowledgeObject, KnowledgeSource

if TYPE_CHECKING:
    from .view import Processor

logger = logging.getLogger(__name__)

SOON = 2.0
"""Seconds in which what was told meanwhile has arrived, and need not be asked for."""

Outcome = KnowledgeObject | StopChain | None


@KnowledgeHandler.create(HandlerType.RID)
def basic_rid_handler(processor: Processor, kobj: KnowledgeObject) -> Outcome:
    """Let nobody else speak about this node; a FORGET is one for the cache too."""
    if kobj.rid == processor.identity.rid and kobj.source == KnowledgeSource.External:
        return STOP_CHAIN
    if kobj.event_type == EventType.FORGET:
        kobj.normalized_event_type = EventType.FORGET
        return kobj
    return None


@KnowledgeHandler.create(HandlerType.Manifest)
def basic_manifest_handler(processor: Processor, kobj: KnowledgeObject) -> Outcome:
    """Take what is new and what is newer, by hash and time; the label NEW or UPDATE is not read."""
    known = processor.cached_manifest(kobj.rid)
    if kobj.manifest is None:
        return STOP_CHAIN
    if known is None:
        kobj.normalized_event_type = EventType.NEW
        return kobj
    if known.sha256_hash == kobj.manifest.sha256_hash:
        return STOP_CHAIN
    dated = type(kobj.rid) not in processor.network.undated
    if dated and kobj.manifest.timestamp <= known.timestamp:
        return STOP_CHAIN
    kobj.normalized_event_type = EventType.UPDATE
    return kobj


@KnowledgeHandler.create(HandlerType.Bundle, rid_types=[KoiNetNode])
def secure_profile_handler(processor: Processor, kobj: KnowledgeObject) -> Outcome:
    """Take node bundles only if they are profiles, and the key is the one in the RID."""
    if kobj.event_type == EventType.FORGET or kobj.source == KnowledgeSource.Internal:
        return None
    profile = _node_profile(kobj)
    if profile is None or not isinstance(kobj.rid, KoiNetNode):
        return STOP_CHAIN
    if profile.public_key:
        if key_id(profile.public_key) != kobj.rid.id:
            return STOP_CHAIN
    elif kobj.rid.names_key:
        return STOP_CHAIN
    own = processor.identity.profile.base_url
    return STOP_CHAIN if own is not None and profile.base_url == own else None


@KnowledgeHandler.create(
    HandlerType.Bundle, rid_types=[KoiNetEdge], source=KnowledgeSource.External
)
def edge_negotiation_handler(processor: Processor, kobj: KnowledgeObject) -> Outcome:
    """Approve subscriptions to this node that it can serve, and refuse the others.

    When its own proposal is approved, it catches up once more.
    """
    if kobj.event_type == EventType.FORGET:
        return None
    edge = _edge_profile(kobj)
    if edge is None:
        return STOP_CHAIN
    if edge.target == processor.identity.rid and edge.status == EdgeStatus.APPROVED:
        _approved(processor, kobj, edge)
    if edge.source != processor.identity.rid or edge.status != EdgeStatus.PROPOSED:
        return None
    if kobj.sender is not None and kobj.sender != edge.target:
        return STOP_CHAIN
    peer = processor.network.graph.get_node_profile(edge.target)
    if peer is None:
        return STOP_CHAIN
    offered = {*processor.identity.profile.provides.event, KoiNetNode, KoiNetEdge}
    if edge.edge_type == EdgeType.WEBHOOK and peer.node_type == NodeType.PARTIAL:
        return _refuse(processor, kobj, edge)
    if not set(edge.rid_types) <= offered:
        return _refuse(processor, kobj, edge)
    approved = dataclasses.replace(edge, status=EdgeStatus.APPROVED)
    later = Bundle.generate(kobj.rid, to_plain(approved), now=processor.now())
    processor.handle(bundle=later, event_type=EventType.UPDATE)
    return None


def _approved(processor: Processor, kobj: KnowledgeObject, edge: EdgeProfile) -> None:
    """Look again at what a provider has, now that it is sure to tell of what comes.

    What it learned after the look that went with the proposal, and before it had read that, was
    told to nobody.
    """
    proposed = processor.network.graph.get_edge_profile(source=edge.source, target=edge.target)
    provider = processor.network.graph.get_node_profile(edge.source)
    if proposed is None or proposed.status == EdgeStatus.APPROVED:
        return
    if kobj.sender in {None, edge.source} and provider and provider.node_type == NodeType.FULL:
        processor.network.catch_up(edge.source, proposed.rid_types, after=SOON)


def _refuse(processor: Processor, kobj: KnowledgeObject, edge: EdgeProfile) -> StopChain:
    logger.info("refusing %s's subscription to %s", edge.target, edge.rid_types)
    processor.network.push_event_to(Event.from_rid(EventType.FORGET, kobj.rid), edge.target)
    return STOP_CHAIN


@KnowledgeHandler.create(
    HandlerType.Network, rid_types=[KoiNetNode], source=KnowledgeSource.External
)
def coordinator_contact(processor: Processor, kobj: KnowledgeObject) -> Outcome:
    """Subscribe to a node that offers events of interest, and catch up with it."""
    profile = _node_profile(kobj)
    if kobj.normalized_event_type != EventType.FORGET and profile is not None:
        subscribe(processor, kobj.rid, profile)  # type: ignore[arg-type]
    return None


def subscribe(processor: Processor, node: KoiNetNode, profile: NodeProfile) -> None:
    """Propose the edge that is missing, or that names other types than are of interest."""
    me = processor.identity
    wanted = types_of_interest(processor, profile)
    if node == me.rid or profile.node_type != NodeType.FULL or not wanted:
        return
    edge = processor.network.graph.vouched_edge(node, me.rid)
    if edge is not None and _same_subscription(set(edge.rid_types), set(wanted)):
        return
    kind = EdgeType.WEBHOOK if me.profile.node_type == NodeType.FULL else EdgeType.POLL
    _propose(processor, node, wanted, kind)
    processor.network.catch_up(node, wanted)


def _same_subscription(given: set[RIDType], wanted: set[RIDType]) -> bool:
    """Compare types; every node offers nodes and edges, and coordinators ask for them too."""
    always: set[RIDType] = {KoiNetNode, KoiNetEdge}
    return wanted <= given and given - always == wanted - always


def _propose(
    processor: Processor, node: KoiNetNode, rid_types: list[RIDType], kind: EdgeType
) -> None:
    me = processor.identity.rid
    now = processor.now()
    bundle = generate_edge_bundle(node, me, rid_types, kind, now=now)
    known = processor.network.graph.edge_between(node, me)
    if known is not None:
        bundle = Bundle.generate(known, bundle.contents, now=now)
    processor.handle(bundle=bundle, event_type=EventType.NEW)


def types_of_interest(processor: Processor, profile: NodeProfile) -> list[RIDType]:
    """Return the types that a node offers and this one wants; None wants all, [] nothing."""
    wanted = processor.rid_types_of_interest
    return [kind for kind in profile.provides.event if wanted is None or kind in wanted]


@KnowledgeHandler.create(HandlerType.Network)
def basic_network_output_filter(processor: Processor, kobj: KnowledgeObject) -> Outcome:
    """Tell the subscribers of what this node provides, and whoever shares an edge with it.

    Of what came from another node, those hear nothing who are told by somebody else for sure:
    otherwise, where everybody subscribes to everybody, each event would go over each edge.
    """
    me = processor.identity
    graph = processor.network.graph
    mine = False
    if kobj.source == KnowledgeSource.Internal:
        edge = _edge_profile(kobj) if isinstance(kobj.rid, KoiNetEdge) else None
        if edge is not None and me.rid in (edge.source, edge.target):
            mine = True
            other = edge.target if edge.source == me.rid else edge.source
            if graph.get_node_profile(other) is not None:
                kobj.network_targets.add(other)
        mine = mine or kobj.rid == me.rid
    kind = type(kobj.rid)
    if mine or kind in me.profile.provides.event:
        speakers = _other_speakers(kobj, me.rid)
        for subscriber in graph.get_neighbors("out", allowed_type=kind):
            if not any(graph.tells(speaker, subscriber, kind) for speaker in speakers):
                kobj.network_targets.add(subscriber)
    if kobj.sender is not None:
        kobj.network_targets.discard(kobj.sender)
    return kobj


def _other_speakers(kobj: KnowledgeObject, me: KoiNetNode) -> set[KoiNetNode]:
    """Return who else tells its own subscribers: the sender, and both ends of an edge of others."""
    if kobj.sender is None:
        return set()
    edge = _edge_profile(kobj) if isinstance(kobj.rid, KoiNetEdge) else None
    if edge is None or me in {edge.source, edge.target}:
        return {kobj.sender}
    return {kobj.sender, edge.source, edge.target}


@KnowledgeHandler.create(HandlerType.Final, rid_types=[KoiNetNode])
def forget_node_handler(processor: Processor, kobj: KnowledgeObject) -> Outcome:
    """Forget the edges of a node that was forgotten."""
    if kobj.normalized_event_type == EventType.FORGET and isinstance(kobj.rid, KoiNetNode):
        for edge in processor.network.graph.edges_of(kobj.rid):
            processor.handle(rid=edge, event_type=EventType.FORGET)
    return None


@KnowledgeHandler.create(
    HandlerType.Network, rid_types=[KoiNetNode], source=KnowledgeSource.External
)
def handshake_handler(processor: Processor, kobj: KnowledgeObject) -> Outcome:
    """Answer a node that introduces itself, and subscribe to its nodes and edges."""
    introduces = kobj.event_type == EventType.NEW and kobj.sender in {None, kobj.rid}
    if not introduces or not isinstance(kobj.rid, KoiNetNode):
        return None
    me = processor.identity
    processor.network.push_event_to(Event.from_bundle(EventType.NEW, me.bundle), kobj.rid)
    profile = _node_profile(kobj)
    wanted = [] if profile is None else types_of_interest(processor, profile)
    rid_types = list(dict.fromkeys([*wanted, KoiNetNode, KoiNetEdge]))
    _propose(processor, kobj.rid, rid_types, EdgeType.WEBHOOK)
    return None


def _node_profile(kobj: KnowledgeObject) -> NodeProfile | None:
    bundle = kobj.bundle
    try:
        return None if bundle is None else bundle.validate_contents(NodeProfile)
    except InvalidContents:
        return None


def _edge_profile(kobj: KnowledgeObject) -> EdgeProfile | None:
    bundle = kobj.bundle
    try:
        return None if bundle is None else bundle.validate_contents(EdgeProfile)
    except InvalidContents:
        return None


default_handlers: Final = [
    basic_rid_handler,
    basic_manifest_handler,
    secure_profile_handler,
    edge_negotiation_handler,
    coordinator_contact,
    basic_network_output_filter,
    forget_node_handler,
]
coordinator_handlers: Final = [*default_handlers, handshake_handler]
STANDARD_HANDLERS: Final = tuple(coordinator_handlers)
