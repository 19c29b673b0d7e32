"""The order in which the cache changed, so that a node that was away reads what it missed.

The protocol has no log to ask for, and a listing of a type costs what there is of it. So a
node of this library answers one kind of RID that nobody else has: the bundle of
`orn:koi.journal:<cursor>` holds the manifests that changed since the cursor, what was
forgotten since, and the next cursor. Other implementations answer that they have no such
bundle, and are asked for listings as before; to them it is one RID that was not found.

The cache is its own journal: every change of a bundle has a number, and the bundle is kept
under the number of its last one (`schema.py`). So the journal is no longer than what was ever
held, a reader sees each RID once, as it is now, and keeping it costs next to nothing.

Numbers may be given twice: a change that was read before it was durable is undone by a crash,
and a restored backup goes back in time. So each start of the process begins an *era* with a
name of its own, and a cursor is an era and a number. One that points beyond the end of its
era is of a past that never was; whoever has it is told to compare everything, once.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import msgspec

from .bundle import Manifest
from .errors import InvalidContents
from .model import convert, decode
from .rid import ORN, RID

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from .rid import KoiNetNode, RIDType
    from .store import Store

NO_CURSOR = "-"
ROWS = 500
"""Rows that one page covers."""
MOST_ERAS = 1000
_LAST = "(SELECT seq FROM sqlite_sequence WHERE name='bundle')"
_BEGIN = f"INSERT INTO era (name, first) VALUES (?, {_LAST} + 1)"


class JournalRid(ORN):
    """What changed since a cursor: `orn:koi.journal:<era>:<number>`, or `-` for no cursor."""

    namespace: ClassVar[str | None] = "koi.journal"


class Forgotten(msgspec.Struct, frozen=True):
    """A RID that is held no more; `timestamp` is that of the last manifest."""

    rid: RID
    timestamp: datetime


class Page(msgspec.Struct, frozen=True):
    """The contents of a `JournalRid`.

    `known` is False for a cursor that means nothing here: nothing is listed then, and
    `cursor` is where a full comparison that begins now may be followed up. `more`: ask again.
    """

    cursor: str
    known: bool
    more: bool = False
    changed: list[Manifest] = []
    forgotten: list[Forgotten] = []

    @classmethod
    def read(cls, contents: dict[str, Any]) -> Page:
        """Return the page that a peer sent. Raises InvalidContents."""
        found = convert(contents, cls)
        if len(found.changed) + len(found.forgotten) > 10 * ROWS:
            raise InvalidContents("a page of the journal that is too long")
        return found


class Journal:
    """The journal of one node. Made once a start: that begins an era."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.era = uuid4().hex
        with store.change() as connection:
            connection.execute(_BEGIN, (self.era,))
            connection.execute(
                "DELETE FROM era WHERE id <= (SELECT max(id) FROM era) - ?", (MOST_ERAS,)
            )

    def disown(self) -> None:
        """Let every cursor that was ever given out mean nothing: what peers may see changed."""
        with self._store.change() as connection:
            connection.execute("DELETE FROM era")
            self.era = uuid4().hex
            connection.execute(_BEGIN, (self.era,))

    def page(self, cursor: str, hides: Callable[[str], bool] | None = None) -> Page:
        """Return what changed since a cursor; what `hides` says yes to is left out."""
        with self._store.lock:
            self._store.commit()
            since = self._position(cursor)
            if since is None:
                return Page(f"{self.era}:{self._last}", known=False)
            rows = self._store.rows(_SINCE, (since, since, ROWS))
        changed, forgotten = [], []
        for _, rid, stamp, manifest, verified in rows:
            if hides is not None and hides(rid):
                continue
            if manifest is None:
                forgotten.append(convert({"rid": rid, "timestamp": stamp}, Forgotten))
            elif verified:
                changed.append(decode(manifest, Manifest))
        last = rows[-1][0] if rows else since
        more = len(rows) == ROWS
        return Page(f"{self.era}:{last}", True, more, changed, forgotten)

    def _position(self, cursor: str) -> int | None:
        """Return the number that a cursor stands for, None if it means nothing here."""
        name, _, digits = cursor.partition(":")
        if not digits.isdecimal() or len(digits) > 18:
            return None
        era = self._store.row("SELECT id FROM era WHERE name=?", (name,))
        if era is None:
            return None
        end = self._store.row("SELECT first FROM era WHERE id>? ORDER BY id LIMIT 1", era)
        known = min(self._last, end[0] - 1) if end else self._last
        return int(digits) if int(digits) <= known else None

    @property
    def _last(self) -> int:
        """The number of the last change."""
        return int(self._store.row(f"SELECT {_LAST}")[0])


class Cursors:
    """How far this node has read the journals of others, and for which types."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def get(self, node: KoiNetNode, types: Sequence[RIDType]) -> str:
        """Return the cursor of a node, `-` if it does not cover all the types."""
        row = self._store.row("SELECT types, cursor FROM cursor WHERE node=?", (str(node),))
        return row[1] if row and _texts(types) <= set(row[0].split()) else NO_CURSOR

    def put(self, node: KoiNetNode, types: Sequence[RIDType], cursor: str) -> None:
        """Note how far a node was read; a cursor that covers more types stays."""
        row = self._store.row("SELECT types FROM cursor WHERE node=?", (str(node),))
        if row and _texts(types) < set(row[0].split()):
            return
        with self._store.change() as connection:
            connection.execute(
                "REPLACE INTO cursor VALUES (?, ?, ?)",
                (str(node), " ".join(sorted(_texts(types))), cursor),
            )

    def clear(self) -> None:
        """Forget them all: what this node would take over has changed."""
        with self._store.change() as connection:
            connection.execute("DELETE FROM cursor")


def _texts(types: Iterable[RIDType]) -> set[str]:
    return {str(kind) for kind in types}


_SINCE = """
SELECT id, rid, NULL, manifest, verified FROM bundle WHERE id>?
UNION ALL
SELECT seq, rid, forgotten, NULL, NULL FROM gone
  WHERE seq>? AND NOT EXISTS (SELECT 1 FROM bundle WHERE bundle.rid=gone.rid)
ORDER BY 1 LIMIT ?
"""
