"""Events waiting to be delivered, one lane per target, oldest first.

Delivery is at least once. A batch that is on its way keeps its extent and its signature in
the database, so that after a crash the very same bytes are sent again and the receiver
recognises them. What a poll handed out stays until the next poll confirms it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from .rid import RID
    from .store import Store

MOST_PER_LANE = 100_000
BATCH_EVENTS = 200
BATCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Batch:
    """Events `first` to `last` of a lane, in signed form; `token` from an earlier attempt."""

    first: int
    last: int
    events: list[bytes]
    token: str = ""


class Outbox:
    """The lanes. Sequence numbers count up by one in each lane and never start again."""

    def __init__(self, store: Store) -> None:
        self._store = store
        with store.change() as connection:
            # Nobody knows whether polled batches of an earlier run arrived: offer them again.
            connection.execute("UPDATE lane SET handed=0 WHERE token=''")
            connection.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (uuid4().hex,))
        self.epoch: str = store.row("SELECT value FROM meta WHERE key='epoch'")[0]

    def push(self, event: bytes, targets: Iterable[RID], *, later: bool = False) -> None:
        """Queue an event (signed form) for each target."""
        with self._store.change(later=later) as connection:
            for target in targets:
                self._append(connection, str(target), event)

    def _append(self, connection: sqlite3.Connection, target: str, event: bytes) -> None:
        seq = connection.execute(_NEXT, (target,)).fetchall()[0][0]
        connection.execute("INSERT INTO outbox VALUES (?, ?, ?)", (target, seq, event))
        if seq % 1000 == 0:
            oldest = (target, seq - MOST_PER_LANE)
            connection.execute("DELETE FROM outbox WHERE target=? AND seq<=?", oldest)

    def targets(self) -> list[str]:
        """Return everybody for whom something waits."""
        return [row[0] for row in self._store.rows(_WAITING)]

    def batch(self, target: RID, *, limit: int = BATCH_EVENTS) -> Batch | None:
        """Return the batch to deliver next: the one under way, else the oldest events."""
        handed, token = self._lane(target)
        last = handed or 1 << 62
        rows = self._store.rows(
            "SELECT seq, event FROM outbox WHERE target=? AND seq<=? ORDER BY seq LIMIT ?",
            (str(target), last, 1 << 30 if handed else limit),
        )
        if not rows:
            return None
        if not handed:
            rows = rows[: _fitting(rows)]
        return Batch(rows[0][0], rows[-1][0], [event for _, event in rows], token)

    def _lane(self, target: RID) -> tuple[int, str]:
        row = self._store.row("SELECT handed, token FROM lane WHERE target=?", (str(target),))
        return (0, "") if row is None else row

    def attempt(self, target: RID, last: int, token: str) -> None:
        """Record that a batch up to `last` is about to be sent, signed with `token`."""
        with self._store.change() as connection:
            connection.execute(
                "UPDATE lane SET handed=?, token=? WHERE target=?", (last, token, str(target))
            )

    def confirm(self, target: RID, last: int) -> None:
        """Drop everything up to `last`: the target has it."""
        with self._store.change() as connection:
            self._confirm(connection, str(target), last)

    def _confirm(
        self, connection: sqlite3.Connection, target: str, last: int, handed: int = 0
    ) -> None:
        connection.execute("DELETE FROM outbox WHERE target=? AND seq<=?", (target, last))
        values = (handed, target)
        connection.execute("UPDATE lane SET handed=?, token='' WHERE target=?", values)

    def hand_out(self, target: RID, limit: int = 0, *, received: int | None = None) -> Batch | None:
        """Return what a poll gets, at most `limit` events (0: all that fit one answer).

        The poll confirms what was handed out before; a client that says how far it has
        `received` confirms exactly that.
        """
        most = min(limit, MOST_PER_LANE) if limit > 0 else MOST_PER_LANE
        with self._store.lock:
            handed, _ = self._lane(target)
            confirmed = handed if received is None else received
            rows = self._waiting(target, confirmed, most)
            if confirmed or rows:  # most polls find nothing, and write nothing
                with self._store.change() as connection:
                    self._confirm(connection, str(target), confirmed, rows[-1][0] if rows else 0)
        return Batch(rows[0][0], rows[-1][0], [event for _, event in rows]) if rows else None

    def _waiting(self, target: RID, after: int, limit: int) -> list[tuple[int, bytes]]:
        found: list[tuple[int, bytes]] = self._store.rows(
            "SELECT seq, event FROM outbox WHERE target=? AND seq>? ORDER BY seq LIMIT ?",
            (str(target), after, limit),
        )
        return found

    def drop(self, target: RID) -> None:
        """Forget everything queued for a target that is no more."""
        with self._store.change() as connection:
            connection.execute("DELETE FROM outbox WHERE target=?", (str(target),))

    def size(self, target: RID) -> int:
        """Return how many events wait for a target."""
        count: int = self._store.row("SELECT count(*) FROM outbox WHERE target=?", (str(target),))[
            0
        ]
        return count


def _fitting(rows: list[tuple[int, bytes]]) -> int:
    room = BATCH_BYTES
    for count, (_, event) in enumerate(rows):
        room -= len(event)
        if room < 0:
            return max(count, 1)
    return len(rows)


_WAITING = """
SELECT target FROM lane WHERE EXISTS (SELECT 1 FROM outbox WHERE outbox.target=lane.target)
"""
_NEXT = """
INSERT INTO lane (target, last) VALUES (?, 1)
ON CONFLICT (target) DO UPDATE SET last=last+1 RETURNING last
"""
