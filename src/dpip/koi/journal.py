"""The order in which the cache changed, so that a node that was away reads what it missed.

The protocol has no log to ask for, and a listing of a type costs what there is of it. So a
node of this library answers one kind of RID that nobody else has: the bundle of
`orn:koi.journal:<cursor>` holds the manifests that changed since the cursor, what was
forgotten since, and the next cursor. Other implementations answer that they have no such
bundle, and are asked for listings as before; to them it is one RID that was not found.

Every RID has one row, which moves to the end with each change: the journal is no longer than
what was ever held, and a reader sees each RID once, as it is now. Triggers keep it, so no
writer of the cache can leave it out.

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
_MOVE = """
  INSERT INTO journal (seq, rid, at, forgotten)
  VALUES ((SELECT ifnull(max(seq), 0) + 1 FROM journal), {rid}, strftime('%s', 'now'), {stamp})
  ON CONFLICT (rid) DO UPDATE SET seq=excluded.seq, at=excluded.at, forgotten=excluded.forgotten;
"""
_HELD = _MOVE.format(rid="NEW.rid", stamp="NULL")
_GONE = _MOVE.format(rid="OLD.rid", stamp="json_extract(CAST(OLD.manifest AS TEXT), '$.timestamp')")
DDL = f"""
CREATE TABLE journal (
  seq INTEGER PRIMARY KEY,
  rid TEXT NOT NULL UNIQUE,
  at INTEGER NOT NULL,    -- seconds since 1970, for people
  forgotten TEXT          -- time of the manifest that was held last; NULL: a bundle is there
);
CREATE TABLE era (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  first INTEGER NOT NULL  -- the number that its first change has
);
CREATE TABLE cursor (
  node TEXT PRIMARY KEY,
  types TEXT NOT NULL,    -- separated by blanks
  cursor TEXT NOT NULL
) WITHOUT ROWID;
CREATE TRIGGER bundle_new AFTER INSERT ON bundle BEGIN {_HELD} END;
CREATE TRIGGER bundle_changed AFTER UPDATE ON bundle BEGIN {_HELD} END;
CREATE TRIGGER bundle_gone AFTER DELETE ON bundle BEGIN {_GONE} END;
INSERT INTO journal (rid, at) SELECT rid, 0 FROM bundle ORDER BY id;
"""
"""What a database of the first schema lacks."""


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
            connection.execute(
                "INSERT INTO era (name, first) SELECT ?, ifnull(max(seq), 0) + 1 FROM journal",
                (self.era,),
            )
            connection.execute(
                "DELETE FROM era WHERE id <= (SELECT max(id) FROM era) - ?", (MOST_ERAS,)
            )

    def disown(self) -> None:
        """Let every cursor that was ever given out mean nothing: what peers may see changed."""
        with self._store.change() as connection:
            connection.execute("DELETE FROM era")
            self.era = uuid4().hex
            connection.execute(
                "INSERT INTO era (name, first) SELECT ?, ifnull(max(seq), 0) + 1 FROM journal",
                (self.era,),
            )

    def page(self, cursor: str, hides: Callable[[str], bool] | None = None) -> Page:
        """Return what changed since a cursor; what `hides` says yes to is left out."""
        with self._store.lock:
            self._store.commit()
            since = self._position(cursor)
            if since is None:
                last = self._store.row("SELECT ifnull(max(seq), 0) FROM journal")[0]
                return Page(f"{self.era}:{last}", known=False)
            rows = self._store.rows(_SINCE, (since, ROWS))
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
        if not digits.isdigit() or len(digits) > 18:
            return None
        era = self._store.row("SELECT id FROM era WHERE name=?", (name,))
        if era is None:
            return None
        end = self._store.row("SELECT first FROM era WHERE id>? ORDER BY id LIMIT 1", era)
        last = self._store.row("SELECT ifnull(max(seq), 0) FROM journal")[0]
        known = min(last, end[0] - 1) if end else last
        return int(digits) if int(digits) <= known else None


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
SELECT journal.seq, journal.rid, journal.forgotten, bundle.manifest, bundle.verified
FROM journal LEFT JOIN bundle ON bundle.rid=journal.rid
WHERE journal.seq>? ORDER BY journal.seq LIMIT ?
"""
