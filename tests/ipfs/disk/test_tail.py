"""A power cut may take the index's last commits; what was put is there all the same."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.ipfs.conformance.blockstore import fill

from dpip.ipfs.cid import CID
from dpip.ipfs.disk import tail
from dpip.ipfs.disk.archives import Archives
from dpip.ipfs.disk.collect import collect
from dpip.ipfs.disk.compact import compact
from dpip.ipfs.disk.fsck import check
from dpip.ipfs.disk.pins import Pins
from dpip.ipfs.disk.store import DiskBlockstore

if TYPE_CHECKING:
    from pathlib import Path

INDEX = ("index.sqlite", "index.sqlite-wal")


def remember(folder: Path, aside: Path) -> None:
    """Set a copy of the index aside, as it is on the disk now."""
    aside.mkdir(exist_ok=True)
    for name in INDEX:
        if (folder / name).exists():
            shutil.copy(folder / name, aside / name)


def power_cut(store: DiskBlockstore, aside: Path) -> DiskBlockstore:
    """Reopen a store whose index lost every commit since `remember`; packs lost nothing."""
    store.close()
    for path in store.folder.glob("index.sqlite*"):
        path.unlink()
    for name in INDEX:
        if (aside / name).exists():
            shutil.copy(aside / name, store.folder / name)
    return DiskBlockstore(store.folder, clock=store.clock)


def test_what_was_put_outlives_the_index(disk: DiskBlockstore, tmp_path: Path) -> None:
    fill(disk, [b"before" * 100])
    remember(disk.folder, tmp_path / "aside")
    cids = fill(disk, [b"one" * 50, b"two" * 90_000])
    cids += fill(disk, [b"three"])
    store = power_cut(disk, tmp_path / "aside")
    assert [store.get(cid) for cid in cids] == [b"one" * 50, b"two" * 90_000, b"three"]
    fill(store, [b"after" * 100])
    assert store.get(cids[2]) == b"three"
    assert list(check(Archives(store))) == []
    store.close()


@pytest.mark.parametrize("cut", [1, 16, 40, 2000])
def test_a_frame_that_is_not_whole_is_left_out(
    disk: DiskBlockstore, tmp_path: Path, cut: int
) -> None:
    import random

    noise = random.Random(6).randbytes(3000)
    fill(disk, [b"before"])
    remember(disk.folder, tmp_path / "aside")
    (whole,) = fill(disk, [b"whole"])
    end = disk.packs.size(1)
    (part,) = fill(disk, [noise])
    with disk.packs.path(1).open("rb+") as file:
        file.truncate(end + cut)
    store = power_cut(disk, tmp_path / "aside")
    assert (store.has(whole), store.has(part)) == (True, False)
    fill(store, [noise])
    assert store.get(part) == noise
    store.close()


def test_bytes_that_are_no_frame_are_cut_off_by_the_next_write(disk: DiskBlockstore) -> None:
    fill(disk, [b"before"])
    with disk.packs.path(1).open("ab") as file:
        file.write(b"dpf1" + bytes(5000))
    store = DiskBlockstore(disk.folder)
    fill(store, [b"after"])
    assert store.get(CID.of(b"after")) == b"after"
    assert bytes(5000) not in disk.packs.path(1).read_bytes()
    store.close()


def test_a_new_pack_is_known_after_the_cut(tmp_path: Path) -> None:
    import random

    noise = random.Random(7)
    store = DiskBlockstore(tmp_path / "store", pack_size=1000)
    fill(store, [noise.randbytes(2000)])
    cids = fill(store, [noise.randbytes(500)])
    # The commit that made the second pack was synced, so the cut cannot undo it.
    remember(store.folder, tmp_path / "aside")
    cids += fill(store, [noise.randbytes(100)])
    store = power_cut(store, tmp_path / "aside")
    assert all(store.has(cid) for cid in cids)
    store.close()


def test_blocks_that_are_here_already_stay_where_they_are(disk: DiskBlockstore) -> None:
    """A compaction that was killed leaves copies: they must not count twice."""
    cids = fill(disk, [b"kept" * 40, b"gone" * 40])
    other = fill(disk, [b"other" * 30])
    size = disk.packs.size(1)
    with disk.packs.path(1).open("ab") as file:
        file.write(disk.packs.path(1).read_bytes())
    assert tail.is_longer(disk.index, disk.packs)
    assert tail.take_up(disk.index, disk.packs, 0) == 0
    assert disk.packs.size(1) == 2 * size
    disk.delete([cids[1]])
    assert compact(disk, dead=0.0).packs == 1
    assert disk.get(cids[0]) == b"kept" * 40
    assert disk.get(other[0]) == b"other" * 30
    (counted,) = disk.index.read("SELECT SUM(live) FROM frames").fetchone()
    assert counted == 2


def test_a_frame_of_known_and_lost_blocks_gives_back_the_lost(
    disk: DiskBlockstore, tmp_path: Path
) -> None:
    fill(disk, [b"known" * 30])
    remember(disk.folder, tmp_path / "aside")
    fill(disk, [b"lost" * 30, b"lost too" * 30])
    store = power_cut(disk, tmp_path / "aside")
    archives = Archives(store)
    Pins(store).add(CID.of(b"lost" * 30))
    done = collect(archives, grace=-60)
    assert (done.kept, done.blocks) == (1, 2)
    assert store.get(CID.of(b"lost" * 30)) == b"lost" * 30
    assert list(check(archives)) == []
    store.close()


def test_a_pin_is_synced_and_syncs_what_came_before(disk: DiskBlockstore) -> None:
    modes: list[str] = []
    disk.index._writer.set_trace_callback(modes.append)
    fill(disk, [b"block"])
    Pins(disk).add(CID.of(b"block"))
    disk.index._writer.set_trace_callback(None)
    told = [line.rpartition("= ")[2] for line in modes if "synchronous" in line]
    assert told == ["NORMAL", "FULL", "FULL"], "blocks, the pack that they began, the pin"


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=1, max_size=12), st.data())
def test_any_puts_and_any_cut(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    store = DiskBlockstore(folder / "store")
    fill(store, [b"first"])
    moment = data.draw(st.integers(0, len(numbers)))
    put = []
    for turn, number in enumerate([*numbers, 99]):
        if turn == moment:
            remember(store.folder, folder / "aside")
        put += fill(store, [b"%d" % number * 40, b"%d-%d" % (number, turn)])
    store = power_cut(store, folder / "aside")
    for cid in put:
        assert CID.of(store.get(cid)) == cid
    assert list(check(Archives(store))) == []
    store.close()
