"""The queue of knowledge objects: what was accepted and is not processed yet.

First in, first out, from any thread. Each object is in the database before it counts as
accepted and leaves it with the last of its effects. The newest part of a long queue is
left in the database until there is room for it in memory.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from ..bundle import Manifest
from ..canonical import to_json_value
from ..errors import QueueFull
from ..model import decode
from ..protocol.event import EventType
from ..rid import RID, KoiNetNode
from .knowledge_object import KnowledgeObject, KnowledgeSource

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from ..store import Store

MOST_QUEUED = 200_000
MOST_OF_ONE_SENDER = 50_000
MOST_RESIDENT = 20_000
ROWS_AT_ONCE = 100


@dataclass(slots=True)
class Item:
    """A queued object, its row, and whether its cache action is done already."""

    id: int
    kobj: KnowledgeObject
    stored: bool = False


class _Row(msgspec.Struct, omit_defaults=True, array_like=False):
    rid: RID
    source: KnowledgeSource
    event_type: EventType | None = None
    manifest: Manifest | None = None
    contents: dict[str, Any] | None = None
    sender: KoiNetNode | None = None
    normalized: EventType | None = None
    verified: bool = True
    stored: bool = False


class Inbox:
    """The queue; `QueueFull` tells a sender to come back later."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._ready: deque[Item] = deque()
        self._of_sender: Counter[KoiNetNode | None] = Counter()
        self._in_database = 0
        self._last_resident = 0
        self._done: list[tuple[int]] = []
        self.size = 0
        self._load_counts()

    def _load_counts(self) -> None:
        self._in_database = self.size = self._store.row("SELECT count(*) FROM inbox")[0]

    def add(self, kobjs: Iterable[KnowledgeObject], *, later: bool = False) -> int:
        """Queue objects; durable on return, unless `later`. Returns how many there were."""
        rows = [(kobj, encode(kobj)) for kobj in kobjs]
        with self._store.change(later=later) as connection:
            self.check_room(rows[0][0].sender if rows else None, len(rows))
            for first in range(0, len(rows), ROWS_AT_ONCE):
                self._insert(connection, rows[first : first + ROWS_AT_ONCE])
        return len(rows)

    def add_once(self, kobj: KnowledgeObject, lane: str, seq: int) -> bool:
        """Queue the next object of a numbered lane; say whether it was not queued before."""
        with self._store.change() as connection:
            known = connection.execute("SELECT seq FROM mark WHERE source=?", (lane,)).fetchone()
            if known is not None and known[0] >= seq:
                return False
            self.check_room(kobj.sender, 1)
            connection.execute("INSERT OR REPLACE INTO mark VALUES (?, ?)", (lane, seq))
            self.add([kobj])
        return True

    def check_room(self, sender: KoiNetNode | None, more: int) -> None:
        """Raise QueueFull if the queue, or this sender's share of it, has no room."""
        mine = self._of_sender[sender] + more
        if self.size + more > MOST_QUEUED or (sender and mine > MOST_OF_ONE_SENDER):
            raise QueueFull(f"{self.size} objects wait to be processed")

    def _insert(
        self, connection: sqlite3.Connection, rows: list[tuple[KnowledgeObject, bytes]]
    ) -> None:
        places = ",".join(["(?)"] * len(rows))
        blobs = [blob for _, blob in rows]
        cursor = connection.execute(f"INSERT INTO inbox (knowledge) VALUES {places}", blobs)
        first = (cursor.lastrowid or 0) - len(rows) + 1  # AUTOINCREMENT, one writer: no gaps
        for row_id, (kobj, _) in enumerate(rows, first):
            self._note(row_id, kobj)

    def _note(self, row_id: int, kobj: KnowledgeObject) -> None:
        self.size += 1
        self._of_sender[kobj.sender] += 1
        if self._in_database or len(self._ready) >= MOST_RESIDENT:
            self._in_database += 1
            return
        self._last_resident = row_id
        self._ready.append(Item(row_id, kobj))

    @property
    def waiting(self) -> bool:
        """Whether there is an object that nobody took."""
        return bool(self._ready) or self._in_database > 0

    def take(self) -> Item | None:
        """Return the oldest object that nobody took, or None."""
        with self._store.lock:
            if not self._ready and self._in_database:
                self._reload()
            return self._ready.popleft() if self._ready else None

    def _reload(self) -> None:
        rows = self._store.rows(
            "SELECT id, knowledge FROM inbox WHERE id>? ORDER BY id LIMIT ?",
            (self._last_resident, MOST_RESIDENT // 4),
        )
        for row_id, blob in rows:
            self._ready.append(decode_item(row_id, blob))
            self._last_resident = row_id
        self._in_database = max(0, self._in_database - len(rows)) if rows else 0

    def update(self, item: Item, *, connection: sqlite3.Connection) -> None:
        """Record that the cache action of an object is done, as part of it."""
        item.stored = True
        blob = encode(item.kobj, stored=True)
        connection.execute("UPDATE inbox SET knowledge=? WHERE id=?", (blob, item.id))

    def finish(self, item: Item, *, sender: KoiNetNode | None) -> None:
        """Take a processed object out of the queue; it leaves the database with `sweep`."""
        with self._store.lock:
            self._done.append((item.id,))
            self.size -= 1
            self._of_sender[sender] -= 1
            if self._of_sender[sender] <= 0:
                del self._of_sender[sender]

    def sweep(self) -> None:
        """Delete what is processed, as part of the next commit.

        If the process dies before, these objects are processed again. That changes nothing,
        because the cache holds their outcome already; where handlers of others were
        involved, the processor sweeps after each object.
        """
        if self._done:
            done, self._done = self._done, []
            with self._store.change(later=True) as connection:
                connection.executemany("DELETE FROM inbox WHERE id=?", done)


def encode(kobj: KnowledgeObject, *, stored: bool = False) -> bytes:
    """Return the JSON that an object is queued as."""
    return msgspec.json.encode(
        _Row(
            kobj.rid,
            kobj.source,
            kobj.event_type,
            kobj.manifest,
            kobj.contents,
            kobj.sender,
            kobj.normalized_event_type,
            kobj.verified,
            stored,
        ),
        enc_hook=to_json_value,
    )


def decode_item(row_id: int, blob: bytes) -> Item:
    """Read a queued object back."""
    row = decode(blob, _Row)
    kobj = KnowledgeObject(
        row.rid,
        row.manifest,
        row.contents,
        row.event_type,
        row.source,
        row.normalized,
        sender=row.sender,
        verified=row.verified,
    )
    return Item(row_id, kobj, row.stored)
