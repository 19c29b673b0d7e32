from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from dpip.koi import RID, EventType, KnowledgeObject, KnowledgeSource, Manifest
from dpip.koi.cache import Record
from dpip.koi.processor.policy import ANONYMOUS, Facts, SourcePolicy
from dpip.koi.protocol.edge import EdgeProfile, EdgeStatus, EdgeType
from dpip.koi.rid import KoiNetEdge, KoiNetNode

NOW = datetime(2030, 1, 1, tzinfo=UTC)
ME, OWNER, OTHER = (KoiNetNode(name, "a" * 64) for name in ("me", "owner", "other"))
PLAIN = KoiNetNode("plain", "uuid")
THING = RID.from_string("orn:test.thing:1")


class Signers:
    def __contains__(self, node: object) -> bool:
        return isinstance(node, KoiNetNode) and node.names_key


def manifest(rid: RID = THING, *, age: float = 0) -> Manifest:
    return Manifest(rid, NOW - timedelta(seconds=age), "0" * 64)


def facts(
    *, source: str | None = None, held: bool = True, rid: RID = THING, age: float = 60
) -> Facts:
    record = Record(manifest(rid, age=age), source, verified=True) if held else None
    return Facts(NOW, ME, record, None, None, Signers())


def external(
    rid: RID, sender: KoiNetNode | None, event: EventType, age: float = 0
) -> KnowledgeObject:
    return KnowledgeObject(
        rid,
        manifest(rid, age=age),
        event_type=event,
        source=KnowledgeSource.External,
        sender=sender,
    )


@pytest.mark.parametrize("event", [EventType.UPDATE, EventType.FORGET])
@pytest.mark.parametrize(
    ("source", "sender", "admitted"),
    [
        (str(OWNER), OWNER, True),
        (str(OWNER), OTHER, False),
        (str(OWNER), None, False),
        (None, OWNER, False),
        (ANONYMOUS, None, True),
        (ANONYMOUS, OWNER, False),
    ],
)
def test_only_the_source_may_change(
    event: EventType, source: str | None, sender: KoiNetNode | None, admitted: bool
) -> None:
    kobj = external(THING, sender, event)
    assert SourcePolicy().admits(kobj, facts(source=source)) is admitted


def test_a_trusted_key_may_change_everything() -> None:
    policy = SourcePolicy(trusted=frozenset({OTHER}))
    assert policy.admits(external(THING, OTHER, EventType.FORGET), facts(source=str(OWNER)))


def test_anybody_may_introduce_and_this_node_may_do_anything() -> None:
    assert SourcePolicy().admits(external(THING, OTHER, EventType.NEW), facts(held=False))
    mine = KnowledgeObject(THING, manifest(age=-1e6), event_type=EventType.FORGET)
    assert SourcePolicy().admits(mine, facts(source=str(OWNER)))


def test_a_node_speaks_for_itself_and_needs_its_key_if_it_has_one() -> None:
    policy, update = SourcePolicy(), EventType.UPDATE
    assert policy.admits(external(OTHER, OTHER, update), facts(rid=OTHER, source=str(OWNER)))
    assert not policy.admits(external(OTHER, None, update), facts(rid=OTHER, source=str(OWNER)))
    assert policy.admits(external(PLAIN, None, update), facts(rid=PLAIN, source=str(OWNER)))


@pytest.mark.parametrize(("sender", "admitted"), [(OWNER, True), (OTHER, False), (None, False)])
def test_either_end_speaks_for_an_edge(sender: KoiNetNode | None, admitted: bool) -> None:
    edge = EdgeProfile(ME, OWNER, EdgeType.WEBHOOK, EdgeStatus.PROPOSED, [])
    rid = KoiNetEdge("x")
    known = replace(facts(rid=rid, source=None), edge=edge)
    assert SourcePolicy().admits(external(rid, sender, EventType.UPDATE), known) is admitted


def test_the_far_future_is_refused() -> None:
    policy = SourcePolicy(clock_skew=timedelta(seconds=60))
    assert policy.admits(external(THING, OWNER, EventType.NEW, age=-59), facts(held=False))
    assert not policy.admits(external(THING, OWNER, EventType.NEW, age=-61), facts(held=False))


def test_what_was_forgotten_stays_so_until_it_is_made_anew() -> None:
    grave = replace(facts(held=False), forgotten=NOW - timedelta(seconds=10))
    assert not SourcePolicy().admits(external(THING, OWNER, EventType.NEW, age=10), grave)
    assert SourcePolicy().admits(external(THING, OWNER, EventType.NEW, age=9), grave)
    assert SourcePolicy().admits(external(OTHER, OTHER, EventType.NEW, age=10), grave)


def test_a_forget_that_was_overtaken_is_ignored() -> None:
    old = external(THING, OWNER, EventType.FORGET, age=61)
    assert not SourcePolicy().admits(old, facts(source=str(OWNER)))
