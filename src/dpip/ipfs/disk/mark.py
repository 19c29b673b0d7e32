"""What the pins reach: every multihash below a pinned root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cid import CID, DAG_CBOR, DAG_PB
from ..dag import children
from ..errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Collection

    from .index import Index
    from .store import DiskBlockstore

NODES = frozenset({DAG_PB, DAG_CBOR})


class Marks:
    """The set of reached multihashes; grows with the pins, never shrinks.

    Pins of a name in `ignored` do not count, nor do those whose (root, name) is in `released`.
    """

    def __init__(
        self,
        store: DiskBlockstore,
        ignored: frozenset[str] = frozenset(),
        released: Collection[tuple[CID, str]] = (),
    ) -> None:
        self._store, self._ignored = store, ignored
        self._released = {(root.raw, name) for root, name in released}
        self._changes = -1
        self._pinned: set[bytes] = set()
        self.seen: set[bytes] = set()
        self.missing: set[CID] = set()

    def is_current(self) -> bool:
        """Say whether no pin was added since the last `update`."""
        return self._changes == changes(self._store.index)

    def update(self) -> None:
        """Mark what the pins of this moment reach, if pins were added since the last time."""
        index = self._store.index
        now = changes(index)
        if now == self._changes:
            return
        for raw, name in index.read("SELECT cid, name FROM pins").fetchall():
            if raw in self._pinned or name in self._ignored or (raw, name) in self._released:
                continue
            self._pinned.add(raw)
            self.keep(CID(raw))
        self._changes = now

    def keep(self, root: CID) -> list[bytes]:
        """Mark `root` and all below it; return what was not marked before."""
        stack, new = [root], []
        while stack:
            cid = stack.pop()
            if cid.multihash in self.seen:
                continue
            self.seen.add(cid.multihash)
            new.append(cid.multihash)
            stack += self._other_side(cid)
            if cid.codec not in NODES:
                continue
            try:
                stack += children(cid, self._store.get(cid))
            except NotFound:
                self.missing.add(cid)
        return new

    def _other_side(self, cid: CID) -> list[CID]:
        """Return the recipe of a published file, the published file of a recipe."""
        raw = cid.to_v1().raw
        rows = self._store.index.read(
            "SELECT recipe FROM archives WHERE root = ?"
            " UNION SELECT root FROM archives WHERE recipe = ?",
            raw,
            raw,
        ).fetchall()
        return [CID(one) for (one,) in rows if one is not None]


def changes(index: Index) -> int:
    """Return how many pins have been added so far."""
    return int(index.read("SELECT changes FROM pinned").fetchone()[0])
