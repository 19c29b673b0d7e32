from __future__ import annotations

from pathlib import Path

import pytest
from tests.ipfs.conformance.blockstore import BlockstoreConformance, block, fill

from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.ipfs.errors import HashMismatch, IpfsError


class TestConformance(BlockstoreConformance):
    @pytest.fixture
    def store(self, disk: DiskBlockstore) -> DiskBlockstore:
        return disk


def test_blocks_are_there_for_another_process_and_after_reopening(disk: DiskBlockstore) -> None:
    cids = fill(disk, [b"one", b"two" * 50_000])
    other = DiskBlockstore(disk.folder)
    assert [other.get(cid) for cid in cids] == [b"one", b"two" * 50_000]
    fill(other, [b"three"])
    assert disk.get(CID.of(b"three")) == b"three"
    other.close()


def test_small_blocks_share_a_frame_and_take_little_room(disk: DiskBlockstore) -> None:
    blocks = [b"def function_%d(argument):\n    return argument\n" % n * 20 for n in range(200)]
    fill(disk, blocks)
    assert disk.packs.path(1).stat().st_size < sum(map(len, blocks)) / 5


def test_bytes_that_rotted_are_never_returned(disk: DiskBlockstore) -> None:
    (cid,) = fill(disk, [bytes(range(256)) * 40])
    found = disk.packs.path(1)
    data = bytearray(found.read_bytes())
    data[-20] ^= 0xFF
    found.write_bytes(data)
    with pytest.raises(IpfsError):
        disk.get(cid)


def test_incompressible_blocks_have_a_location(disk: DiskBlockstore) -> None:
    import random

    data = random.Random(3).randbytes(300_000)
    disk.put([block(data)])
    found = disk.location(CID.of(data))
    assert found is not None
    assert found.path.read_bytes()[found.offset :][: found.length] == data


def test_the_rest_of_an_unfinished_write_is_cut_off(disk: DiskBlockstore) -> None:
    fill(disk, [b"before" * 100])
    with disk.packs.path(1).open("ab") as file:
        file.write(b"half a frame")
    fill(disk, [b"after" * 100])
    assert disk.get(CID.of(b"after" * 100)) == b"after" * 100
    assert b"half a frame" not in disk.packs.path(1).read_bytes()


def test_a_failed_write_leaves_nothing_half_visible(
    disk: DiskBlockstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*args: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        with pytest.raises(IpfsError, match="No space left"):
            fill(disk, [b"lost"])
    assert not disk.has(CID.of(b"lost"))
    fill(disk, [b"kept"])
    assert disk.get(CID.of(b"kept")) == b"kept"


def test_new_packs_are_begun(tmp_path: Path) -> None:
    import random

    noise = random.Random(4)
    store = DiskBlockstore(tmp_path, pack_size=100_000)
    cids = []
    for _ in range(5):
        cids += fill(store, [noise.randbytes(60_000)])
    assert len(list(store.packs.on_disk())) == 3
    assert all(store.has(cid) and store.get(cid) for cid in cids)
    store.close()


def test_wrong_bytes_under_a_cid_are_found_out_on_reading(disk: DiskBlockstore) -> None:
    lie = Block(CID.of(b"truth"), b"lie")
    disk.put([lie])
    with pytest.raises(HashMismatch, match="fsck"):
        disk.get(lie.cid)
