from __future__ import annotations

import os

import pytest
from tests.ipfs.archive import made
from tests.ipfs.conformance.blockstore import fill
from tests.ipfs.disk.conftest import Adder, Clock

from dpip.ipfs.cid import CID
from dpip.ipfs.disk import hot
from dpip.ipfs.disk.archives import Archives
from dpip.ipfs.disk.fsck import check
from dpip.ipfs.disk.pins import Pins
from dpip.ipfs.disk.reindex import reindex
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.ipfs.errors import Damaged


def kinds(archives: Archives, *, repair: bool = False) -> list[tuple[str, bool]]:
    return [(one.kind, one.repaired) for one in check(archives, repair=repair)]


def spoil(store: DiskBlockstore, pack: int = 1, at: int = -40) -> None:
    path = store.packs.path(pack)
    data = bytearray(path.read_bytes())
    data[at] ^= 0x55
    path.write_bytes(data)


def test_a_good_store_is_clean(
    add: Adder, archives: Archives, disk: DiskBlockstore, clock: Clock
) -> None:
    add(made.wheel())
    add(made.sdist(), "demo-1.0.tar.gz")
    fill(disk, [b"loose"])
    assert kinds(archives) == []
    clock.now += 1000
    hot.trim(archives, 0)
    assert kinds(archives) == []


def test_damaged_blocks_are_found_and_forgotten(disk: DiskBlockstore, archives: Archives) -> None:
    bad = fill(disk, [b"compressible " * 500])
    good = fill(disk, [b"another " * 500])
    size = disk.packs.path(1).stat().st_size // 2
    spoil(disk, at=size - 20)
    assert kinds(archives) == [("damaged-blocks", False)]
    assert disk.has(bad[0])
    assert kinds(archives, repair=True) == [("damaged-blocks", True)]
    assert kinds(archives) == []
    assert not disk.has(bad[0])
    assert disk.get(good[0]) == b"another " * 500
    fill(disk, [b"compressible " * 500])
    assert disk.get(bad[0]) == b"compressible " * 500


def test_a_lost_pack_is_found(disk: DiskBlockstore, archives: Archives) -> None:
    fill(disk, [b"data"])
    disk.packs.drop(1)
    assert kinds(archives, repair=True) == [("damaged-blocks", True)]
    assert kinds(archives) == []


def test_missing_blocks_of_a_recipe_come_back_from_the_whole_file(
    add: Adder, archives: Archives, disk: DiskBlockstore, clock: Clock
) -> None:
    archive = add(made.wheel())
    disk.delete([CID(next(disk.multihashes()))])
    assert kinds(archives) != []
    assert all(repaired for _, repaired in kinds(archives, repair=True))
    assert kinds(archives) == []
    clock.now += 1000
    hot.trim(archives, 0)
    assert archives.open(archive.sha256).read_bytes() == made.wheel()


def test_a_damaged_whole_file_is_made_again(add: Adder, archives: Archives) -> None:
    archive = add(made.wheel())
    archives.whole(archive).write_bytes(b"rotten")
    assert kinds(archives, repair=True) == [("damaged-archive", True)]
    assert archives.open(archive.sha256).read_bytes() == made.wheel()


def test_the_loss_of_an_only_copy_is_said(add: Adder, archives: Archives) -> None:
    archive = add(b"neither zip nor tar", "odd.bin")
    archives.whole(archive).unlink()
    assert kinds(archives, repair=True) == [("lost-archive", False)]


def test_strays_go(disk: DiskBlockstore, archives: Archives, clock: Clock) -> None:
    folder = disk.folder / "whole" / "ab" / "no-sha256"
    folder.mkdir(parents=True)
    for path in (folder / "x.whl", disk.folder / "arriving" / "making-x", disk.packs.path(77)):
        path.write_bytes(b"left behind")
        os.utime(path, (clock.now - 7200, clock.now - 7200))
    assert sorted(kinds(archives, repair=True)) == [
        ("stray-file", True), ("stray-file", True), ("stray-pack", True),
    ]  # fmt: skip
    assert kinds(archives) == []


def test_a_lost_index_is_made_again(
    add: Adder, archives: Archives, disk: DiskBlockstore, clock: Clock
) -> None:
    wheel, sdist = add(made.wheel()), add(made.sdist(), "demo-1.0.tar.gz")
    odd = add(b"neither zip nor tar", "odd.bin")
    (loose,) = fill(disk, [b"loose"])
    pins = Pins(disk)
    pins.add(loose, "mine")
    pins.add(loose, "gone")
    pins.remove(loose, "gone")
    clock.now += 1000
    hot.trim(archives, 0)
    before = set(disk.multihashes())
    listed = [(one.sha256, one.filename, one.root, one.recipe) for one in archives.listing()]
    pinned = list(pins)
    disk.close()
    (disk.folder / "index.sqlite").write_bytes(b"SQLite format 3\0" + b"nonsense" * 600)
    with pytest.raises(Damaged):
        DiskBlockstore(disk.folder)
    again = reindex(disk.folder, clock)
    restored = Archives(again)
    assert set(again.multihashes()) == before
    assert list(Pins(again)) == pinned
    assert [(o.sha256, o.filename, o.root, o.recipe) for o in restored.listing()] == listed
    assert kinds(restored) == []
    for archive, data in ((wheel, made.wheel()), (sdist, made.sdist())):
        assert restored.open(archive.sha256).read_bytes() == data
    assert restored.open(odd.sha256).read_bytes() == b"neither zip nor tar"
    assert (disk.folder / "index.sqlite.damaged").exists()
    again.close()


@pytest.mark.parametrize("left", [None, b""])
def test_packs_are_not_strays_because_the_index_is_gone(
    disk: DiskBlockstore, clock: Clock, left: bytes | None
) -> None:
    (cid,) = fill(disk, [b"precious"])
    disk.close()
    for path in disk.folder.glob("index.sqlite*"):
        path.unlink()
    if left is not None:
        (disk.folder / "index.sqlite").write_bytes(left)
    with pytest.raises(Damaged, match="gone"):
        DiskBlockstore(disk.folder)
    again = reindex(disk.folder, clock)
    assert again.get(cid) == b"precious"
    again.close()
    reopened = DiskBlockstore(disk.folder)
    assert reopened.get(cid) == b"precious"
    reopened.close()


def test_opening_drops_packs_that_never_counted(disk: DiskBlockstore) -> None:
    (cid,) = fill(disk, [b"data"])
    disk.packs.path(9).write_bytes(b"of a write that was killed")
    other = DiskBlockstore(disk.folder)
    assert list(other.packs.on_disk()) == [1]
    assert other.get(cid) == b"data"
    other.close()


def test_a_pack_with_a_damaged_frame_gives_up_the_others(
    disk: DiskBlockstore, clock: Clock
) -> None:
    cids = [cid for n in range(3) for cid in fill(disk, [b"block %d " % n * 500])]
    spoil(disk, at=disk.packs.path(1).stat().st_size // 2)
    disk.close()
    again = reindex(disk.folder, clock)
    assert [again.has(cid) for cid in cids] == [True, False, True]
    assert again.get(cids[2]) == b"block 2 " * 500
    again.close()


def test_a_line_that_a_crash_cut_off_spoils_no_other(disk: DiskBlockstore) -> None:
    one, two = CID.of(b"one"), CID.of(b"two")
    Pins(disk).add(one, "first")
    with (disk.folder / "journal.jsonl").open("ab") as file:
        file.write(b'{"is":"pin","cid":"ba')
    Pins(disk).add(two, "second")
    assert len(list(disk.journal.read())) == 2
