"""The RPC client and the blockstore over it, against a real daemon."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest
from tests.ipfs import kubo as scratch
from tests.ipfs.conformance.blockstore import BlockstoreConformance, block

from dpip.ipfs import dagpb
from dpip.ipfs.blockstore import Blockstore
from dpip.ipfs.cid import CID, RAW
from dpip.ipfs.errors import NotFound
from dpip.ipfs.kubo.blockstore import KuboBlockstore
from dpip.ipfs.kubo.http import Refused
from dpip.ipfs.kubo.rpc import Kubo


@pytest.fixture
def rpc(kubo: scratch.Kubo) -> Iterator[Kubo]:
    with Kubo(kubo.api) as client:
        yield client


def test_version_and_identity(rpc: Kubo) -> None:
    assert rpc.version().startswith("0.")
    assert rpc.identity()["ID"]


def test_blocks_come_back_as_they_went(rpc: Kubo) -> None:
    cid = rpc.block_put(b"some bytes")
    assert cid == CID.of(b"some bytes")
    assert rpc.block_get(cid, offline=True) == b"some bytes"
    assert rpc.block_size(cid) == 10
    rpc.block_rm([cid])
    with pytest.raises(NotFound):
        rpc.block_get(cid, offline=True)


def test_a_dag_leaves_as_a_car_and_comes_back(kubo: scratch.Kubo, rpc: Kubo) -> None:
    data = bytes(range(256)) * 8192
    root = CID.parse(kubo.add(data, cid_version=1, raw_leaves=True))
    car = b"".join(rpc.dag_export(root))
    assert rpc.dag_import(lambda: [car[:1000], car[1000:]]) == [root]
    assert rpc.is_pinned(root)
    assert root in set(rpc.pins())
    rpc.pin_rm(root)
    assert not rpc.is_pinned(root)


def test_an_incomplete_car_is_refused(kubo: scratch.Kubo, rpc: Kubo) -> None:
    root = CID.parse(kubo.add(os.urandom(2_400_000), cid_version=1))
    car = b"".join(rpc.dag_export(root))
    leaves = [CID.v1(RAW, link.cid.multihash) for link in dagpb.decode(rpc.block_get(root)).links]
    rpc.block_rm(leaves)
    header_and_root = car[: len(car) - 2_000_000]
    with pytest.raises((NotFound, Refused)):
        rpc.dag_import(lambda: [header_and_root])


def test_pins_move_and_names_mount(rpc: Kubo) -> None:
    old, new = rpc.block_put(b"old"), rpc.block_put(b"new")
    rpc.pin_add(old, "head")
    rpc.pin_update(old, new)
    assert (rpc.is_pinned(old), rpc.is_pinned(new)) == (False, True)
    rpc.files_mkdir("/dpip")
    for cid in (old, new, new):
        rpc.files_replace(cid, "/dpip/index")
        assert rpc.files_stat("/dpip/index").cid == cid
    rpc.files_flush("/dpip")
    rpc.files_rm("/dpip")
    with pytest.raises(NotFound):
        rpc.files_stat("/dpip")
    rpc.files_rm("/dpip")


def test_keys_come_and_go(rpc: Kubo) -> None:
    key = rpc.key_gen(f"k{time.time_ns()}")
    cid = rpc.block_put(b"published")
    assert rpc.name_publish(cid, key.name) == key.id
    assert key in rpc.key_list()
    rpc.key_rm(key.name)
    assert key not in rpc.key_list()


class LessItsOwn(KuboBlockstore):
    """Does not list the empty directory that a daemon always holds."""

    def __init__(self, rpc: Kubo, own: bytes) -> None:
        super().__init__(rpc)
        self._own = own

    def multihashes(self) -> Iterator[bytes]:
        return (found for found in super().multihashes() if found != self._own)


class TestKuboBlockstore(BlockstoreConformance):
    """The same suite as every blockstore, in a daemon emptied before each test."""

    @pytest.fixture
    def store(self, rpc: Kubo) -> Blockstore:
        for cid in list(rpc.pins()):
            rpc.pin_rm(cid)
        root = rpc.files_stat("/").cid.multihash
        rpc.block_rm([cid for cid in rpc.refs_local() if cid.multihash != root])
        return LessItsOwn(rpc, root)

    def test_bytes_are_verified(self, store: Blockstore) -> None:
        one = block(b"right")
        store.put([one])
        assert store.get(one.cid) == b"right"
