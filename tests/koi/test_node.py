"""Whole nodes over real HTTP: joining, hearing of each other, polling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.koi.nodes import full_node, partial_node, until

from dpip.koi import (
    RID,
    Bundle,
    Event,
    EventType,
    KnowledgeSource,
    KoiNetEdge,
    KoiNetNode,
    NodeInterface,
    RIDType,
)
from dpip.koi.processor.default_handlers import coordinator_handlers
from dpip.koi.protocol.edge import EdgeStatus

if TYPE_CHECKING:
    from pathlib import Path

NOTE = RIDType.from_string("orn:test.note")


def poll(node: NodeInterface) -> None:
    for event in node.network.poll_neighbors():
        node.processor.handle(event=event, source=KnowledgeSource.External)
    node.processor.flush_kobj_queue()


@pytest.mark.parametrize("allow_unsigned", [False, True])
def test_a_partial_node_joins_and_hears(tmp_path: Path, allow_unsigned: bool) -> None:
    kinds = [KoiNetNode, KoiNetEdge, NOTE]
    with (
        full_node(
            tmp_path / "hub",
            event=kinds,
            state=kinds,
            handlers=coordinator_handlers,
            allow_unsigned=allow_unsigned,
        ) as hub,
        partial_node(
            tmp_path / "leaf",
            first_contact=hub.identity.profile.base_url,
            rid_types_of_interest=None,
            allow_unsigned=allow_unsigned,
        ) as leaf,
    ):

        def subscribed() -> bool:
            poll(leaf)
            edge = hub.graph.get_edge_profile(source=hub.identity.rid, target=leaf.identity.rid)
            return edge is not None and edge.status == EdgeStatus.APPROVED

        until(subscribed)
        note = Bundle.generate(RID.from_string("orn:test.note:1"), {"text": "hello"})
        hub.processor.handle(bundle=note)

        def heard() -> bool:
            poll(leaf)
            return leaf.cache.exists(note.rid)

        until(heard)
        assert leaf.cache.read(note.rid) == note
        hub.processor.handle(rid=note.rid, event_type=EventType.FORGET)

        def forgotten() -> bool:
            poll(leaf)
            return not leaf.cache.exists(note.rid)

        until(forgotten)


def test_full_nodes_find_each_other_through_a_coordinator(tmp_path: Path) -> None:
    with (
        full_node(
            tmp_path / "hub",
            event=[KoiNetNode, KoiNetEdge],
            state=[KoiNetNode, KoiNetEdge],
            handlers=coordinator_handlers,
        ) as hub,
        full_node(
            tmp_path / "one",
            event=[NOTE],
            state=[NOTE],
            first_contact=hub.identity.profile.base_url,
        ) as one,
        full_node(
            tmp_path / "two",
            first_contact=hub.identity.profile.base_url,
            rid_types_of_interest=[KoiNetNode, NOTE],
        ) as two,
    ):
        until(lambda: two.graph.get_node_profile(one.identity.rid))
        until(lambda: two.identity.rid in one.graph.get_neighbors("out", allowed_type=NOTE))
        note = Bundle.generate(RID.from_string("orn:test.note:1"), {"text": "hello"})
        one.processor.handle(bundle=note)
        until(lambda: two.cache.exists(note.rid))
        two.network.request_handler.broadcast_events(
            node=one.identity.rid, events=[Event.from_rid(EventType.FORGET, note.rid)]
        )
        one.processor.flush_kobj_queue()
        assert one.cache.exists(note.rid), "only its source may forget it"


def test_a_node_is_called_by_the_name_of_its_host(tmp_path: Path) -> None:
    with full_node(tmp_path / "hub", handlers=coordinator_handlers) as hub:
        url = str(hub.identity.profile.base_url).replace("127.0.0.1", "localhost")
        with partial_node(tmp_path / "leaf", first_contact=url) as leaf:
            until(lambda: hub.cache.exists(leaf.identity.rid))
            answer = leaf.network.request_handler.fetch_rids(url=url, rid_types=[KoiNetNode])
            assert hub.identity.rid in answer.rids
