"""DAGs that somebody built to hurt: too deep, too many, the same name for ever."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dpip.ipfs import dag, dagpb, files, hamt, selection, unixfs, walk
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID, DAG_PB
from dpip.ipfs.errors import InvalidBlock, IpfsError, LimitExceeded
from dpip.ipfs.gateway import tar

if TYPE_CHECKING:
    from collections.abc import Callable

DEEP = 3000
LEAF = CID.of(b"x")


def node(store: MemoryBlockstore, data: unixfs.Data, *links: dagpb.Link) -> CID:
    raw = dagpb.encode(dagpb.Node(links, unixfs.encode(data)))
    block = Block(CID.of(raw, DAG_PB), raw)
    store.put([block])
    return block.cid


def deep_file(store: MemoryBlockstore) -> CID:
    cid = LEAF
    for _ in range(DEEP):
        data = unixfs.Data(unixfs.Kind.FILE, filesize=1, blocksizes=(1,))
        cid = node(store, data, dagpb.Link(cid, "", 1))
    return cid


def deep_directory(store: MemoryBlockstore) -> CID:
    cid = LEAF
    for _ in range(DEEP):
        cid = node(store, unixfs.Data(unixfs.Kind.DIRECTORY), dagpb.Link(cid, "d", 1))
    return cid


def deep_shards(store: MemoryBlockstore) -> CID:
    """Shards nested in shards, far deeper than a 64-bit hash can lead."""
    cid, name = LEAF, "00x"
    for _ in range(DEEP):
        data = unixfs.Data(unixfs.Kind.HAMT, b"\x01", hash_type=0x22, fanout=256)
        cid, name = node(store, data, dagpb.Link(cid, name, 1)), "00"
    return cid


@pytest.fixture
def store() -> MemoryBlockstore:
    return MemoryBlockstore([Block(LEAF, b"x")])


def loader(store: MemoryBlockstore) -> Callable[[CID], unixfs.Entry]:
    return lambda cid: dag.load(store, cid)


def test_a_file_too_deep_is_not_read(store: MemoryBlockstore) -> None:
    cid = deep_file(store)
    with pytest.raises(LimitExceeded):
        b"".join(files.read(store, cid))
    with pytest.raises(LimitExceeded):
        list(selection.select(store, dag.resolve(store, cid, []), "entity"))
    with pytest.raises(LimitExceeded):
        list(selection.select(store, dag.resolve(store, cid, []), "all"))


def test_a_tree_too_deep_becomes_no_tar(store: MemoryBlockstore) -> None:
    cid = deep_directory(store)
    with pytest.raises(LimitExceeded):
        list(tar.members(store, cid, dag.load(store, cid), str(cid)))


def test_shards_too_deep_are_no_directory(store: MemoryBlockstore) -> None:
    cid = deep_shards(store)
    with pytest.raises(IpfsError):
        list(hamt.entries(loader(store), dag.load(store, cid)))
    with pytest.raises(LimitExceeded):
        list(selection.select(store, dag.resolve(store, cid, []), "entity"))
    with pytest.raises(IpfsError):
        dag.resolve(store, cid, ["no such name"])


def test_a_walk_has_an_end(store: MemoryBlockstore, monkeypatch: pytest.MonkeyPatch) -> None:
    cid = deep_directory(store)
    assert sum(1 for _ in walk.walk(store, cid)) == DEEP + 1
    monkeypatch.setattr(walk, "MAX_BLOCKS", 100)
    with pytest.raises(LimitExceeded):
        list(walk.walk(store, cid))


def test_two_names_with_one_hash_are_refused(
    store: MemoryBlockstore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hamt, "key", lambda name: 7)
    shard = hamt.Shard()
    shard.set(loader(store), dagpb.Link(LEAF, "one", 1))
    with pytest.raises(LimitExceeded):
        shard.set(loader(store), dagpb.Link(LEAF, "other", 1))


@pytest.mark.parametrize("fanout", [0, 3, 2048, 1 << 40])
def test_a_shard_of_a_strange_width_is_refused(store: MemoryBlockstore, fanout: int) -> None:
    data = unixfs.Data(unixfs.Kind.HAMT, b"\x01", hash_type=0x22, fanout=fanout)
    cid = node(store, data, dagpb.Link(LEAF, "00x", 1))
    with pytest.raises(InvalidBlock):
        list(hamt.entries(loader(store), dag.load(store, cid)))


def test_many_links_cost_what_they_take(store: MemoryBlockstore) -> None:
    """The links of a block are bounded by the block, which is bounded where it comes in."""
    links = [dagpb.Link(LEAF, "", 1)] * 40_000
    data = unixfs.Data(unixfs.Kind.FILE, filesize=40_000, blocksizes=(1,) * 40_000)
    cid = node(store, data, *links)
    assert b"".join(files.read(store, cid)) == b"x" * 40_000
    assert len(store.get(cid)) < dagpb.MAX_BLOCK
