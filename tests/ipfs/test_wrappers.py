from __future__ import annotations

import threading

import pytest
from tests.ipfs.conformance.blockstore import BlockstoreConformance, block

from dpip.ipfs.blockstore import Block, Blockstore, MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.ipfs.errors import HashMismatch, NotFound, Unavailable
from dpip.ipfs.gathering import Gathering
from dpip.ipfs.wrappers import Cached, Failover, SingleFlight, Verified


class TestVerified(BlockstoreConformance):
    @pytest.fixture
    def store(self) -> Blockstore:
        return Verified(MemoryBlockstore())

    def test_lets_no_wrong_bytes_through(self) -> None:
        liar = MemoryBlockstore([Block(CID.of(b"truth"), b"lie")])
        with pytest.raises(HashMismatch):
            Verified(liar).get(CID.of(b"truth"))
        with pytest.raises(HashMismatch):
            Verified(liar).put([Block(CID.of(b"other"), b"lie")])

    def test_identity_needs_no_store(self) -> None:
        store, cid = Verified(MemoryBlockstore()), CID.of(b"inline", hash_code=0)
        assert (store.get(cid), store.has(cid), store.size(cid)) == (b"inline", True, 6)


class TestCached(BlockstoreConformance):
    @pytest.fixture
    def store(self) -> Blockstore:
        return Cached(MemoryBlockstore(), 1000)

    def test_reads_once_and_forgets_the_least_recent(self) -> None:
        inner = Counting([block(b"a" * 60), block(b"b" * 60), block(b"c" * 200)])
        store = Cached(inner, 100)
        for data in (b"a" * 60, b"a" * 60, b"b" * 60, b"a" * 60, b"c" * 200, b"a" * 60):
            assert store.get(CID.of(data)) == data
        assert inner.reads == [60, 60, 60, 200]


class TestGathering(BlockstoreConformance):
    @pytest.fixture
    def store(self) -> Blockstore:
        return Gathering(MemoryBlockstore(), 1000)

    def test_writes_when_told_or_when_there_is_enough(self) -> None:
        inner = MemoryBlockstore()
        store = Gathering(inner, 100)
        store.put([block(b"a" * 60)])
        assert not inner.has(CID.of(b"a" * 60))
        store.put([block(b"b" * 60)])
        assert inner.has(CID.of(b"a" * 60))
        store.put([block(b"c")])
        store.flush()
        assert inner.get(CID.of(b"c")) == b"c"


class TestFailover(BlockstoreConformance):
    @pytest.fixture
    def store(self) -> Blockstore:
        return Failover([MemoryBlockstore(), MemoryBlockstore()])

    def test_passes_over_misses_failures_and_lies(self) -> None:
        liar = MemoryBlockstore([Block(CID.of(b"truth"), b"lie")])
        honest = MemoryBlockstore([block(b"truth")])
        assert (
            Failover([MemoryBlockstore(), Broken(), liar, honest]).get(CID.of(b"truth")) == b"truth"
        )
        with pytest.raises(HashMismatch):
            Failover([MemoryBlockstore(), liar]).get(CID.of(b"truth"))
        with pytest.raises(Unavailable):
            Failover([Broken(), MemoryBlockstore()]).get(CID.of(b"truth"))
        with pytest.raises(NotFound):
            Failover([honest]).get(CID.of(b"absent"))


class TestSingleFlight(BlockstoreConformance):
    @pytest.fixture
    def store(self) -> Blockstore:
        return SingleFlight(MemoryBlockstore())

    def test_asks_once_for_many(self) -> None:
        inner = Slow([block(b"wanted")])
        store = SingleFlight(inner)
        answers: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: answers.append(store.get(CID.of(b"wanted"))))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        assert inner.entered.wait(10)
        inner.go.set()
        for thread in threads:
            thread.join()
        assert answers == [b"wanted"] * 8
        assert len(inner.reads) < 8

    def test_everyone_gets_the_error_and_the_next_asks_anew(self) -> None:
        inner = MemoryBlockstore()
        store = SingleFlight(inner)
        with pytest.raises(NotFound):
            store.get(CID.of(b"late"))
        inner.put([block(b"late")])
        assert store.get(CID.of(b"late")) == b"late"


class Counting(MemoryBlockstore):
    def __init__(self, blocks: list[Block]) -> None:
        super().__init__(blocks)
        self.reads: list[int] = []

    def get(self, cid: CID) -> bytes:
        data = super().get(cid)
        self.reads.append(len(data))
        return data


class Slow(Counting):
    def __init__(self, blocks: list[Block]) -> None:
        super().__init__(blocks)
        self.entered, self.go = threading.Event(), threading.Event()

    def get(self, cid: CID) -> bytes:
        self.entered.set()
        assert self.go.wait(10)
        return super().get(cid)


class Broken(MemoryBlockstore):
    def get(self, cid: CID) -> bytes:
        raise Unavailable("down")
