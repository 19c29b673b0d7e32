"""What the original document says of handlers and queues, sentence by sentence, on a node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.koi.nodes import full_node, make, until

from dpip.koi import (
    RID,
    STOP_CHAIN,
    Bundle,
    Event,
    EventType,
    HandlerType,
    KnowledgeHandler,
    KnowledgeObject,
    KnowledgeSource,
    KoiNetNode,
    NodeInterface,
)
from dpip.koi.processor.default_handlers import default_handlers
from dpip.koi.protocol.api_models import EventsPayload, PollEvents
from dpip.koi.protocol.node import NodeProfile, NodeType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOTE = Bundle.generate(RID.from_string("orn:test.note:1"), {"v": 1})
PEER = KoiNetNode("peer", "1")
PEER_BUNDLE = Bundle.generate(PEER, NodeProfile(node_type=NodeType.PARTIAL).contents())


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeInterface]:
    made = make(tmp_path / "node")
    made.start()
    yield made
    made.close()


def forms() -> list[dict[str, Any]]:
    return [
        {"rid": NOTE.rid},
        {"manifest": NOTE.manifest},
        {"bundle": NOTE},
        {"event": Event.from_bundle(EventType.NEW, NOTE)},
        {"kobj": KnowledgeObject.from_bundle(NOTE)},
    ]


@pytest.mark.parametrize("form", forms(), ids=lambda form: next(iter(form)))
def test_every_kind_of_knowledge_becomes_a_knowledge_object(
    node: NodeInterface, form: dict[str, Any]
) -> None:
    seen: list[KnowledgeObject] = []
    node.processor.register_handler(HandlerType.RID)(lambda _, kobj: seen.append(kobj))
    node.processor.handle(**form)
    node.processor.flush_kobj_queue()
    (kobj,) = seen
    assert kobj.rid == NOTE.rid
    assert kobj.source == KnowledgeSource.Internal
    assert kobj.manifest == (None if "rid" in form else NOTE.manifest)
    assert kobj.contents == (None if form.keys() & {"rid", "manifest"} else NOTE.contents)
    assert kobj.event_type == (EventType.NEW if "event" in form else None)


def test_a_type_and_a_source_can_be_given(node: NodeInterface) -> None:
    seen: list[Any] = []
    node.processor.register_handler(HandlerType.RID)(
        lambda _, kobj: seen.append((kobj.event_type, kobj.source))
    )
    external = KnowledgeSource.External
    node.processor.handle(rid=NOTE.rid, event_type=EventType.UPDATE, source=external)
    node.processor.flush_kobj_queue()
    assert seen == [(EventType.UPDATE, external)]


def test_without_a_thread_the_queue_waits_and_keeps_its_order(node: NodeInterface) -> None:
    seen: list[int] = []
    node.processor.register_handler(HandlerType.Bundle)(
        lambda _, kobj: seen.append((kobj.contents or {})["n"])
    )
    for n in range(20):
        node.processor.handle(bundle=Bundle.generate(RID.from_string(f"orn:a.b:{n}"), {"n": n}))
    assert seen == []
    node.processor.flush_kobj_queue()
    assert seen == list(range(20))


def test_with_a_thread_it_is_processed_as_it_comes(tmp_path: Path) -> None:
    node = make(tmp_path / "node", use_kobj_processor_thread=True)
    node.start()
    node.processor.handle(bundle=NOTE)
    until(lambda: node.cache.exists(NOTE.rid))
    node.close()


def test_what_a_handler_queues_comes_last(node: NodeInterface) -> None:
    seen: list[str] = []

    @node.processor.register_handler(HandlerType.RID)
    def adds_one(processor: Any, kobj: KnowledgeObject) -> None:
        seen.append(kobj.rid.reference)
        if kobj.rid.reference == "a":
            processor.handle(rid=RID.from_string("orn:test.x:late"))

    for name in "abc":
        node.processor.handle(rid=RID.from_string(f"orn:test.x:{name}"))
    node.processor.flush_kobj_queue()
    assert seen == ["a", "b", "c", "late"]


def test_default_handlers_come_before_those_that_are_added(node: NodeInterface) -> None:
    seen: list[EventType | None] = []
    node.processor.register_handler(HandlerType.Manifest)(
        lambda _, kobj: seen.append(kobj.normalized_event_type)
    )
    node.processor.handle(bundle=NOTE)
    node.processor.flush_kobj_queue()
    assert seen == [EventType.NEW], "the default one had decided before"


def test_given_handlers_replace_the_defaults(tmp_path: Path) -> None:
    node = make(tmp_path / "node", handlers=[])
    node.start()
    node.processor.handle(bundle=NOTE)
    node.processor.flush_kobj_queue()
    assert node.cache.list_rids() == []
    node.close()


def test_the_last_decision_counts(node: NodeInterface) -> None:
    def deciding(kind: EventType | None) -> KnowledgeHandler:
        def decide(_: Any, kobj: KnowledgeObject) -> KnowledgeObject:
            kobj.normalized_event_type = kind
            return kobj

        return KnowledgeHandler(decide, HandlerType.Bundle, [type(NOTE.rid)])

    node.processor.handlers += [deciding(None), deciding(EventType.UPDATE)]
    told: list[EventType | None] = []
    node.processor.register_handler(HandlerType.Final, rid_types=[type(NOTE.rid)])(
        lambda _, kobj: told.append(kobj.normalized_event_type)
    )
    node.processor.handle(bundle=NOTE)
    node.processor.flush_kobj_queue()
    assert told == [EventType.UPDATE]
    assert node.cache.exists(NOTE.rid)


@pytest.mark.parametrize("phase", [HandlerType.RID, HandlerType.Manifest, HandlerType.Bundle])
def test_stop_chain_before_the_cache_action_leaves_the_cache_alone(
    node: NodeInterface, phase: HandlerType
) -> None:
    later: list[Any] = []
    node.processor.register_handler(phase)(lambda *_: STOP_CHAIN)
    node.processor.register_handler(phase)(lambda *_: later.append("same phase"))
    node.processor.register_handler(HandlerType.Final)(lambda *_: later.append("final"))
    node.processor.handle(bundle=NOTE)
    node.processor.flush_kobj_queue()
    assert later == []
    assert not node.cache.exists(NOTE.rid)


def test_network_handlers_choose_who_is_told(node: NodeInterface) -> None:
    node.processor.handle(bundle=PEER_BUNDLE)

    @node.processor.register_handler(HandlerType.Network, rid_types=[type(NOTE.rid)])
    def tell_the_peer(_: Any, kobj: KnowledgeObject) -> KnowledgeObject:
        kobj.network_targets.add(PEER)
        return kobj

    node.processor.handle(bundle=NOTE)
    node.processor.handle(rid=NOTE.rid, event_type=EventType.FORGET)
    node.processor.flush_kobj_queue()
    told = [event for event in node.network.flush_poll_queue(PEER) if event.rid == NOTE.rid]
    assert [event.event_type for event in told] == [EventType.NEW, EventType.FORGET]
    assert told[0].bundle == NOTE


def test_stop_chain_among_network_handlers_tells_nobody(node: NodeInterface) -> None:
    node.processor.handle(bundle=PEER_BUNDLE)
    node.processor.flush_kobj_queue()
    node.network.flush_poll_queue(PEER)

    @node.processor.register_handler(HandlerType.Network, rid_types=[type(NOTE.rid)])
    def tell_nobody(_: Any, kobj: KnowledgeObject) -> Any:
        kobj.network_targets.add(PEER)
        return STOP_CHAIN

    node.processor.handle(bundle=NOTE)
    node.processor.flush_kobj_queue()
    assert node.cache.exists(NOTE.rid), "the cache action came before"
    assert node.network.flush_poll_queue(PEER) == []


def test_internal_knowledge_is_completed_from_the_cache_alone(node: NodeInterface) -> None:
    phases: list[HandlerType] = []
    node.processor.register_handler(HandlerType.Manifest)(
        lambda *_: phases.append(HandlerType.Manifest)
    )
    node.processor.register_handler(HandlerType.Bundle)(
        lambda *_: phases.append(HandlerType.Bundle)
    )
    node.processor.handlers = [
        handler for handler in node.processor.handlers if handler not in default_handlers
    ]
    node.processor.handle(rid=NOTE.rid)
    node.processor.flush_kobj_queue()
    assert phases == [], "nothing is known of it"
    node.cache.write(NOTE)
    node.processor.handle(rid=NOTE.rid)
    node.processor.flush_kobj_queue()
    assert phases == [HandlerType.Manifest, HandlerType.Bundle]


def test_external_knowledge_is_completed_from_a_provider(tmp_path: Path) -> None:
    """A RID is enough where a known node provides state of its type."""
    with full_node(tmp_path / "hub", state=[type(NOTE.rid)]) as hub:
        hub.processor.handle(bundle=NOTE)
        hub.processor.flush_kobj_queue()
        node = make(tmp_path / "node")
        node.start()
        assert node.network.get_state_providers(type(NOTE.rid)) == []
        node.processor.handle(bundle=hub.identity.bundle)
        node.processor.flush_kobj_queue()
        assert node.network.get_state_providers(type(NOTE.rid)) == [hub.identity.rid]
        node.processor.handle(rid=NOTE.rid, source=KnowledgeSource.External)
        node.processor.flush_kobj_queue()
        assert node.cache.read(NOTE.rid) == NOTE
        assert node.network.fetch_remote_manifest(NOTE.rid) == NOTE.manifest
        assert node.network.fetch_remote_bundle(NOTE.rid) == NOTE
        node.close()


def test_the_functions_shown_for_events(node: NodeInterface) -> None:
    """The two that stand in for a response handler of events."""

    def broadcast_events(req: EventsPayload) -> None:
        for event in req.events:
            node.processor.handle(event=event, source=KnowledgeSource.External)
        node.processor.flush_kobj_queue()

    def poll_events(req: PollEvents) -> EventsPayload:
        assert req.rid is not None
        return EventsPayload(events=node.network.flush_poll_queue(req.rid))

    broadcast_events(EventsPayload(events=[Event.from_bundle(EventType.NEW, PEER_BUNDLE)]))
    assert node.cache.exists(PEER)
    node.network.push_event_to(Event.from_rid(EventType.FORGET, NOTE.rid), PEER, flush=True)
    told = poll_events(PollEvents(rid=PEER)).events
    assert [event.rid for event in told] == [NOTE.rid]
    assert poll_events(PollEvents(rid=PEER)).events == []


def test_an_event_is_delivered_at_once_where_that_is_asked(tmp_path: Path) -> None:
    with full_node(tmp_path / "hub") as hub, full_node(tmp_path / "node") as node:
        node.processor.handle(bundle=hub.identity.bundle)
        node.processor.flush_kobj_queue()
        target = hub.identity.rid
        node.network.push_event_to(Event.from_bundle(EventType.NEW, NOTE), target, flush=True)
        assert node.network.outbox.size(target) == 0, "also at a node that has to be met first"
        hub.processor.flush_kobj_queue()
        assert hub.cache.exists(NOTE.rid)
        node.network.flush_webhook_queue(target)
