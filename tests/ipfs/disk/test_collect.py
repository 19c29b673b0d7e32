from __future__ import annotations

import pytest
from tests.ipfs.archive import made
from tests.ipfs.conformance.blockstore import fill
from tests.ipfs.disk.conftest import Adder, Clock

from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID
from dpip.ipfs.dagpb import Link, Node, cid_of, encode
from dpip.ipfs.disk import hot
from dpip.ipfs.disk.archives import Archives
from dpip.ipfs.disk.collect import collect
from dpip.ipfs.disk.mark import Marks
from dpip.ipfs.disk.pins import Pins
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.ipfs.unixfs import DIRECTORY


def directory(store: DiskBlockstore, *children: CID) -> CID:
    links = tuple(Link(cid, f"child-{n}") for n, cid in enumerate(children))
    data = encode(Node(links, DIRECTORY))
    store.put([Block(cid_of(data), data)])
    return cid_of(data)


def test_what_pins_reach_is_kept_and_the_rest_goes(disk: DiskBlockstore, clock: Clock) -> None:
    kept, lost = fill(disk, [b"kept", b"lost"])
    root = directory(disk, directory(disk, kept))
    Pins(disk).add(root, "mine")
    clock.now += 7200
    planned = collect(Archives(disk), dry_run=True)
    assert disk.has(lost)
    done = collect(Archives(disk))
    assert planned == done
    assert (done.blocks, done.size, done.kept) == (1, 4, 3)
    assert disk.has(kept)
    assert not disk.has(lost)


def test_what_is_young_is_spared(disk: DiskBlockstore, clock: Clock) -> None:
    old, again = fill(disk, [b"old" * 100_000, b"put again" * 100_000])
    clock.now += 7200
    (young,) = fill(disk, [b"young"])
    fill(disk, [b"put again" * 100_000])
    assert collect(Archives(disk)).young == 2
    assert disk.has(young)
    assert disk.has(again)
    assert not disk.has(old)


def test_unpinning_frees_and_two_names_are_two_pins(disk: DiskBlockstore, clock: Clock) -> None:
    (cid,) = fill(disk, [b"data"])
    pins = Pins(disk)
    pins.add(cid, "one")
    pins.add(cid, "two")
    clock.now += 7200
    assert pins.remove(cid, "one")
    assert not pins.remove(cid, "one")
    assert collect(Archives(disk)).blocks == 0
    assert pins.remove(cid)
    assert collect(Archives(disk)).blocks == 1


def test_replacing_a_pin_moves_its_name(disk: DiskBlockstore) -> None:
    old, new = fill(disk, [b"old head", b"new head"])
    pins = Pins(disk)
    pins.replace("head", old)
    pins.replace("head", new)
    assert [(pin.cid, pin.name) for pin in pins] == [(new, "head")]


def test_a_missing_node_is_counted(disk: DiskBlockstore, clock: Clock) -> None:
    absent = CID.v1(0x70, CID.of(b"never put").multihash)
    Pins(disk).add(directory(disk, absent))
    clock.now += 7200
    assert collect(Archives(disk)).missing == 1


def test_archives_are_kept_by_either_of_their_roots(
    add: Adder, archives: Archives, disk: DiskBlockstore, clock: Clock
) -> None:
    archive = add(made.wheel())
    assert archive.recipe is not None
    pins = Pins(disk)
    for root in (archive.root, archive.recipe, None):
        keep = root or directory(disk, archive.root)
        pins.add(keep, "by one root")
        pins.remove(archive.root, "archive")
        clock.now += 7200
        assert collect(archives).archives == 0
        hot.trim(archives, 0)
        assert archives.open(archive.sha256).read_bytes() == made.wheel()
        pins.add(archive.root, "archive")
        pins.remove(keep, "by one root")


def test_an_unpinned_archive_goes_with_all_its_blocks(
    add: Adder, archives: Archives, disk: DiskBlockstore, clock: Clock
) -> None:
    archive = add(made.wheel())
    Pins(disk).remove(archive.root)
    assert collect(archives).archives == 0, "it is young"
    clock.now += 7200
    assert collect(archives).archives == 1
    assert list(disk.multihashes()) == []
    assert not archives.whole(archive).exists()


def test_a_pin_made_during_the_sweep_is_respected(
    disk: DiskBlockstore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(disk, [bytes([n]) * 10 for n in range(100)])
    late = max(disk.multihashes())
    clock.now += 7200
    update, first = Marks.update, iter([True])

    def update_then_pin(marks: Marks) -> None:
        update(marks)
        if next(first, False):
            Pins(disk).add(CID.v1(0x55, late), "late")

    monkeypatch.setattr("dpip.ipfs.disk.collect.STEP", 10)
    monkeypatch.setattr(Marks, "update", update_then_pin)
    done = collect(Archives(disk))
    assert (done.blocks, done.kept) == (99, 1)
