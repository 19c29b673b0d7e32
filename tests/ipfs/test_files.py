from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.ipfs import dag, dagpb, files, unixfs
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID, DAG_PB
from dpip.ipfs.dagpb import Link, Node
from dpip.ipfs.errors import InvalidBlock, InvalidPath, NotFound
from dpip.ipfs.importer import File, FileHasher
from dpip.ipfs.profiles import profile

DATA = hashlib.shake_128(b"file").digest(1000)


def stored(data: bytes, *, raw: bool) -> tuple[MemoryBlockstore, File]:
    store = MemoryBlockstore()
    chosen = profile(chunker="size-16", max_links=3, raw_leaves=raw)
    hasher = FileHasher(chosen, lambda block: store.put([block]))
    hasher.update(data)
    return store, hasher.finish()


class Counting(MemoryBlockstore):
    """A memory store that counts what is read from it."""

    reads = 0

    def get(self, cid: CID) -> bytes:
        self.reads += 1
        return super().get(cid)


@given(st.integers(0, 1000), st.integers(0, 1100), st.none() | st.integers(0, 1100), st.booleans())
def test_any_range_of_any_file(size: int, start: int, stop: int | None, raw: bool) -> None:
    store, file = stored(DATA[:size], raw=raw)
    assert files.size(store, file.cid) == size
    assert b"".join(files.read(store, file.cid, start, stop)) == DATA[:size][start:stop]


@pytest.mark.parametrize("raw", [True, False])
def test_a_range_reads_only_its_path(raw: bool) -> None:
    full, file = stored(DATA, raw=raw)
    store = Counting(
        Block(CID.v1(0x55, key), full.get(CID.v1(0x55, key))) for key in full.multihashes()
    )
    assert b"".join(files.read(store, file.cid, 500, 501)) == DATA[500:501]
    assert store.reads <= 6


def test_extents_of_raw_leaves_are_found_without_reading_them() -> None:
    store, file = stored(DATA, raw=True)
    store.delete(leaf.cid for leaf in file.leaves)
    found = list(files.extents(store, file.cid, 10, 40))
    assert [(extent.offset, extent.length) for extent in found] == [(10, 6), (0, 16), (0, 8)]
    with pytest.raises(NotFound):
        files.content(store, found[0])


def lying(
    size: int, blocksizes: tuple[int, ...], child: bytes = b"child"
) -> tuple[MemoryBlockstore, CID]:
    leaf = Block(CID.of(child), child)
    data = unixfs.encode(unixfs.Data(unixfs.Kind.FILE, filesize=size, blocksizes=blocksizes))
    block = dagpb.encode(Node((Link(leaf.cid, "", 5),), data))
    root = Block(CID.of(block, DAG_PB), block)
    return MemoryBlockstore([leaf, root]), root.cid


@pytest.mark.parametrize(("size", "sizes"), [(5, (6,)), (6, (6,)), (5, (5, 5)), (9, (5,))])
def test_a_file_that_contradicts_itself_is_refused(size: int, sizes: tuple[int, ...]) -> None:
    store, cid = lying(size, sizes)
    with pytest.raises(InvalidBlock):
        b"".join(files.read(store, cid))


def test_a_directory_is_no_file() -> None:
    block = Block(CID.of(b"\x0a\x02\x08\x01", DAG_PB), b"\x0a\x02\x08\x01")
    with pytest.raises(InvalidPath):
        files.size(MemoryBlockstore([block]), block.cid)


def test_an_identity_cid_is_its_own_file() -> None:
    cid = CID.of(b"inline", hash_code=0)
    assert dag.get(MemoryBlockstore(), cid) == b"inline"
    assert b"".join(files.read(MemoryBlockstore(), cid)) == b"inline"
