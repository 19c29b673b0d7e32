"""The five phases without a node: effects are answered by hand."""

from __future__ import annotations

from typing import Any

from dpip.koi import RID, Bundle, EventType, KnowledgeObject, KnowledgeSource
from dpip.koi.processor.handler import STOP_CHAIN, HandlerType, KnowledgeHandler
from dpip.koi.processor.pipeline import Broadcast, Fetch, Store, run
from dpip.koi.rid import KoiNetNode

THING = RID.from_string("orn:test.thing:1")
BUNDLE = Bundle.generate(THING, {"n": 1})
PEER = KoiNetNode("peer", "1")


class Trace:
    """Runs one object, answers its effects and keeps what happened, in order."""

    def __init__(self, answers: dict[str, Any] | None = None, **decisions: Any) -> None:
        self.answers = answers or {}
        self.decisions = decisions
        self.steps: list[str] = []
        self.admitted = True

    def chain(self, phase: HandlerType, kobj: KnowledgeObject) -> Any:
        self.steps.append(phase.value)
        decide = self.decisions.get(phase.value)
        if decide is STOP_CHAIN:
            return STOP_CHAIN
        if decide is not None:
            decide(kobj)
        return kobj

    def play(self, kobj: KnowledgeObject, *, stored: bool = False) -> list[str]:
        pipeline = run(kobj, self.chain, lambda _: self.admitted, stored=stored)
        answer: Any = None
        try:
            while True:
                effect = pipeline.send(answer)
                answer = None
                match effect:
                    case Fetch(what=what, origin=origin):
                        self.steps.append(f"{what} from {origin}")
                        answer = self.answers.get(what)
                    case Store(kobj=done):
                        self.steps.append(f"store {done.normalized_event_type}")
                    case Broadcast(event=event, targets=targets):
                        self.steps.append(f"send {event.event_type} to {len(targets)}")
        except StopIteration:
            return self.steps


def normalise(kind: EventType) -> Any:
    def decide(kobj: KnowledgeObject) -> None:
        kobj.normalized_event_type = kind

    return decide


def target(kobj: KnowledgeObject) -> None:
    kobj.network_targets.add(PEER)


EVERYTHING = {"manifest": BUNDLE.manifest, "bundle": BUNDLE}


def test_a_whole_bundle_asks_for_nothing() -> None:
    trace = Trace(manifest=normalise(EventType.NEW), network=target)
    assert trace.play(KnowledgeObject.from_bundle(BUNDLE)) == [
        "rid", "manifest", "bundle", "store NEW", "network", "send NEW to 1", "final",
    ]  # fmt: skip


def test_internal_knowledge_is_completed_from_the_cache() -> None:
    trace = Trace(EVERYTHING, bundle=normalise(EventType.UPDATE))
    assert trace.play(KnowledgeObject.from_rid(THING)) == [
        "rid", "manifest from cache", "manifest", "bundle from cache", "bundle", "store UPDATE",
        "network", "final",
    ]  # fmt: skip


def test_external_knowledge_is_completed_from_the_network() -> None:
    trace = Trace(EVERYTHING, bundle=normalise(EventType.NEW))
    kobj = KnowledgeObject.from_rid(THING, EventType.NEW, KnowledgeSource.External)
    assert trace.play(kobj)[1:4] == ["manifest from network", "manifest", "bundle from network"]


def test_what_cannot_be_obtained_ends_it() -> None:
    kobj = KnowledgeObject.from_rid(THING)
    assert Trace().play(kobj) == ["rid", "manifest from cache"]
    kobj = KnowledgeObject.from_manifest(BUNDLE.manifest)
    assert Trace().play(kobj) == ["rid", "manifest", "bundle from cache"]


def test_forget_takes_the_cached_bundle_and_skips_the_manifest_phase() -> None:
    forget = KnowledgeObject.from_rid(THING, EventType.FORGET, KnowledgeSource.External)
    trace = Trace(EVERYTHING, rid=normalise(EventType.FORGET), network=target)
    assert trace.play(forget) == [
        "rid", "bundle from cache", "bundle", "store FORGET",
        "network", "send FORGET to 1", "final",
    ]  # fmt: skip
    assert forget.contents == BUNDLE.contents


def test_forget_of_what_is_not_there_ends() -> None:
    forget = KnowledgeObject.from_rid(THING, EventType.FORGET)
    assert Trace().play(forget) == ["rid", "bundle from cache"]


def test_without_a_decision_nothing_is_stored() -> None:
    assert Trace().play(KnowledgeObject.from_bundle(BUNDLE)) == ["rid", "manifest", "bundle"]


def test_stop_chain_ends_in_every_phase() -> None:
    for phase in HandlerType:
        decisions: dict[str, Any] = {"manifest": normalise(EventType.NEW), phase.value: STOP_CHAIN}
        if phase is HandlerType.Manifest:
            decisions = {"manifest": STOP_CHAIN}
        steps = Trace(**decisions).play(KnowledgeObject.from_bundle(BUNDLE))
        assert steps[-1] == phase.value


def test_what_the_policy_refuses_reaches_no_manifest_handler() -> None:
    trace = Trace()
    trace.admitted = False
    assert trace.play(KnowledgeObject.from_bundle(BUNDLE)) == ["rid"]


def test_a_stored_object_goes_on_at_the_network_phase() -> None:
    kobj = KnowledgeObject.from_bundle(BUNDLE)
    kobj.normalized_event_type = EventType.NEW
    assert Trace(network=target).play(kobj, stored=True) == ["network", "send NEW to 1", "final"]


def test_handlers_filter_by_type_source_and_event() -> None:
    @KnowledgeHandler.create(
        HandlerType.RID, [type(THING)], KnowledgeSource.External, [EventType.NEW, None]
    )
    def handler(_processor: Any, _kobj: KnowledgeObject) -> None:
        return None

    external = KnowledgeSource.External
    assert handler.wants(KnowledgeObject(THING, source=external))
    assert handler.wants(KnowledgeObject(THING, source=external, event_type=EventType.NEW))
    assert not handler.wants(KnowledgeObject(THING, source=external, event_type=EventType.FORGET))
    assert not handler.wants(KnowledgeObject(THING))
    assert not handler.wants(KnowledgeObject(PEER, source=external))
