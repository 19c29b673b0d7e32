"""Who is told of what: the subscribers, but for those whom somebody else tells for sure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.koi.nodes import make

from dpip.koi import Bundle, KnowledgeObject, KoiNetEdge, KoiNetNode, RIDType
from dpip.koi.model import to_plain
from dpip.koi.processor.default_handlers import basic_network_output_filter
from dpip.koi.processor.handler import StopChain
from dpip.koi.processor.knowledge_object import KnowledgeSource
from dpip.koi.protocol.edge import EdgeProfile, EdgeStatus, EdgeType
from dpip.koi.testing import Ring

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dpip.koi import NodeInterface

NOTE = RIDType.from_string("orn:test.note")
A, B, C = (KoiNetNode(name, "0" * 64) for name in "abc")


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeInterface]:
    made = make(tmp_path / "me", base_url="http://127.0.0.1:1/koi-net", event=[NOTE, KoiNetEdge])
    for other in (A, B, C):
        link(made, made.identity.rid, other)
    yield made
    made.store.close()


def link(
    node: NodeInterface,
    source: KoiNetNode,
    target: KoiNetNode,
    status: EdgeStatus = EdgeStatus.APPROVED,
    kinds: tuple[RIDType, ...] = (NOTE, KoiNetEdge),
) -> KnowledgeObject:
    """Let the node know an edge, and return it as what a peer would say of it."""
    profile = EdgeProfile(source, target, EdgeType.WEBHOOK, status, list(kinds))
    rid = KoiNetEdge.generate(source, target)
    node.graph.apply(rid, to_plain(profile), told_by=source)
    return KnowledgeObject.from_bundle(
        Bundle.generate(rid, profile), source=KnowledgeSource.External
    )


def targets(node: NodeInterface, kobj: KnowledgeObject) -> set[KoiNetNode]:
    result = basic_network_output_filter.func(node.processor, kobj)
    assert not isinstance(result, StopChain)
    return kobj.network_targets


def note(sender: KoiNetNode | None) -> KnowledgeObject:
    source = KnowledgeSource.External if sender else KnowledgeSource.Internal
    return KnowledgeObject(NOTE("1"), source=source, sender=sender)


def test_all_subscribers_are_told_but_the_sender(node: NodeInterface) -> None:
    assert targets(node, note(None)) == {A, B, C}
    assert targets(node, note(A)) == {B, C}


def test_whom_the_sender_tells_is_not_told_again(node: NodeInterface) -> None:
    link(node, A, B)
    assert targets(node, note(A)) == {C}
    assert targets(node, note(C)) == {A, B}
    assert targets(node, note(None)) == {A, B, C}


def test_a_promise_that_a_stranger_claims_counts_for_nothing(node: NodeInterface) -> None:
    profile = EdgeProfile(A, B, EdgeType.WEBHOOK, EdgeStatus.APPROVED, [NOTE])
    node.graph.apply(KoiNetEdge("forged"), to_plain(profile), told_by=C)
    node.graph.apply(KoiNetEdge("unsigned"), to_plain(profile))
    assert targets(node, note(A)) == {B, C}


def test_nobody_cuts_off_a_subscriber_with_an_edge_of_ones_own_making(node: NodeInterface) -> None:
    me = node.identity.rid
    real = node.graph.get_edge_profile(source=me, target=A)
    for status in EdgeStatus:
        profile = EdgeProfile(me, A, EdgeType.POLL, status, [])
        node.graph.apply(KoiNetEdge(f"forged-{status}"), to_plain(profile), told_by=C)
    assert node.graph.get_edge_profile(source=me, target=A) == real
    assert targets(node, note(None)) == {A, B, C}
    node.graph.generate()
    assert node.graph.get_edge_profile(source=me, target=A) is None, "none of it was in the cache"


def test_an_edge_does_not_become_one_between_others(node: NodeInterface) -> None:
    rid = KoiNetEdge("moving")
    for ends in ((A, C), (A, B)):
        profile = EdgeProfile(*ends, EdgeType.WEBHOOK, EdgeStatus.APPROVED, [NOTE])
        node.graph.apply(rid, to_plain(profile), told_by=C)
    assert not node.graph.tells(A, B, NOTE)


def test_a_promise_counts_and_a_wish_does_not(node: NodeInterface) -> None:
    link(node, A, B, EdgeStatus.PROPOSED)
    link(node, A, C, kinds=(KoiNetEdge,))
    assert targets(node, note(A)) == {B, C}


def test_what_a_handler_before_asked_for_is_done(node: NodeInterface) -> None:
    link(node, A, B)
    kobj = note(A)
    kobj.network_targets.add(B)
    assert targets(node, kobj) == {B, C}


def test_an_edge_of_others_is_told_by_its_ends(node: NodeInterface) -> None:
    link(node, A, B)
    kobj = link(node, B, C)
    kobj.sender = A
    assert targets(node, kobj) == set(), "A tells B, and B tells C"
    kobj = link(node, B, C, EdgeStatus.PROPOSED)
    kobj.sender = A
    assert targets(node, kobj) == {C}, "B has not agreed to tell C"


def test_an_edge_of_ones_own_is_told_by_the_node_itself(node: NodeInterface) -> None:
    link(node, B, C)
    kobj = link(node, B, node.identity.rid)
    kobj.sender = B
    assert targets(node, kobj) == {A}
    link(node, C, A)
    assert targets(node, kobj) == {A}


def test_a_mesh_is_not_flooded_while_it_forms(tmp_path: Path) -> None:
    count = 10
    with Ring(count, tmp_path, rid_types=[NOTE]) as ring:
        everything = count + count * (count - 1)
        assert [len(node.cache.list_rids()) for node in ring.nodes] == [everything] * count
        assert ring.network.moved < 4_500_000
