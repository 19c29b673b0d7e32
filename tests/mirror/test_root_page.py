"""The page of all names is what it would be if it were written at once, whatever came before."""

from __future__ import annotations

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpip.ipfs import files
from dpip.ipfs.blockstore import MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.mirror import root_page
from dpip.mirror.root_page import DDL, RootPage, is_cut
from dpip.mirror.tree import HEAD, TAIL, names_leaf

NAMES = [f"{stem}-{number}" for stem in ("a", "python", "zz") for number in range(400)]


class Listing:
    def __init__(self) -> None:
        self.store = MemoryBlockstore()
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.database.executescript(DDL + "CREATE TABLE published (name TEXT PRIMARY KEY)")
        self.page = RootPage(self.database, self.store)

    def change(self, come: set[str], go: set[str]) -> CID:
        for name in come:
            self.database.execute("INSERT OR IGNORE INTO published VALUES (?)", (name,))
        for name in go:
            self.database.execute("DELETE FROM published WHERE name=?", (name,))
        self.page.update(sorted(come | go))
        return self.page.write().cid

    def leaves(self) -> list[tuple[str, bytes]]:
        return self.database.execute("SELECT last, cid FROM leaves ORDER BY last").fetchall()

    def text(self, cid: CID) -> bytes:
        return b"".join(files.read(self.store, cid))


def at_once(names: set[str]) -> Listing:
    listing = Listing()
    listing.change(names, set())
    return listing


@given(
    first=st.sets(st.sampled_from(NAMES)),
    rounds=st.lists(
        st.tuples(st.sets(st.sampled_from(NAMES)), st.sets(st.sampled_from(NAMES))), max_size=4
    ),
    often=st.sampled_from([2, 16]),
)
@settings(max_examples=60, deadline=None)
def test_leaves_depend_on_the_names_alone(
    first: set[str], rounds: list[tuple[set[str], set[str]]], often: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(root_page, "ONE_IN", often)
        listing, names = at_once(first), set(first)
        cid = listing.page.write().cid
        for wanted, unwanted in rounds:
            # Only what truly changes is told, as a publisher does.
            come, go = wanted - names, (unwanted & names) - wanted
            cid = listing.change(come, go)
            names = (names | come) - go
        assert listing.text(cid) == HEAD + names_leaf(sorted(names)) + TAIL
        assert listing.leaves() == at_once(names).leaves()


def test_one_name_changes_one_leaf_or_two() -> None:
    names = {f"python-{number}" for number in range(5000)}
    listing = at_once(names)
    before = dict(listing.leaves())
    assert 10 < len(before) < 40
    plain = next(name for name in sorted(names)[1000:] if not is_cut(name))
    cut = next(name for name in sorted(names)[2000:] if is_cut(name))
    listing.change(set(), {plain})
    without = dict(listing.leaves())
    assert len(before.items() - without.items()) == 1
    listing.change(set(), {cut})
    assert len(without.items() - dict(listing.leaves()).items()) == 2
