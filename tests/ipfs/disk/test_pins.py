from __future__ import annotations

import time
from pathlib import Path

from dpip.ipfs.cid import CID
from dpip.ipfs.disk.pins import _DROP_NAMED, Pin, Pins
from dpip.ipfs.disk.reindex import reindex
from dpip.ipfs.disk.store import DiskBlockstore

ONE, TWO = CID.of(b"one"), CID.of(b"two")


def test_pins_go_by_name_without_a_look_at_those_of_archives(tmp_path: Path) -> None:
    store = DiskBlockstore(tmp_path)
    pins = Pins(store)
    for cid in (ONE, TWO):
        pins.add(cid, "archive")
        pins.add(cid, "part")
    pins.replace("index", ONE)
    pins.replace("index", TWO)
    pins.clear("part")
    pins.clear("never")
    expected = {Pin(ONE, "archive"), Pin(TWO, "archive"), Pin(TWO, "index")}
    assert set(pins) == expected
    plan = store.index.read(f"EXPLAIN QUERY PLAN {_DROP_NAMED}", "index").fetchall()
    assert "named_pins" in str(plan)
    store.close()
    store = reindex(tmp_path, time.time)
    assert set(Pins(store)) == expected
    store.close()
