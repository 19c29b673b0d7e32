from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from dpip.ipfs import dagpb, hamt, unixfs
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID, IDENTITY, RAW
from dpip.ipfs.directory import Directory
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.ipfs.errors import InvalidBlock, InvalidPath
from dpip.ipfs.profiles import UNIXFS_V0_2015, UNIXFS_V1_2025

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from dpip.ipfs.dagpb import Link

SMALL = UNIXFS_V1_2025.__class__(
    "small", 1, "size-1024", raw_leaves=True, max_links=4, hamt_threshold=300
)


def filled(names: Iterable[str], store: MemoryBlockstore | None = None) -> Directory:
    directory = Directory(MemoryBlockstore() if store is None else store, SMALL)
    for name in names:
        directory.set(name, CID.of(name.encode()), 1)
    return directory


class Churn(RuleBasedStateMachine):
    """However a directory came to its entries, it is the one made from them at once."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemoryBlockstore()
        self.directory = filled([], self.store)
        self.expected: dict[str, CID] = {}

    @rule(name=st.sampled_from([f"name-{n}" for n in range(40)]), data=st.binary(max_size=2))
    def set(self, name: str, data: bytes) -> None:
        self.expected[name] = CID.of(data)
        self.directory.set(name, CID.of(data), 1)

    @rule(number=st.integers(0, 1000))
    def remove(self, number: int) -> None:
        if not self.expected:
            with pytest.raises(InvalidPath):
                self.directory.remove("absent")
            return
        name = sorted(self.expected)[number % len(self.expected)]
        del self.expected[name]
        self.directory.remove(name)

    @rule()
    def reload(self) -> None:
        root = self.directory.write()
        self.directory = Directory.load(self.store, root.cid, SMALL, root.tsize)

    @invariant()
    def has_the_entries(self) -> None:
        found = {link.name: link.cid for link in self.directory.entries()}
        assert found == self.expected
        assert self.directory.get("absent") is None

    def teardown(self) -> None:
        fresh = Directory(MemoryBlockstore(), SMALL)
        for name in sorted(self.expected, reverse=True):
            fresh.set(name, self.expected[name], 1)
        assert self.directory.write() == fresh.write()
        super().teardown()


TestChurn = Churn.TestCase


@given(
    st.sets(
        st.text(st.characters(blacklist_characters="/", codec="utf-8"), min_size=1), max_size=40
    )
)
def test_lookup_finds_each_entry_and_no_other(names: set[str]) -> None:
    names -= {".", ".."}
    store = MemoryBlockstore()
    root = filled(names, store).write()
    entry = unixfs.read(root.cid, store.get(root.cid))
    if entry.kind is not unixfs.Kind.HAMT:
        return

    def load(cid: CID) -> unixfs.Entry:
        return unixfs.read(cid, store.get(cid))

    for name in names:
        found, _ = hamt.lookup(load, entry, name)
        assert found is not None
        assert found.cid == CID.of(name.encode())
    assert hamt.lookup(load, entry, "absent name")[0] is None
    assert {link.name for link in hamt.entries(load, entry)} == names


def test_one_change_in_many_writes_only_its_path() -> None:
    store = MemoryBlockstore()
    directory = filled((f"file-{n}" for n in range(5000)), store)
    root = directory.write()
    before = len(store)
    again = Directory.load(store, root.cid, SMALL, root.tsize)
    again.set("file-77", CID.of(b"changed"), 1)
    assert again.get("file-77") == again.get("file-77")
    changed = again.write()
    assert changed.cid != root.cid
    assert len(store) - before <= 3
    again.set("file-77", CID.of(b"file-77"), 1)
    assert again.write() == root


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_one_change_in_a_million_writes_three_blocks(tmp_path: Path) -> None:
    """The acceptance case: a directory of a million entries, one replaced, one removed."""
    store, leaf = DiskBlockstore(tmp_path / "store"), CID.of(b"leaf")
    directory = Directory(store)
    for number in range(1_000_000):
        directory.set(f"package-{number}", leaf, 100)
    root = directory.write()
    for change in ("set", "remove"):
        before = sum(1 for _ in store.multihashes())
        again = Directory.load(store, root.cid, tsize=root.tsize)
        if change == "set":
            again.set("package-77", CID.of(b"changed"), 1)
        else:
            again.remove("package-77")
        again.write()
        assert 2 <= sum(1 for _ in store.multihashes()) - before <= 3
    store.close()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_refuses_names_that_are_no_names(name: str) -> None:
    with pytest.raises(InvalidPath):
        filled([]).set(name, CID.of(b""), 0)


def test_empty_directories() -> None:
    for profile, expected in (
        (UNIXFS_V0_2015, "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
        (UNIXFS_V1_2025, "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"),
    ):
        assert str(Directory(MemoryBlockstore(), profile).write().cid) == expected


def test_a_file_is_no_directory() -> None:
    store = MemoryBlockstore([Block(CID.of(b"file"), b"file")])
    with pytest.raises(InvalidBlock):
        Directory.load(store, CID.of(b"file"))


def links(found: Iterable[Link]) -> list[str]:
    return [link.name for link in found]


def test_plain_entries_come_by_name() -> None:
    assert links(filled(["b", "a", "ä"]).entries()) == ["a", "b", "ä"]


@given(
    st.sets(st.text("abcdefgh", min_size=1, max_size=3), min_size=20, max_size=300),
    st.sampled_from([0, 1, 60]),
)
def test_sizes_of_shards_never_promise_too_much(names: set[str], length: int) -> None:
    cids = {name: CID.of(name.encode()[:length], RAW, IDENTITY) for name in names}
    links = [dagpb.Link(cid, name, length) for name, cid in cids.items()]
    blocks: list[Block] = []
    shard = hamt.build(links, lambda cid: unixfs.read(cid, b""))
    root = shard.write(1, blocks)
    store = MemoryBlockstore(blocks)
    stored = hamt.Shard.of(unixfs.read(root.cid, store.get(root.cid)), root)
    plain = sum(dagpb.link_size(len(ln.name), len(ln.cid.raw), 1) for ln in links)
    assert sum(stored.least(lambda cids: [store.size(cid) for cid in cids])) <= plain


def test_a_large_directory_is_known_to_stay_sharded_without_reading_it() -> None:
    read: list[CID] = []

    class Reading(MemoryBlockstore):
        def get(self, cid: CID) -> bytes:
            read.append(cid)
            return super().get(cid)

        def size(self, cid: CID) -> int:
            return len(super().get(cid))

    store = Reading()
    root = filled((f"file-{n}" for n in range(2000)), store).write()
    again = Directory.load(store, root.cid, SMALL, root.tsize)
    again.remove("file-7")
    read.clear()
    again.write()
    assert not read
