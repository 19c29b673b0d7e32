"""What a coordinator does, on both wires: real releases and ours, by the same assertions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.koi import raw
from tests.koi.interop.child import PLAIN, eventually
from tests.koi.interop.subjects import COORDINATORS, PLAIN_SUBJECTS, SIGNED_SUBJECTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.koi.interop.subjects import Subject

any_node = pytest.mark.parametrize(
    "coordinator", [*PLAIN_SUBJECTS, *SIGNED_SUBJECTS], indirect=True
)
coordinators = pytest.mark.parametrize("coordinator", COORDINATORS, indirect=True)
NOTE = "orn:test.note"


@coordinators
def test_the_handshake_is_answered_by_news_and_a_proposal(coordinator: Subject) -> None:
    peer = coordinator.meet()
    # One look: a poll hands out all there is, so the proposal may come with the greeting.
    hello, proposal = coordinator.polled_all(
        peer, lambda e: e["rid"] == coordinator.rid, lambda e: e["rid"].startswith(raw.EDGE)
    )
    assert hello["event_type"] == "NEW"
    assert hello["manifest"]["sha256_hash"]
    edge = proposal["contents"]
    assert (edge["source"], edge["target"]) == (peer.rid, coordinator.rid)
    assert edge["status"] == "PROPOSED"
    assert sorted(edge["rid_types"]) == [raw.EDGE, raw.NODE]


@coordinators
def test_a_poll_drains_and_keeps_to_its_limit(coordinator: Subject) -> None:
    peer = coordinator.meet()
    coordinator.polled(peer, lambda e: e["rid"].startswith(raw.EDGE))
    propose(coordinator, peer, "POLL", [raw.NODE])
    coordinator.polled(peer, approved(coordinator, peer))
    others = [coordinator.meet(name=f"other{n}") for n in range(3)]
    seen: list[str] = []

    def collect() -> bool:
        events = peer.poll(coordinator.url, coordinator.rid, limit=1)
        assert len(events) <= 1 or coordinator.release in PLAIN
        seen.extend(e["rid"] for e in events)
        return {o.rid for o in others} <= set(seen)

    eventually(collect, "three new nodes, one a poll")
    # The reference may be about to queue something else, so what is left need not be nothing yet.
    eventually(lambda: peer.poll(coordinator.url, coordinator.rid) == [], "a queue that is empty")


@coordinators
@pytest.mark.parametrize("kind", ["WEBHOOK", "types"])
def test_an_edge_that_cannot_be_served_is_refused_by_forget(
    coordinator: Subject, kind: str
) -> None:
    peer = coordinator.meet()
    if kind == "WEBHOOK":
        propose(coordinator, peer, "WEBHOOK", [raw.NODE])
    else:
        propose(coordinator, peer, "POLL", [raw.NODE, "orn:test.unheard"])
    edge = raw.edge_rid(coordinator.rid, peer.rid)
    refusal = coordinator.polled(peer, lambda e: e["rid"] == edge)
    assert refusal == {"rid": edge, "event_type": "FORGET"}


@coordinators
def test_a_proposal_is_approved_and_then_delivers(coordinator: Subject) -> None:
    peer = coordinator.meet()
    propose(coordinator, peer, "POLL", [raw.NODE])
    approval = coordinator.polled(peer, approved(coordinator, peer))
    assert approval["event_type"] == "UPDATE"
    assert approval["contents"]["target"] == peer.rid
    other = coordinator.meet(name="newcomer")
    news = coordinator.polled(peer, lambda e: e["rid"] == other.rid)
    assert news["event_type"] == "NEW"
    assert news["contents"] == other.profile


@any_node
def test_foreign_types_are_kept_served_and_filtered(coordinator: Subject) -> None:
    peer = coordinator.meet()
    rid = f"{NOTE}:{peer.rid[-8:]}"
    contents = {"text": "é…", "n": None, "list": [1, 2.5, {}]}
    coordinator.tell(peer, raw.event("NEW", rid, contents))
    coordinator.settles(peer, rid, contents)
    url, me = coordinator.url, coordinator.rid
    assert rid in peer.rids(url, me, (NOTE,))
    assert rid in peer.rids(url, me)
    assert rid not in peer.rids(url, me, (raw.NODE,))
    assert peer.rids(url, me, ("orn:test.unheard",)) == []
    by_type = peer.manifests(url, me, types=(NOTE,))["manifests"]
    assert rid in [m["rid"] for m in by_type]
    both = peer.manifests(url, me, rids=(rid, "orn:test.note:absent"), types=(raw.NODE,))
    assert [m["rid"] for m in both["manifests"]] == [rid]
    assert both["not_found"] == ["orn:test.note:absent"]
    found = peer.bundles(url, me, rid, "orn:test.note:absent")
    assert (found["not_found"], found["deferred"]) == (["orn:test.note:absent"], [])


@any_node
def test_only_what_is_newer_and_different_changes_anything(coordinator: Subject) -> None:
    peer = coordinator.meet()
    rid = f"{NOTE}:age-{peer.rid[-8:]}"
    now = datetime.now(UTC)
    coordinator.tell(peer, raw.event("NEW", rid, {"v": 1}, at=now))
    coordinator.settles(peer, rid, {"v": 1})
    coordinator.tell(peer, raw.event("UPDATE", rid, {"v": 0}, at=now - timedelta(seconds=9)))
    coordinator.tell(peer, raw.event("UPDATE", rid, {"v": 9}, at=now))
    coordinator.stays(peer, rid, {"v": 1})
    coordinator.tell(peer, raw.event("UPDATE", rid, {"v": 2}, at=now + timedelta(seconds=1)))
    coordinator.settles(peer, rid, {"v": 2})
    same = raw.event("UPDATE", rid, {"v": 2}, at=now + timedelta(seconds=2))
    coordinator.tell(peer, same)
    coordinator.stays(peer, rid, {"v": 2})
    kept = peer.manifests(coordinator.url, coordinator.rid, rids=(rid,))["manifests"][0]
    assert kept["timestamp"] == raw.timestamp(now + timedelta(seconds=1))


@any_node
def test_the_label_does_not_decide_but_the_cache_does(coordinator: Subject) -> None:
    peer = coordinator.meet()
    rid = f"{NOTE}:label-{peer.rid[-8:]}"
    coordinator.tell(peer, raw.event("UPDATE", rid, {"v": 1}))
    coordinator.settles(peer, rid, {"v": 1})
    coordinator.tell(peer, raw.event("NEW", rid, {"v": 2}))
    coordinator.settles(peer, rid, {"v": 2})


@any_node
def test_forget_deletes(coordinator: Subject) -> None:
    peer = coordinator.meet()
    rid = f"{NOTE}:gone-{peer.rid[-8:]}"
    coordinator.tell(peer, raw.event("NEW", rid, {"v": 1}))
    coordinator.settles(peer, rid, {"v": 1})
    coordinator.tell(peer, raw.event("FORGET", rid))
    coordinator.settles(peer, rid, None)
    assert rid not in peer.rids(coordinator.url, coordinator.rid, (NOTE,))


@any_node
def test_nobody_makes_a_node_forget_itself(coordinator: Subject) -> None:
    peer = coordinator.meet()
    mine = peer.held(coordinator.url, coordinator.rid, coordinator.rid)
    coordinator.tell(peer, raw.event("FORGET", coordinator.rid))
    coordinator.stays(peer, coordinator.rid, mine)


def propose(coordinator: Subject, peer: raw.Peer, kind: str, types: list[str]) -> None:
    """Have the peer ask for the coordinator's events."""
    contents = {
        "source": coordinator.rid,
        "target": peer.rid,
        "edge_type": kind,
        "status": "PROPOSED",
        "rid_types": types,
    }
    rid = raw.edge_rid(coordinator.rid, peer.rid)
    coordinator.tell(peer, raw.event("NEW", rid, contents))


def approved(coordinator: Subject, peer: raw.Peer) -> Callable[[raw.Json], bool]:
    """Return a test for the approval of the peer's edge."""
    rid = raw.edge_rid(coordinator.rid, peer.rid)
    return lambda e: e["rid"] == rid and (e.get("contents") or {}).get("status") == "APPROVED"
