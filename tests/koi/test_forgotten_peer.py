"""A peer that was forgotten is told so, and one that introduces itself again never is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.koi import raw
from tests.koi.nodes import full_node, until

from dpip.koi import RID, EventType, NodeInterface

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
