"""What a node takes from outside has bounds: its queue, its database, each peer's lane."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.koi import raw
from tests.koi.nodes import full_node, make, until

from dpip.koi import RID, Bundle, Event, EventType, KnowledgeSource, KoiNetNode
from dpip.koi import outbox as outboxes
from dpip.koi.processor import effects, inbox
from dpip.koi.store import Store

if TYPE_CHECKING:
    from pathlib import Path

PEER = KoiNetNode("peer", "1")


def note(number: int) -> Bundle:
    return Bundle.generate(RID.from_string(f"orn:test.note:{number}"), {"text": "x" * 1000})


def test_a_full_queue_sends_senders_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """503 and when to come back; what is processed makes room again."""
    with full_node(tmp_path / "node", allow_unsigned=True) as node:
        peer = raw.PlainPeer()
        url, rid = str(node.identity.profile.base_url), str(node.identity.rid)
        assert peer.broadcast(url, rid, peer.introduction()).status == 200
        until(lambda: node.cache.exists(RID.from_string(peer.rid)))
        monkeypatch.setattr(inbox, "MOST_QUEUED", -1)
        event = raw.event("NEW", "orn:test.note:1", {"v": 1})
        busy = peer.broadcast(url, rid, [event])
        assert (busy.status, busy.headers["retry-after"]) == (503, "5")
        monkeypatch.undo()
        assert peer.broadcast(url, rid, [event]).status == 200
        until(lambda: node.cache.exists(RID.from_string("orn:test.note:1")))


def test_a_full_database_takes_nothing_new(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known may still change, and what this node says itself is always kept."""
    monkeypatch.setattr(effects, "LOOK_EVERY", 1)
    node = make(tmp_path / "node", most_bytes=1)
    node.start()
    known, own, new = note(1), note(2), note(3)
    assert node.cache.write(known)
    node.processor.handle(bundle=own)
    for bundle in (new, Bundle.generate(own.rid, {"v": 2})):
        event = Event.from_bundle(EventType.NEW, bundle)
        node.processor.handle(event=event, source=KnowledgeSource.External)
    node.processor.flush_kobj_queue()
    assert node.cache.exists(own.rid)
    assert not node.cache.exists(new.rid)
    node.close()


def test_a_lane_keeps_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that never polls again costs a bounded amount, and loses what is oldest."""
    monkeypatch.setattr(outboxes, "MOST_PER_LANE", 500)
    store = Store(tmp_path / "x.sqlite3")
    outbox = outboxes.Outbox(store)
    event = Event.from_rid(EventType.FORGET, PEER).signed_form()
    with store.change():
        for _ in range(3000):
            outbox.push(event, [PEER], later=True)
    assert outbox.size(PEER) == 500
    batch = outbox.hand_out(PEER)
    assert batch is not None
    assert batch.last == 3000
    store.close()
