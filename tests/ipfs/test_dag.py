from __future__ import annotations

import pytest

from dpip.ipfs import dag, dagcbor
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID, DAG_CBOR, DAG_JSON
from dpip.ipfs.directory import Directory
from dpip.ipfs.errors import InvalidBlock, InvalidPath, LimitExceeded, NoLink, NotFound
from dpip.ipfs.profiles import UNIXFS_V1_2025
from dpip.ipfs.selection import ByteRange, Scope, select

SHARDED = UNIXFS_V1_2025.__class__("s", 1, "size-9", raw_leaves=True, max_links=9, hamt_threshold=0)
HELLO = CID.of(b"hello")


def tree(profile: object = UNIXFS_V1_2025) -> tuple[MemoryBlockstore, CID]:
    """Return /sub/hello in directories of that profile."""
    assert isinstance(profile, type(UNIXFS_V1_2025))
    store = MemoryBlockstore([Block(HELLO, b"hello")])
    sub = Directory(store, profile)
    sub.set("hello", HELLO, 5)
    sub.set("other", CID.of(b"missing"), 7)
    below = sub.write()
    top = Directory(store, profile)
    top.set("sub", below.cid, below.tsize)
    return store, top.write().cid


@pytest.mark.parametrize("profile", [UNIXFS_V1_2025, SHARDED])
def test_paths_go_through_directories(profile: object) -> None:
    store, root = tree(profile)
    found = dag.resolve(store, root, ["sub", "hello"])
    assert found.cid == HELLO
    assert len(found.roots) == 3
    assert found.before[0] == root
    for missing in (["nope"], ["sub", "nope"], ["sub", "hello", "deeper"]):
        with pytest.raises(NoLink):
            dag.resolve(store, root, missing)
    with pytest.raises(NotFound):
        dag.resolve(store, root, ["sub", "other", "x"])


def test_paths_go_through_cbor_and_json() -> None:
    json_block = b'{"list":[{"/":"%s"},1]}' % str(HELLO).encode()
    json_cid = CID.of(json_block, DAG_JSON)
    cbor = dagcbor.encode({"a": {"link": json_cid, "n": 1}})
    root = CID.of(cbor, DAG_CBOR)
    store = MemoryBlockstore(
        [Block(root, cbor), Block(json_cid, json_block), Block(HELLO, b"hello")]
    )
    assert dag.resolve(store, root, ["a", "link", "list", "0"]).cid == HELLO
    assert dag.resolve(store, root, ["a", "n"]).remainder == ("a", "n")
    for missing in (["b"], ["a", "link", "list", "7"], ["a", "n", "x"]):
        with pytest.raises(NoLink):
            dag.resolve(store, root, missing)
    assert dag.children(root, cbor) == [json_cid]
    assert [block.cid for block in select(store, dag.Resolved(root, (root,)))] == [
        root,
        json_cid,
        HELLO,
    ]


def test_split_reads_content_paths() -> None:
    assert dag.split(f"/ipfs/{HELLO}//a/b/") == (HELLO, ("a", "b"))
    for path in ("", "/ipfs/", "/ipfs/nope/a", "/ipns/x"):
        with pytest.raises(InvalidPath):
            dag.split(path)
    with pytest.raises(LimitExceeded):
        dag.split(f"{HELLO}" + "/a" * 1000)


@pytest.mark.parametrize("data", [b"{", b'{"/":"nope"}', b"[" * 100_000])
def test_broken_json_is_an_invalid_block(data: bytes) -> None:
    with pytest.raises(InvalidBlock):
        dag.read_json(data)


@pytest.mark.parametrize(("scope", "count"), [("block", 3), ("entity", 3), ("all", 3)])
def test_scopes_of_a_path(scope: Scope, count: int) -> None:
    store, root = tree()
    blocks = list(select(store, dag.resolve(store, root, ["sub", "hello"]), scope))
    assert len(blocks) == count
    assert blocks[-1].data == b"hello"


def test_a_missing_block_ends_the_selection() -> None:
    store, root = tree()
    with pytest.raises(NotFound):
        list(select(store, dag.resolve(store, root, [])))
    assert len(list(select(store, dag.resolve(store, root, []), "entity"))) == 1


@pytest.mark.parametrize(
    ("text", "size", "expected"),
    [
        ("0:*", 10, (0, 10)),
        ("2:4", 10, (2, 5)),
        ("-4:*", 10, (6, 10)),
        ("-400:*", 10, (0, 10)),
        ("4:-2", 10, (4, 9)),
        ("0:99", 10, (0, 10)),
        ("20:30", 10, (20, 10)),
    ],
)
def test_byte_ranges(text: str, size: int, expected: tuple[int, int]) -> None:
    assert ByteRange.parse(text).within(size) == expected
