from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.ipfs.directory import Directory
from dpip.ipfs.errors import NotFound
from dpip.ipfs.walk import difference, walk


def put(store: MemoryBlockstore, data: bytes) -> CID:
    cid = CID.of(data)
    store.put([Block(cid, data)])
    return cid


def tree(store: MemoryBlockstore, names: dict[str, bytes]) -> CID:
    inner, outer = Directory(store), Directory(store)
    for name, data in names.items():
        into = inner if name.startswith("a") else outer
        into.set(name, put(store, data), len(data))
    link = inner.write()
    outer.set("inner", link.cid, link.tsize)
    return outer.write().cid


def test_a_walk_visits_each_block_once_and_misses_nothing() -> None:
    store = MemoryBlockstore()
    root = tree(store, {"a": b"1", "a2": b"1", "b": b"2"})
    found = [block.cid for block in walk(store, root)]
    assert len(found) == len(set(found)) == 4
    assert found[0] == root
    store.delete([CID.of(b"1")])
    with pytest.raises(NotFound):
        list(walk(store, root))


NAMES = st.dictionaries(st.sampled_from(["a1", "a2", "a3", "b1", "b2"]), st.binary(max_size=2))


@settings(max_examples=60, deadline=None)
@given(before=NAMES, after=NAMES)
def test_the_difference_completes_what_is_held(
    before: dict[str, bytes], after: dict[str, bytes]
) -> None:
    store = MemoryBlockstore()
    held, root = tree(store, before), tree(store, after)
    receiver = MemoryBlockstore(walk(store, held))
    sent = list(difference(store, root, held))
    receiver.put(sent)
    assert {b.cid for b in walk(receiver, root)} == {b.cid for b in walk(store, root)}
    if before == after:
        assert sent == []


def test_the_difference_is_as_small_as_the_change() -> None:
    store = MemoryBlockstore()
    names = {f"{letter}{n}": b"%d" % n for letter in "ab" for n in range(40)}
    held = tree(store, names)
    sent = list(difference(store, tree(store, {**names, "b7": b"new"}), held))
    assert len(sent) == 2
