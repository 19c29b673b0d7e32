from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from dpip.ipfs.blockstore import MemoryBlockstore
from dpip.ipfs.changed import changed_entries
from dpip.ipfs.cid import CID
from dpip.ipfs.directory import Directory
from dpip.ipfs.profiles import UNIXFS_V1_2025

SMALL = UNIXFS_V1_2025.__class__(
    "small", 1, "size-1024", raw_leaves=True, max_links=4, hamt_threshold=300
)


class Counting(MemoryBlockstore):
    """Counts what is read."""

    reads = 0

    def get(self, cid: CID) -> bytes:
        self.reads += 1
        return super().get(cid)


def written(store: MemoryBlockstore, entries: dict[str, int]) -> CID:
    directory = Directory(store, SMALL)
    for name, value in entries.items():
        directory.set(name, CID.of(str(value).encode()), 1)
    return directory.write().cid


def truth(old: dict[str, int], new: dict[str, int]) -> set[str]:
    return {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}


contents = st.dictionaries(st.sampled_from([f"name-{n}" for n in range(60)]), st.integers(0, 2))


@settings(max_examples=60, deadline=None)
@given(old=contents, new=contents)
def test_nothing_that_changed_is_left_out(old: dict[str, int], new: dict[str, int]) -> None:
    store = MemoryBlockstore()
    found = set(changed_entries(store, written(store, old), written(store, new)))
    assert truth(old, new) <= found <= old.keys() | new.keys()
    if old == new:
        assert not found


def test_a_large_directory_costs_what_has_changed() -> None:
    store = Counting()
    old = {f"project-{number}": number for number in range(3_000)}
    new = {**old, "project-7": -1, "another": 1}
    del new["project-9"]
    before, after = written(store, old), written(store, new)
    store.reads = 0
    found = set(changed_entries(store, before, after))
    assert truth(old, new) <= found
    assert len(found) < 20
    assert store.reads < 40
