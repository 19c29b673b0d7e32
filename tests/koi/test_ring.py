from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.koi import RID, Bundle, EventType, RIDType
from dpip.koi.testing import Ring

if TYPE_CHECKING:
    from pathlib import Path

NOTE = RIDType.from_string("orn:test.note")


def test_everybody_subscribes_to_everybody(tmp_path: Path) -> None:
    with Ring(3, tmp_path, rid_types=[NOTE]) as ring:
        for node in ring.nodes:
            others = {other.identity.rid for other in ring.nodes} - {node.identity.rid}
            assert set(node.graph.get_neighbors("out", allowed_type=NOTE)) == others
            assert set(node.graph.get_neighbors("in", allowed_type=NOTE)) == others


def test_news_spreads_and_is_forgotten(tmp_path: Path) -> None:
    with Ring(4, tmp_path, rid_types=[NOTE]) as ring:
        note = Bundle.generate(RID.from_string("orn:test.note:1"), {"n": 1}, now=ring.clock())
        ring[3].processor.handle(bundle=note)
        ring.settle()
        assert [node.cache.read(note.rid) for node in ring.nodes] == [note] * 4
        ring[3].processor.handle(rid=note.rid, event_type=EventType.FORGET)
        ring.settle()
        assert [node.cache.exists(note.rid) for node in ring.nodes] == [False] * 4


def test_a_node_catches_up_on_what_it_missed(tmp_path: Path) -> None:
    with Ring(3, tmp_path, rid_types=[NOTE]) as ring:
        old = Bundle.generate(RID.from_string("orn:test.note:old"), {"n": 1}, now=ring.clock())
        ring[0].processor.handle(bundle=old)
        ring.settle()
        ring.kill(2)
        new = Bundle.generate(RID.from_string("orn:test.note:new"), {"n": 1}, now=ring.clock())
        ring[0].processor.handle(bundle=new)
        ring[0].processor.handle(rid=old.rid, event_type=EventType.FORGET)
        ring[0].processor.flush_kobj_queue()
        ring[0].network.outbox.drop(ring[2].identity.rid)
        ring[1].network.outbox.drop(ring[2].identity.rid)
        ring.restart(2)
        ring.settle()
        assert ring[2].cache.exists(new.rid)
        assert not ring[2].cache.exists(old.rid)
