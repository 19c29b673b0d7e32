"""Signed, well-formed envelopes whose content makes no sense, or is meant to hurt."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from tests.koi import raw

if TYPE_CHECKING:
    from tests.koi.interop.subjects import Subject

JSON = {"Content-Type": "application/json"}
NOTE = "orn:test.note"
SENSELESS: dict[str, Any] = {
    "empty": {},
    "other": {"a": 1},
    "nulls": {"source": None, "target": None, "node_type": None, "base_url": None},
    "numbers": {"source": 1, "target": 2, "edge_type": 3, "status": 4, "rid_types": 5},
    "lists": {"provides": [], "node_type": [], "public_key": [], "rid_types": {}},
    "bad-rids": {"source": ":", "target": "", "edge_type": "POLL", "status": "PROPOSED"},
    "unknown-words": {"node_type": "HALF", "provides": {"event": ["::"], "state": "x"}},
    "deep": {"a": {"b": {"c": [[[[{}]]]]}}},
}


@pytest.mark.parametrize("contents", SENSELESS.values(), ids=SENSELESS.keys())
@pytest.mark.parametrize("kind", ["NEW", "UPDATE"])
def test_an_edge_that_is_no_edge(victim: Subject, kind: str, contents: raw.Json) -> None:
    peer = victim.meet()
    victim.tell(peer, raw.event(kind, f"{raw.EDGE}:{peer.rid[-20:]}", contents))
    victim.stays(peer, peer.rid, peer.profile)


@pytest.mark.parametrize("contents", SENSELESS.values(), ids=SENSELESS.keys())
def test_a_node_that_is_no_node(victim: Subject, contents: raw.Json) -> None:
    peer, ghost = victim.meet(), raw.Peer(name="ghost")
    victim.tell(peer, raw.event("NEW", ghost.rid, contents))
    victim.tell(peer, raw.event("UPDATE", peer.rid, contents))
    victim.stays(peer, ghost.rid, None)
    assert peer.held(victim.url, victim.rid, peer.rid) == peer.profile


@pytest.mark.parametrize("length", [188, 255, 256, 4096, 20_000])
def test_a_long_rid_is_a_rid(victim: Subject, length: int) -> None:
    peer = victim.meet()
    rid = f"{NOTE}:" + "x" * (length - len(NOTE) - 1)
    victim.tell(peer, raw.event("NEW", rid, {"length": length}))
    victim.settles(peer, rid, {"length": length})
    assert rid in peer.rids(victim.url, victim.rid, (NOTE,))
    victim.tell(peer, raw.event("FORGET", rid))
    victim.settles(peer, rid, None)


@pytest.mark.parametrize(
    "reference",
    [
        "../../etc/passwd",
        "a\x00b",
        "a\nb",
        " ",
        "%2e%2e",
        "\u202e\u0000",
        "'; DROP TABLE bundle;--",
    ],
)
def test_a_strange_reference_is_a_reference(victim: Subject, reference: str) -> None:
    peer = victim.meet()
    rid = f"orn:test.{peer.rid[-8:]}:{reference}"
    victim.tell(peer, raw.event("NEW", rid, {"v": reference}))
    victim.settles(peer, rid, {"v": reference})


def test_a_time_without_a_zone_and_then_one_with(victim: Subject) -> None:
    peer = victim.meet()
    rid = f"{NOTE}:zoneless-{peer.rid[-8:]}"
    naive = raw.event("NEW", rid, {"v": 1}, at="2026-01-01T00:00:00.000001")
    assert peer.broadcast(victim.url, victim.rid, [naive]).status in {200, 422}
    victim.tell(peer, raw.event("UPDATE", rid, {"v": 2}))
    victim.settles(peer, rid, {"v": 2})


def test_a_far_future_time_does_not_freeze_a_rid(victim: Subject) -> None:
    peer = victim.meet()
    rid = f"{NOTE}:future-{peer.rid[-8:]}"
    victim.tell(peer, raw.event("NEW", rid, {"v": 1}))
    victim.settles(peer, rid, {"v": 1})
    for at in ("9999-12-31T23:59:59.999999Z", "2999-01-01T00:00:00Z"):
        answer = peer.broadcast(victim.url, victim.rid, [raw.event("UPDATE", rid, {"v": 9}, at=at)])
        assert answer.status in {200, 422}
    victim.tell(peer, raw.event("UPDATE", rid, {"v": 2}))
    victim.settles(peer, rid, {"v": 2})


def test_nobody_changes_or_forgets_what_another_introduced(victim: Subject) -> None:
    owner, thief = victim.meet(name="owner"), victim.meet(name="thief")
    rid = f"{NOTE}:owned-{owner.rid[-8:]}"
    victim.tell(owner, raw.event("NEW", rid, {"owner": True}))
    victim.settles(owner, rid, {"owner": True})
    later = datetime.now(UTC) + timedelta(seconds=1)
    victim.tell(thief, raw.event("UPDATE", rid, {"owner": False}, at=later))
    victim.tell(thief, raw.event("NEW", rid, {"owner": False}, at=later))
    victim.tell(thief, raw.event("FORGET", rid))
    victim.tell(thief, raw.event("FORGET", owner.rid))
    victim.tell(thief, raw.event("UPDATE", owner.rid, owner.profile | {"base_url": "http://x/"}))
    victim.tell(thief, raw.event("FORGET", raw.edge_rid(owner.rid, victim.rid)))
    victim.stays(thief, rid, {"owner": True})
    assert owner.held(victim.url, victim.rid, owner.rid) == owner.profile
    edge = owner.held(victim.url, victim.rid, raw.edge_rid(owner.rid, victim.rid))
    assert edge is not None
    victim.tell(owner, raw.event("FORGET", rid))
    victim.settles(owner, rid, None)


def test_nobody_speaks_for_an_edge_that_it_is_no_end_of(victim: Subject) -> None:
    peer, other = victim.meet(name="meddler"), victim.meet(name="other")
    rid = raw.edge_rid(victim.rid, other.rid)
    contents = {
        "source": victim.rid,
        "target": other.rid,
        "edge_type": "POLL",
        "status": "PROPOSED",
        "rid_types": [raw.NODE],
    }
    victim.tell(peer, raw.event("NEW", rid, contents))
    marker = f"{NOTE}:after-{peer.rid[-8:]}"
    victim.tell(peer, raw.event("NEW", marker, {"v": 1}))
    victim.settles(peer, marker, {"v": 1})
    held = peer.held(victim.url, victim.rid, rid)
    assert held is None or held["status"] == "PROPOSED"


def test_a_replayed_envelope_does_not_undo_a_forget(victim: Subject) -> None:
    peer, replayer = victim.meet(), victim.meet(name="replayer")
    rid = f"{NOTE}:replayed-{peer.rid[-8:]}"
    new = raw.event("NEW", rid, {"v": 1})
    payload = {"type": "events_payload", "events": [new]}
    recorded = raw.compact(peer.envelope(payload, victim.rid))
    assert raw.post(victim.url, raw.BROADCAST, recorded, headers=JSON).status == 200
    victim.settles(peer, rid, {"v": 1})
    victim.tell(peer, raw.event("FORGET", rid))
    victim.settles(peer, rid, None)
    assert raw.post(victim.url, raw.BROADCAST, recorded, headers=JSON).status in {200, 400}
    reshaped = json.dumps(json.loads(recorded), indent=1).encode()
    assert raw.post(victim.url, raw.BROADCAST, reshaped, headers=JSON).status in {200, 400}
    victim.tell(replayer, new)
    victim.stays(replayer, rid, None)


def test_what_was_forgotten_may_be_made_anew_by_its_source(victim: Subject) -> None:
    peer = victim.meet()
    rid = f"{NOTE}:again-{peer.rid[-8:]}"
    victim.tell(peer, raw.event("NEW", rid, {"v": 1}))
    victim.settles(peer, rid, {"v": 1})
    victim.tell(peer, raw.event("FORGET", rid))
    victim.settles(peer, rid, None)
    victim.tell(peer, raw.event("NEW", rid, {"v": 2}))
    victim.settles(peer, rid, {"v": 2})


def test_a_handshake_that_somebody_relays_is_not_a_farewell(victim: Subject) -> None:
    """FORGET and NEW of one profile, as a coordinator passes on what a node says at start."""
    relay, other = victim.meet(name="relay"), raw.Peer(name="other")
    profile = raw.event("NEW", other.rid, other.profile)
    victim.tell(relay, profile)
    victim.settles(relay, other.rid, other.profile)
    victim.tell(relay, raw.event("FORGET", other.rid))
    victim.settles(relay, other.rid, None)
    victim.tell(relay, profile)
    victim.settles(relay, other.rid, other.profile)


def test_contents_that_are_not_what_their_hash_says_are_not_vouched_for(victim: Subject) -> None:
    peer = victim.meet()
    rid = f"{NOTE}:lie-{peer.rid[-8:]}"
    lie = raw.event("NEW", rid, {"v": 1})
    lie["manifest"]["sha256_hash"] = "0" * 64
    victim.tell(peer, lie)
    marker = f"{NOTE}:after-{peer.rid[-8:]}"
    victim.tell(peer, raw.event("NEW", marker, {"v": 1}))
    victim.settles(peer, marker, {"v": 1})
    for found in peer.bundles(victim.url, victim.rid, rid)["bundles"]:
        assert found["manifest"]["sha256_hash"] == "0" * 64, "a lie was given a true hash"


def test_a_manifest_of_another_rid_is_not_taken(victim: Subject) -> None:
    peer = victim.meet()
    rid, other = f"{NOTE}:mine-{peer.rid[-8:]}", f"{NOTE}:other-{peer.rid[-8:]}"
    mixed = raw.event("NEW", rid, {"v": 1})
    mixed["manifest"] = raw.manifest(other, {"v": 1})
    answer = peer.broadcast(victim.url, victim.rid, [mixed])
    assert answer.status in {200, 422}
    victim.stays(peer, other, None)


URLS = [
    "file:///etc/passwd",
    "gopher://127.0.0.1:70/",
    "http://169.254.169.254/latest/meta-data",
    "http://[::ffff:169.254.169.254]/",
    "http://user:secret@127.0.0.1:1/koi-net",
    "http://127.0.0.1:99999/koi-net",
    "http://127.0.0.1:1/\r\nHost: elsewhere",
    "http://",
    "//x",
    "x" * 10_000,
    "http://\u2100.example/",
    "http://10.0.0.1:1/koi-net",
]


@pytest.mark.parametrize("url", URLS)
def test_a_base_url_that_is_not_to_be_called(victim: Subject, url: str) -> None:
    peer = raw.Peer(name="lure", base_url=url)
    answer = peer.broadcast(victim.url, victim.rid, peer.introduction())
    assert answer.status in {200, 400, 422}
    victim.tell(victim.meet(), raw.event("NEW", f"{NOTE}:{peer.rid[-8:]}", {"v": 1}))


def test_nobody_claims_the_address_of_the_node_itself(victim: Subject) -> None:
    peer = raw.Peer(name="mirror", base_url=victim.url)
    assert peer.broadcast(victim.url, victim.rid, peer.introduction()).status in {200, 400}
    victim.stays(victim.meet(), peer.rid, None)


@pytest.mark.parametrize("limit", [-1, 2**31, 2**63, 2**64, 10**300, 1.5, True])
def test_a_limit_that_nobody_means(victim: Subject, limit: float) -> None:
    peer = victim.meet()
    payload = {"type": "poll_events", "limit": limit}
    assert peer.send(victim.url, victim.rid, raw.POLL, payload).status in {200, 422}


def test_a_thousand_events_in_one_body(victim: Subject) -> None:
    peer = victim.meet()
    kind = f"orn:test.{peer.rid[-8:]}"
    events = [raw.event("NEW", f"{kind}:{n}", {"n": n}) for n in range(1000)]
    victim.tell(peer, *events)
    victim.settles(peer, f"{kind}:999", {"n": 999})
    assert len(peer.rids(victim.url, victim.rid, (kind,))) == 1000
