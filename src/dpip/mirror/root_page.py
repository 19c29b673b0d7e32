"""The list of all projects as a page of many leaves, of which a change rewrites one.

The page is cut after certain names: those whose hash ends in eight zero bits, one in 256. So
where it is cut depends on the names alone, not on the order in which they came; a leaf has
some 256 lines, however many projects there are and however alike their names; and a name
that comes or goes changes the leaf it is in, or, if the page is cut after it, two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.ipfs.hamt import key
from dpip.mirror.tree import Part, names_leaf, put_part, root_page

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.dagpb import Link

DDL = """
CREATE TABLE IF NOT EXISTS leaves (
  last TEXT PRIMARY KEY, cid BLOB NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID;
"""
ONE_IN = 256
END = "\U0010ffff"
"""Stands for the last name of the last leaf, which no cut ends."""


def is_cut(name: str) -> bool:
    """Say whether the page is cut after a name."""
    return key(name) % ONE_IN == 0


class RootPage:
    """The leaves of the page over the names in the table `published` of the same database.

    Works inside the caller's transaction.
    """

    def __init__(self, database: sqlite3.Connection, store: Blockstore) -> None:
        self._database = database
        self._store = store

    def update(self, changed: Iterable[str]) -> None:
        """Write the leaves of names that came or went, in name order."""
        if self._database.execute("SELECT 1 FROM leaves LIMIT 1").fetchone() is None:
            changed = [""]
        settled: str | None = None
        for name in changed:
            if settled is None or name > settled:
                settled = self._cut_anew(name)

    def write(self) -> Link:
        """Write the nodes that join the leaves and return the link to the page."""
        rows = self._database.execute("SELECT cid, length FROM leaves ORDER BY last")
        return root_page(self._store, [Part.of_row(*row) for row in rows])

    def _cut_anew(self, name: str) -> str:
        """Write leaves from the one that `name` is in to the next old cut; return that cut."""
        before, until = self._before(name), self._take(name)
        names: list[str] = []
        for (one,) in self._database.execute(
            "SELECT name FROM published WHERE name>? ORDER BY name", (before,)
        ):
            while one > until:
                # The name that ended the leaf is gone: it flows into the next one.
                until = self._take(until)
            names.append(one)
            if is_cut(one):
                self._put(one, names)
                before, names = one, []
                if one == until:
                    return until
        self._database.execute("DELETE FROM leaves WHERE last>?", (before,))
        if names:
            self._put(END, names)
        return END

    def _before(self, name: str) -> str:
        """Return the last cut before a name."""
        row = self._database.execute("SELECT max(last) FROM leaves WHERE last<?", (name,))
        last: str | None = row.fetchone()[0]
        return last or ""

    def _take(self, name: str) -> str:
        """Take out the leaf that a name is in; return its last name."""
        row = self._database.execute("SELECT min(last) FROM leaves WHERE last>=?", (name,))
        last: str = row.fetchone()[0] or END
        self._database.execute("DELETE FROM leaves WHERE last=?", (last,))
        return last

    def _put(self, last: str, names: list[str]) -> None:
        part = put_part(self._store, names_leaf(names))
        self._database.execute(
            "REPLACE INTO leaves VALUES (?,?,?)", (last, part.cid.raw, part.length)
        )
