from __future__ import annotations

import random

import pytest
from tests.ipfs.archive import made
from tests.ipfs.conformance.blockstore import BlockstoreConformance
from tests.ipfs.disk.conftest import Adder, Clock

from dpip.ipfs.archive import content
from dpip.ipfs.cid import CID
from dpip.ipfs.disk import hot
from dpip.ipfs.disk.archives import Archives
from dpip.ipfs.disk.leaves import WithLeaves

WHEEL = made.wheel({**made.PACKAGE, "demo/large.txt": random.Random(11).randbytes(2_500_000)})


class TestConformance(BlockstoreConformance):
    @pytest.fixture
    def store(self, archives: Archives) -> WithLeaves:
        return WithLeaves(archives)


@pytest.mark.parametrize("cold", [False, True])
def test_the_published_file_reads_as_the_archive(
    add: Adder, archives: Archives, clock: Clock, cold: bool
) -> None:
    archive = add(WHEEL)
    if cold:
        clock.now += 1000
        assert hot.trim(archives, 0).dropped == 1
    store = WithLeaves(archives)
    assert b"".join(content.read(store.get, archive.root)) == WHEEL


def test_leaves_are_cut_at_members_and_never_over_a_mebibyte(
    add: Adder, archives: Archives
) -> None:
    store = WithLeaves(archives)
    leaves = list(archives.leaf_cids(add(WHEEL)))
    assert max(store.size(cid) for cid in leaves) <= 2**20
    assert sum(store.size(cid) for cid in leaves) == len(WHEEL)
    assert len(leaves) > 6


def test_leaves_count_as_blocks_but_are_not_stored(add: Adder, archives: Archives) -> None:
    archive = add(WHEEL)
    store = WithLeaves(archives)
    everything = list(store.multihashes())
    assert len(everything) == len(set(everything))
    for cid in archives.leaf_cids(archive):
        assert store.has(cid)
        assert cid.multihash in everything
        assert not archives.store.has(cid)


def test_location_points_into_the_whole_archive(
    add: Adder, archives: Archives, clock: Clock
) -> None:
    archive = add(WHEEL)
    store = WithLeaves(archives)
    (first, *_) = archives.leaf_cids(archive)
    found = store.location(first)
    assert found is not None
    data = found.path.read_bytes()[found.offset : found.offset + found.length]
    assert CID.of(data) == first
    clock.now += 1000
    hot.trim(archives, 0)
    assert store.location(first) is None
