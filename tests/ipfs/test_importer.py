"""CIDs as IPIP-499 and Kubo's own tests print them; contents by ChaCha20 as those define."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID, verify
from dpip.ipfs.importer import File, FileHasher
from dpip.ipfs.profiles import UNIXFS_V0_2015, UNIXFS_V1_2025, Profile, profile

HELLO = b"hello world"


def add(
    data: bytes, chosen: Profile, step: int = 1 << 20, store: MemoryBlockstore | None = None
) -> File:
    hasher = FileHasher(chosen, None if store is None else lambda block: store.put([block]))
    for at in range(0, len(data), step):
        hasher.update(data[at : at + step])
    return hasher.finish()


@pytest.mark.parametrize(
    ("data", "chosen", "cid"),
    [
        (HELLO, UNIXFS_V1_2025, "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"),
        (HELLO, UNIXFS_V0_2015, "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"),
        (b"", UNIXFS_V1_2025, "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
        (b"", UNIXFS_V0_2015, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
    ],
)
def test_small_files(data: bytes, chosen: Profile, cid: str) -> None:
    assert str(add(data, chosen).cid) == cid


@given(st.integers(0, 300), st.integers(1, 64), st.integers(2, 5), st.booleans())
def test_any_read_size_gives_one_dag(size: int, step: int, width: int, raw: bool) -> None:
    data = bytes(n * 7 % 251 for n in range(size))
    chosen = profile(chunker="size-16", max_links=width, raw_leaves=raw)
    store = MemoryBlockstore()
    file = add(data, chosen, step, store)
    assert file.cid == add(data, chosen, 1000).cid
    assert file.size == size
    assert b"".join(data[ln.offset : ln.offset + ln.length] for ln in file.leaves) == data
    everything = [CID.v1(0x55, multihash) for multihash in store.multihashes()]
    assert all(verify(cid, store.get(cid)) is not None for cid in everything)
    assert {node.cid.multihash for node in file.nodes} <= {cid.multihash for cid in everything}


def test_sink_gets_leaves_in_order_and_parents_last() -> None:
    seen: list[Block] = []
    hasher = FileHasher(profile(chunker="size-4"), seen.append)
    hasher.update(b"abcdefghij")
    file = hasher.finish()
    assert [block.data for block in seen[:3]] == [b"abcd", b"efgh", b"ij"]
    assert seen[-1].cid == file.cid
    assert file.tsize == sum(len(block.data) for block in seen)
