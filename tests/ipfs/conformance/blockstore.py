"""What every blockstore owes its callers. Subclass `BlockstoreConformance`, give `store`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from dpip.ipfs.blockstore import Block, Blockstore, Located
from dpip.ipfs.cid import CID, DAG_PB, RAW
from dpip.ipfs.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable


def block(data: bytes, codec: int = RAW) -> Block:
    """Return the block of these bytes."""
    return Block(CID.of(data, codec), data)


class BlockstoreConformance:
    """The suite. `store` is an empty blockstore of the implementation under test."""

    @pytest.fixture
    def store(self) -> Blockstore:
        raise NotImplementedError

    def test_returns_what_was_put(self, store: Blockstore) -> None:
        blocks = [block(b""), block(b"a"), block(bytes(range(256)) * 4096)]
        store.put(blocks)
        for one in blocks:
            assert store.has(one.cid)
            assert store.get(one.cid) == one.data
            assert store.size(one.cid) == len(one.data)

    def test_misses_are_not_found(self, store: Blockstore) -> None:
        absent = CID.of(b"absent")
        assert not store.has(absent)
        for ask in (store.get, store.size):
            with pytest.raises(NotFound) as caught:
                ask(absent)
            assert not caught.value.permanent

    def test_finds_by_multihash_under_any_codec_and_version(self, store: Blockstore) -> None:
        node = block(b"\x0a\x02\x08\x01", DAG_PB)
        store.put([node])
        for alias in (CID.v1(RAW, node.cid.multihash), CID(node.cid.multihash)):
            assert store.get(alias) == node.data

    def test_putting_twice_is_putting_once(self, store: Blockstore) -> None:
        store.put([block(b"twice"), block(b"twice")])
        store.put([block(b"twice")])
        assert list(store.multihashes()) == [CID.of(b"twice").multihash]

    def test_lists_each_block_once(self, store: Blockstore) -> None:
        blocks = [block(bytes([n])) for n in range(50)]
        store.put(iter(blocks))
        assert sorted(store.multihashes()) == sorted(one.cid.multihash for one in blocks)

    def test_deletes_and_forgives_absence(self, store: Blockstore) -> None:
        store.put([block(b"one"), block(b"two")])
        store.delete([CID.of(b"one"), CID.of(b"never there")])
        assert not store.has(CID.of(b"one"))
        with pytest.raises(NotFound):
            store.get(CID.of(b"one"))
        assert store.get(CID.of(b"two")) == b"two"
        store.put([block(b"one")])
        assert store.get(CID.of(b"one")) == b"one"

    def test_nothing_to_put_or_delete_is_fine(self, store: Blockstore) -> None:
        store.put([])
        store.delete([])
        assert list(store.multihashes()) == []

    def test_threads_may_share_it(self, store: Blockstore) -> None:
        failures: list[BaseException] = []

        def work(worker: int) -> None:
            try:
                mine = [block(f"{worker}/{n}".encode()) for n in range(20)]
                store.put([*mine, block(b"shared")])
                if any(store.get(one.cid) != one.data for one in mine):
                    failures.append(AssertionError(f"worker {worker} read other bytes"))
            except Exception as error:  # noqa: BLE001 - handed to the test
                failures.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not failures
        assert len(list(store.multihashes())) == 4 * 20 + 1

    def test_a_location_holds_the_blocks_bytes(self, store: Blockstore) -> None:
        store.put([block(b"located" * 1000)])
        if not isinstance(store, Located):
            return
        for data in (b"located" * 1000, b"absent"):
            found = store.location(CID.of(data))
            if found is not None:
                with found.path.open("rb") as file:
                    file.seek(found.offset)
                    assert file.read(found.length) == data


def fill(store: Blockstore, blocks: Iterable[bytes]) -> list[CID]:
    """Put raw blocks and return their CIDs."""
    made = [block(data) for data in blocks]
    store.put(made)
    return [one.cid for one in made]
