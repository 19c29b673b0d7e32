"""A peer that was forgotten is told so, and one that introduces itself again never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.koi import raw
from tests.koi.nodes import full_node, partial_node, until

from dpip.koi import RID, Event, EventType, KnowledgeSource, KoiNetNode, NodeInterface
from dpip.koi.processor.default_handlers import coordinator_handlers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ASK = {"type": "fetch_rids", "rid_types": ["orn:test.none"]}


@pytest.fixture
def node(tmp_path: Path) -> Iterator[NodeInterface]:
    with full_node(tmp_path / "node", allow_unsigned=False) as node:
        yield node


def asked(node: NodeInterface, peer: raw.Peer) -> raw.Answer:
    assert node.identity.profile.base_url is not None
    return peer.send(node.identity.profile.base_url, str(node.identity.rid), raw.RIDS, ASK)


def introduced(node: NodeInterface, peer: raw.Peer) -> None:
    assert node.identity.profile.base_url is not None
    rid = str(node.identity.rid)
    answer = peer.broadcast(node.identity.profile.base_url, rid, peer.introduction())
    assert answer.status == 200


def test_a_forgotten_peer_is_unknown_until_it_says_who_it_is(node: NodeInterface) -> None:
    peer = raw.Peer()
    rid = RID.from_string(peer.rid)
    introduced(node, peer)
    assert asked(node, peer).status == 200, "at once, before the profile is processed"
    until(lambda: node.cache.exists(rid))
    node.processor.handle(rid=rid, event_type=EventType.FORGET)
    until(lambda: not node.cache.exists(rid))
    assert asked(node, peer).json["error"] == "unknown_node"
    introduced(node, peer)
    assert asked(node, peer).status == 200
    until(lambda: node.cache.exists(rid))


def test_who_introduces_itself_again_is_never_unknown_in_between(node: NodeInterface) -> None:
    peer = raw.Peer()
    for _ in range(30):
        introduced(node, peer)
        assert [asked(node, peer).status for _ in range(3)] == [200] * 3


@pytest.mark.parametrize("by", ["URL", "RID@URL"])
def test_a_coordinator_that_took_its_leave_is_met_again(tmp_path: Path, by: str) -> None:
    options = {"allow_unsigned": False, "event": [KoiNetNode], "handlers": coordinator_handlers}
    with full_node(tmp_path / "hub", **options) as hub:
        url = hub.identity.profile.base_url
        contact = url if by == "URL" else f"{hub.identity.rid}@{url}"
        with partial_node(tmp_path / "leaf", first_contact=contact, allow_unsigned=False) as leaf:

            def heard() -> bool:
                for event in leaf.network.poll_neighbors():
                    leaf.processor.handle(event=event, source=KnowledgeSource.External)
                leaf.processor.flush_kobj_queue()
                return leaf.cache.exists(hub.identity.rid)

            until(heard)
            leave = Event.from_rid(EventType.FORGET, hub.identity.rid)
            hub.network.push_event_to(leave, leaf.identity.rid)
            until(lambda: not heard())
            until(heard)
