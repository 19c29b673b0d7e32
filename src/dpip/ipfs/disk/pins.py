"""Pins: the roots that garbage collection must keep, with everything below them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..cid import CID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .index import Index


@dataclass(frozen=True, slots=True)
class Pin:
    """A root and the name that it is pinned under; one root may have several names."""

    cid: CID
    name: str


class Pins:
    """The pins of a store. All are recursive."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def add(self, cid: CID, name: str = "") -> None:
        """Keep `cid` and all below it; adding a pin twice is adding it once."""
        with self._index.write() as db:
            db.execute("INSERT OR IGNORE INTO pins VALUES (?, ?)", (cid.raw, name))

    def remove(self, cid: CID, name: str | None = None) -> bool:
        """Remove the pin of that name, or every pin of `cid`; say whether there was one."""
        named = "" if name is None else " AND name = ?"
        values = (cid.raw,) if name is None else (cid.raw, name)
        with self._index.write() as db:
            gone = db.execute(f"DELETE FROM pins WHERE cid = ?{named}", values)
            return gone.rowcount > 0

    def replace(self, name: str, cid: CID) -> None:
        """Make `cid` the only root pinned under `name`, in one step."""
        with self._index.write() as db:
            db.execute("DELETE FROM pins WHERE name = ?", (name,))
            db.execute("INSERT INTO pins VALUES (?, ?)", (cid.raw, name))

    def __iter__(self) -> Iterator[Pin]:
        rows = self._index.read("SELECT cid, name FROM pins ORDER BY name, cid").fetchall()
        return (Pin(CID(raw), name) for raw, name in rows)
