"""Pins: the roots that garbage collection must keep, with everything below them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cid import CID
from .journal import Pinned, Unpinned

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .store import DiskBlockstore

# In the words of the index over names, which then is used.
_DROP_NAMED = "DELETE FROM pins WHERE name = ? AND name <> 'archive'"


@dataclass(frozen=True, slots=True)
class Pin:
    """A root and the name that it is pinned under; one root may have several names."""

    cid: CID
    name: str


class Pins:
    """The pins of a store. All are recursive."""

    def __init__(self, store: DiskBlockstore) -> None:
        self._index, self._journal = store.index, store.journal

    def add(self, cid: CID, name: str = "") -> None:
        """Keep `cid` and all below it; adding a pin twice is adding it once."""
        with self._index.write() as db:
            added = db.execute("INSERT OR IGNORE INTO pins VALUES (?, ?)", (cid.raw, name))
            if added.rowcount:
                self._journal.write(Pinned(str(cid), name))

    def remove(self, cid: CID, name: str | None = None) -> bool:
        """Remove the pin of that name, or every pin of `cid`; say whether there was one."""
        named = "" if name is None else " AND name = ?"
        values = (cid.raw,) if name is None else (cid.raw, name)
        with self._index.write() as db:
            gone = db.execute(f"DELETE FROM pins WHERE cid = ?{named}", values)
            if gone.rowcount:
                self._journal.write(Unpinned(str(cid), name))
            return gone.rowcount > 0

    def replace(self, name: str, cid: CID) -> None:
        """Make `cid` the only root pinned under `name`, in one step."""
        with self._index.write() as db:
            db.execute(_DROP_NAMED, (name,))
            db.execute("INSERT INTO pins VALUES (?, ?)", (cid.raw, name))
            self._journal.write(Unpinned(None, name), Pinned(str(cid), name))

    def clear(self, name: str) -> None:
        """Remove every pin of a name; costs what those cost."""
        with self._index.write() as db:
            if db.execute(_DROP_NAMED, (name,)).rowcount:
                self._journal.write(Unpinned(None, name))

    def __iter__(self) -> Iterator[Pin]:
        rows = self._index.read("SELECT cid, name FROM pins ORDER BY name, cid").fetchall()
        return (Pin(CID(raw), name) for raw, name in rows)
