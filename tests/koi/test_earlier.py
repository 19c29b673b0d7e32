"""What a node of protocol 1.0 left in its directory is gone on with."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from dpip.koi import RID, Bundle, Cache, NodeInterface, RIDType
from dpip.koi.errors import UnreadableKey
from dpip.koi.protocol.node import NodeProfile, NodeProvides, NodeType
from dpip.koi.rid import KoiNetNode

if TYPE_CHECKING:
    from pathlib import Path

ME = "orn:koi-net.node:old+0d9b2f0e-5a53-4a52-9a5c-0a8f5d6a5b1c"
PEER = "orn:koi-net.node:peer+9a5c2f0e-5a53-4a52-9a5c-0a8f5d6a5b1d"
PROFILE: dict[str, Any] = {
    "base_url": None,
    "node_type": "PARTIAL",
    "provides": {"event": ["orn:test.own"], "state": []},
}
OWN = Bundle.generate(RID.from_string("orn:test.own:1"), {"v": 1})
OTHERS = Bundle.generate(RID.from_string("orn:test.other:é/ü"), {"v": [None, 1.5]})


def file_name(rid: str) -> str:
    return base64.urlsafe_b64encode(rid.encode()).decode().rstrip("=") + ".json"


def saved(kind: str, rid: str) -> dict[str, Any]:
    return {"rid": rid, "event_type": kind, "manifest": None, "contents": None}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Return a directory as a node of 1.0 leaves it, with what others drop into it."""
    (tmp_path / "identity.json").write_text(json.dumps({"rid": ME, "profile": PROFILE}, indent=2))
    cache = tmp_path / "rid_cache"
    cache.mkdir()
    for bundle in (OWN, OTHERS):
        plain = json.loads(bundle.to_json())
        (cache / file_name(str(bundle.rid))).write_text(json.dumps(plain, indent=2), "utf-8")
    (cache / file_name("orn:test.own:cut")).write_text('{"manifest": {"rid"')
    (cache / file_name("orn:test.own:lies")).write_bytes(OWN.to_json())
    (cache / "README.json").write_text("{}")
    (cache / ".DS_Store").write_bytes(b"\0")
    queues = {
        "webhook": {},
        "poll": {PEER: [saved("FORGET", "orn:test.own:0"), saved("FORGET", "orn:test.own:1")]},
    }
    (tmp_path / "event_queues.json").write_text(json.dumps(queues, indent=2))
    return tmp_path


def started(home: Path) -> NodeInterface:
    return NodeInterface(
        name="old",
        profile=NodeProfile(
            node_type=NodeType.PARTIAL, provides=NodeProvides([RIDType.from_string("orn:test.own")])
        ),
        identity_file_path=home / "identity.json",
        event_queues_file_path=home / "event_queues.json",
        cache_directory_path=home / "rid_cache",
    )


def test_identity_cache_and_queues_are_taken_over(home: Path) -> None:
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    node = started(home)
    node.start()
    assert str(node.identity.rid) == ME
    assert node.identity.bundle.contents == PROFILE, "a node without a key says nothing of keys"
    assert node.cache.read(OWN.rid) == OWN
    assert node.cache.read(OTHERS.rid) == OTHERS
    assert {str(rid) for rid in node.cache.list_rids()} == {ME, str(OWN.rid), str(OTHERS.rid)}
    peer = RID.from_string(PEER)
    assert isinstance(peer, KoiNetNode)
    events = node.network.flush_poll_queue(peer)
    assert [str(event.rid) for event in events] == ["orn:test.own:0", "orn:test.own:1"]
    node.close()
    assert not (home / "identity.pem").exists()
    kept = {path: path.read_bytes() for path in before}
    assert kept[home / "event_queues.json"] == before[home / "event_queues.json"]
    assert {path.name for path in kept} == {path.name for path in before}


def test_it_is_taken_once(home: Path) -> None:
    first = started(home)
    first.cache.delete(OWN.rid)
    first.close()
    again = started(home)
    assert not again.cache.exists(OWN.rid)
    peer = RID.from_string(PEER)
    assert again.network.outbox.size(peer) == 2, "neither lost nor doubled"
    again.close()
    other = {"webhook": {}, "poll": {PEER: [saved("FORGET", "orn:test.own:2")]}}
    (home / "event_queues.json").write_text(json.dumps(other))
    later = started(home)
    assert later.network.outbox.size(peer) == 3, "the original saves anew at each stop"
    later.close()


def test_who_may_change_what_was_taken_over(home: Path) -> None:
    """What the node provides is its own; the rest is anybody's, as it was there."""
    node = started(home)
    assert isinstance(node.cache, Cache)
    records = [node.cache.record(bundle.rid) for bundle in (OWN, OTHERS)]
    assert [record.source for record in records if record] == [None, ""]
    assert all(record.verified for record in records if record)
    node.close()


def test_a_cache_alone_shows_what_is_there(home: Path) -> None:
    cache = Cache(home / "rid_cache")
    assert set(cache.list_rids()) == {OWN.rid, OTHERS.rid}
    cache.store.close()


def test_queues_that_nobody_can_read_stop_nothing(home: Path) -> None:
    (home / "event_queues.json").write_text('{"poll": 1}')
    node = started(home)
    node.start()
    assert node.cache.exists(OWN.rid)
    node.close()


def test_a_keyless_node_is_made_as_the_original_makes_it(tmp_path: Path) -> None:
    def made() -> NodeInterface:
        return NodeInterface(
            "plain",
            NodeProfile(node_type=NodeType.PARTIAL),
            tmp_path / "identity.json",
            cache_directory_path=tmp_path / "rid_cache",
            keyless=True,
        )

    node = made()
    assert node.identity.rid.name == "plain"
    assert UUID(node.identity.rid.uuid).version == 4
    assert node.identity.profile.public_key is None
    node.close()
    again = made()
    assert again.identity.rid == node.identity.rid
    again.close()
    assert not (tmp_path / "identity.pem").exists()


def test_a_node_that_lost_its_key_says_so(tmp_path: Path) -> None:
    place = tmp_path / "identity.json"
    cache = tmp_path / "rid_cache"
    profile = NodeProfile(node_type=NodeType.PARTIAL)
    NodeInterface("keyed", profile, place, cache_directory_path=cache).close()
    (tmp_path / "identity.pem").unlink()
    with pytest.raises(UnreadableKey, match="bring that key back"):
        NodeInterface("keyed", profile, place, cache_directory_path=cache)
