from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest
from tests.ipfs.conformance.blockstore import fill

from dpip.ipfs.cid import CID
from dpip.ipfs.disk.compact import compact
from dpip.ipfs.disk.store import DiskBlockstore


def size(store: DiskBlockstore) -> int:
    return sum(store.packs.path(pack).stat().st_size for pack in store.packs.on_disk())


@pytest.fixture
def store(tmp_path: Path) -> DiskBlockstore:
    return DiskBlockstore(tmp_path, pack_size=500_000)


def noise(count: int, length: int = 20_000) -> list[bytes]:
    source = random.Random(count)
    return [source.randbytes(length) for _ in range(count)]


def test_room_is_given_back_and_what_is_wanted_stays(store: DiskBlockstore) -> None:
    blocks = noise(100)
    cids = [cid for data in blocks for cid in fill(store, [data])]
    store.delete(cids[::2])
    before = size(store)
    done = compact(store)
    assert done.packs > 0
    assert size(store) == before - done.freed
    assert size(store) < before * 0.6
    assert [store.get(cid) for cid in cids[1::2]] == blocks[1::2]
    assert not any(store.has(cid) for cid in cids[::2])
    store.close()


def test_frames_that_are_half_wanted_are_written_anew(store: DiskBlockstore) -> None:
    cids = fill(store, [b"line %d\n" % n * 50 for n in range(400)])
    keep = cids[5::10]
    store.delete(set(cids) - set(keep))
    assert compact(store).freed > 0
    assert [store.get(cid) for cid in keep] == [b"line %d\n" % n * 50 for n in range(5, 400, 10)]
    assert compact(store).packs == 0
    store.close()


def test_a_store_without_waste_is_left_alone(store: DiskBlockstore) -> None:
    fill(store, noise(30))
    assert compact(store).packs == 0
    store.close()


def test_an_empty_pack_goes(store: DiskBlockstore) -> None:
    store.delete(fill(store, [b"one"]))
    assert compact(store).packs == 1
    assert size(store) == 0
    fill(store, [b"two"])
    assert store.get(CID.of(b"two")) == b"two"
    store.close()


def test_readers_and_writers_go_on_meanwhile(store: DiskBlockstore) -> None:
    blocks = noise(120)
    cids = [cid for data in blocks for cid in fill(store, [data])]
    store.delete(cids[::2])
    kept = dict(zip(cids[1::2], blocks[1::2], strict=True))
    failures: list[BaseException] = []
    done = threading.Event()

    def read() -> None:
        reader = DiskBlockstore(store.folder)
        try:
            while not done.is_set():
                for cid, data in kept.items():
                    assert reader.get(cid) == data
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)
        finally:
            reader.close()

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    compact(store, pause=0.01)
    late = fill(store, [b"written meanwhile"])
    compact(store, dead=0.0)
    done.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert store.get(late[0]) == b"written meanwhile"
    store.close()
