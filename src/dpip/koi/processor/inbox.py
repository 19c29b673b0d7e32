"""The queue of knowledge objects: what was accepted and is not processed yet.

First in, first out, from any thread; every object has a number, and they count up. An object
is on the disk before it counts as accepted, in one of two places:

- what other nodes broadcast is in the *spool*, as the body that came: one write;
- everything else (what this node says itself, what was polled, what handlers add) is a *row*
  of the table `inbox`, because it has to become durable together with other changes.

An object leaves with the last of its effects: in the same transaction its row is deleted, or
the *place* moves on, which says up to where the spool is dealt with. An object of the spool
that others overtake while it waits for another node becomes a row when the place passes it. So
after a crash, the rows and the spool from the place on are the queue, in the order of their
numbers.

The newest part of a long queue is left on the disk until there is room for it in memory.
Locks: the store's before the queue's; accepting a body needs only the queue's.
"""

from __future__ import annotations

import heapq
import threading
from collections import Counter, deque
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ..errors import QueueFull
from . import records
from .records import Accepted
from .rows import Item, decode_item, encode

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator

    from ..rid import RID, KoiNetNode
    from ..seen import Seen
    from ..store import Store
    from .knowledge_object import KnowledgeObject

MOST_QUEUED = 200_000
MOST_OF_ONE_SENDER = 50_000
MOST_RESIDENT = 20_000
ROWS_AT_ONCE = 100
LONG_SPOOL = 4 << 20
MOST_TOKENS = 512
_PLACE = "INSERT OR REPLACE INTO meta VALUES ('spool', ?)"


@dataclass(slots=True)
class _Place:
    """Up to where the spool is dealt with: objects up to `number`, records up to `offset`."""

    generation: int
    offset: int
    number: int

    def __str__(self) -> str:
        return f"{self.generation} {self.offset} {self.number}"


class Inbox:
    """The queue; `QueueFull` tells a sender to come back later."""

    def __init__(self, store: Store, seen: Seen) -> None:
        self._store = store
        self._seen = seen
        self._spool = store.spool
        self.lock = threading.RLock()
        self._ready: deque[Item] = deque()
        self._taken: dict[int, Item] = {}
        self._of_sender: Counter[str] = Counter()
        self._done: list[tuple[int]] = []
        self._recorded, self._deleted, self._undone = "", 0, store.undone
        self._place = self._read_place()
        self._behind = 0  # objects that are not in memory: numbers after `_resident`
        self._resident = self._unread = 0
        self._last = self._place.number
        self.size = 0
        self._recover()

    def _read_place(self) -> _Place:
        spool = self._spool
        row = self._store.row("SELECT value FROM meta WHERE key='spool'")
        if row is None:  # a new database: what lies beside it belongs to an older one
            spool.renew()
            place = _Place(spool.generation, spool.start, 0)
            with self._store.change() as connection:
                connection.execute(_PLACE, (str(place),))
            return place
        place = _Place(*map(int, row[0].split()))
        if place.generation == spool.generation and place.offset <= spool.end:
            return place
        if place.generation >= spool.generation:  # it is gone, or shorter than it was
            spool.renew(place.generation + 1)
        return _Place(spool.generation, spool.start, place.number)

    def _recover(self) -> None:
        """Count what an earlier run left, and note again what it had seen."""
        rows, last = self._store.row("SELECT count(*), coalesce(max(id), 0) FROM inbox")
        self._last = max(self._last, last)
        self._unread = self._place.offset
        for _, record in self._spool.records(self._place.offset):
            found = records.read(record)
            if isinstance(found, bytes):
                self._seen.note(found)
                continue
            _, token = found.said()
            if token:
                self._seen.note(token)
            elif found.sequence:
                lane, _, last = records.numbered(found.sequence)
                self._seen.advance(lane, last)
            self._last = max(self._last, found.last)
            rows += min(found.count, max(0, found.last - self._place.number))
        self._behind = self.size = rows

    # Accepting

    def accept(
        self, body: bytes, kobjs: list[KnowledgeObject], *, skipped: int = 0, sequence: str = ""
    ) -> None:
        """Queue what a body says (without the first `skipped` events); it is in the spool then.

        Raises QueueFull, and UnreadableState when the disk does not take it.
        """
        with self.lock:
            self.check_room(kobjs[0].sender, len(kobjs))
            accepted = Accepted(self._last + 1, len(kobjs), body, skipped, sequence)
            end = self._spool.append(accepted.written())
            self._last = accepted.last
            self.size += len(kobjs)
            self._of_sender[str(kobjs[0].sender)] += len(kobjs)
            if not self._fits():
                self._behind += len(kobjs)
                return
            items = [
                Item(number, kobj, False, True) for number, kobj in enumerate(kobjs, accepted.first)
            ]
            items[-1].end = end
            self._ready.extend(items)
            self._resident, self._unread = accepted.last, end

    def accept_token(self, token: bytes) -> bool:
        """Note a signature that must not count twice; say whether it is new."""
        with self.lock:
            if not self._seen.note(token):
                return False
            self._spool.append(records.token_record(token))
        if self._seen.waiting > MOST_TOKENS:
            with self._store.change() as connection:
                self.checkpoint(connection)
            self.settled()
        return True

    def sync(self) -> None:
        """Make what was accepted survive a power cut, if this node's database does."""
        if self._store.sync:
            with self.lock:
                self._spool.sync()

    def add(self, kobjs: Iterable[KnowledgeObject], *, later: bool = False) -> int:
        """Queue objects as rows; durable on return, unless `later`. Returns how many there were."""
        rows = [(kobj, encode(kobj)) for kobj in kobjs]
        with self._store.change(later=later) as connection, self.lock:
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
        mine = self._of_sender[str(sender)] + more
        if self.size + more > MOST_QUEUED or (sender and mine > MOST_OF_ONE_SENDER):
            raise QueueFull(f"{self.size} objects wait to be processed")

    def _insert(
        self, connection: sqlite3.Connection, rows: list[tuple[KnowledgeObject, bytes]]
    ) -> None:
        first = self._last + 1
        values = [value for row in enumerate((blob for _, blob in rows), first) for value in row]
        places = ",".join(["(?,?)"] * len(rows))
        connection.execute(f"INSERT INTO inbox (id, knowledge) VALUES {places}", values)
        self._last += len(rows)
        for number, (kobj, _) in enumerate(rows, first):
            self._note(Item(number, kobj), fits=self._fits())

    def _fits(self) -> bool:
        return not self._behind and len(self._ready) < MOST_RESIDENT

    def _note(self, item: Item, *, fits: bool) -> None:
        self.size += 1
        self._of_sender[str(item.kobj.sender)] += 1
        if fits:
            self._put(item)
        else:
            self._behind += 1

    def _put(self, item: Item) -> None:
        self._ready.append(item)
        self._resident = item.id
        self._unread = item.end or self._unread

    # Processing

    @property
    def waiting(self) -> bool:
        """Whether there is an object that nobody took."""
        return bool(self._ready) or self._behind > 0

    def upcoming(self, most: int) -> list[RID]:
        """Return the RIDs of the objects that will be taken next, as far as they are known."""
        with self.lock:
            return [item.kobj.rid for item in islice(self._ready, most)]

    def take(self) -> Item | None:
        """Return the oldest object that nobody took, or None."""
        with self.lock:
            if self._ready:
                return self._took(self._ready.popleft())
        if not self._behind:
            return None
        with self._store.lock, self.lock:
            self._reload()
            return self._took(self._ready.popleft()) if self._ready else None

    def _took(self, item: Item) -> Item:
        self._taken[item.id] = item
        # After a crash, rows come first that the place had passed already.
        self._place.number = max(self._place.number, item.id)
        if item.end:
            self._place.offset = item.end
        return item

    def _reload(self) -> None:
        """Bring the next part of the queue into memory, in the order of the numbers."""
        after = self._resident
        found = heapq.merge(self._rows(after), self._spooled(after), key=lambda item: item.id)
        room = MOST_RESIDENT // 4
        for item in found:
            self._put(item)
            self._behind -= 1
            room -= 1
            if room <= 0:
                return
        self._behind = 0

    def _rows(self, after: int) -> Iterator[Item]:
        query = "SELECT id, knowledge FROM inbox WHERE id>? ORDER BY id LIMIT ?"
        while rows := self._store.rows(query, (after, ROWS_AT_ONCE)):
            for number, blob in rows:
                yield decode_item(number, blob)
            after = rows[-1][0]

    def _spooled(self, after: int) -> Iterator[Item]:
        after = max(after, self._place.number)
        for end, record in self._spool.records(self._unread):
            found = records.read(record)
            if isinstance(found, bytes) or found.last <= after:
                continue
            for number, kobj in enumerate(found.said()[0], found.first):
                if number > after:
                    last = number == found.last
                    yield Item(number, kobj, spooled=True, end=end if last else 0)

    def update(self, item: Item, *, connection: sqlite3.Connection) -> None:
        """Record that the cache action of an object is done, as part of it."""
        item.stored = True
        if item.spooled:
            self.checkpoint(connection)
        else:
            row = (encode(item.kobj, stored=True), item.id)
            connection.execute("UPDATE inbox SET knowledge=? WHERE id=?", row)

    def finish(self, item: Item, *, sender: KoiNetNode | None) -> None:
        """Take a processed object out of the queue; it leaves the disk with `checkpoint`."""
        with self.lock:
            self._taken.pop(item.id, None)
            if not item.spooled:
                self._done.append((item.id,))
            self.size -= 1
            name = str(sender)
            left = self._of_sender[name] = self._of_sender[name] - 1
            if left <= 0:
                del self._of_sender[name]

    @property
    def changed(self) -> bool:
        """Whether a `checkpoint` would record anything."""
        undone = self._undone != self._store.undone
        return bool(
            undone or self._done or self._seen.waiting or self._recorded != str(self._place)
        )

    def checkpoint(self, connection: sqlite3.Connection) -> None:
        """Record what is processed, as part of a transaction; `settled` tells of its commit.

        If the process dies before, these objects are processed again. That changes nothing,
        because the cache holds their outcome already; where handlers of others were
        involved, the processor does this after each object.
        """
        with self.lock:
            done = list(self._done)
            overtaken = [item for item in self._taken.values() if item.spooled]
            if not self._ready and not self._behind:
                self._place.offset = self._spool.end
            place = str(self._place)
        self._seen.write(connection)
        for item in overtaken:
            row = (item.id, encode(item.kobj, stored=item.stored))
            connection.execute("INSERT OR REPLACE INTO inbox VALUES (?, ?)", row)
            item.spooled = False
        connection.executemany("DELETE FROM inbox WHERE id=?", done)
        if place != self._recorded or self._undone != self._store.undone:
            connection.execute(_PLACE, (place,))
        self._recorded, self._deleted, self._undone = place, len(done), self._store.undone

    def settled(self) -> None:
        """The transaction of the last `checkpoint` is durable: drop a spool that is done."""
        self._seen.settled()
        with self.lock:
            del self._done[: self._deleted]
            self._deleted = 0
            nothing_since = self._recorded == str(self._place)
            done = self._place.offset == self._spool.end and not self.waiting and nothing_since
            if done and self._spool.end > LONG_SPOOL:
                self._spool.renew()
                self._place.generation = self._spool.generation
                self._place.offset = self._unread = self._spool.start
