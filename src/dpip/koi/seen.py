"""What was accepted before: signatures of messages, and how far each sender's lane got.

Noting something takes no time: it stays in memory until `write`, which the next commit of the
queue calls. Until then the spool holds it, so a restart notes it again. Nor does asking about
what is new: a sieve knows that it is. The sieve is filled from the database little by little, so
a start does not wait for it; until then the database is asked.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from .sieve import Sieve

if TYPE_CHECKING:
    import sqlite3

    from .store import Store

MOST_SEEN = 500_000
FILLED_AT_ONCE = 5_000


class Seen:
    """Safe to use from any thread."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._count: int = store.row("SELECT count(*) FROM seen")[0]
        self._sieve = Sieve()
        self._filled: bytes | None = b""
        self._fill(store.rows(_FILL, (b"", FILLED_AT_ONCE)))
        self._tokens: set[bytes] = set()
        self._marks: dict[str, int] = {}
        self._undone = store.undone
        self._written: tuple[set[bytes], dict[str, int]] = (set(), {})

    @property
    def waiting(self) -> int:
        """How many signatures and lanes are noted in memory only."""
        return len(self._tokens) + len(self._marks)

    def knows(self, token: bytes) -> bool:
        """Say whether a signature was noted before."""
        if self._filled is None and not self._sieve.may_hold(token):
            return False
        if token in self._tokens or token in self._written[0]:
            return True
        return bool(self._store.look("SELECT 1 FROM seen WHERE token=?", (token,)))

    def note(self, token: bytes) -> bool:
        """Note a signature; say whether it is new."""
        if self.knows(token):
            return False
        self.add(token)
        return True

    def add(self, token: bytes) -> None:
        """Note a signature that is new."""
        with self._lock:
            self._tokens.add(token)
            self._sieve.add(token)

    def mark(self, source: str) -> int:
        """Return the sequence number up to which a sender's lane was accepted."""
        noted = max(self._marks.get(source, 0), self._written[1].get(source, 0))
        rows = self._store.look("SELECT seq FROM mark WHERE source=?", (source,))
        return max(noted, int(rows[0][0])) if rows else noted

    def advance(self, source: str, seq: int) -> None:
        """Note how far a sender's lane was accepted."""
        with self._lock:
            self._marks[source] = max(seq, self.mark(source))

    def write(self, connection: sqlite3.Connection) -> None:
        """Write down what is noted, as part of a transaction; `settled` tells of its commit.

        What was written since the last one is written again only if it was undone.
        """
        with self._lock:
            tokens, marks = self._tokens, self._marks
            if self._undone != self._store.undone:
                self._undone = self._store.undone
                tokens, marks = self._written[0] | tokens, self._written[1] | marks
            self._written = (self._written[0] | tokens, self._written[1] | marks)
            self._tokens, self._marks = set(), {}
        if not tokens and not marks:
            return
        now = int(time.time())
        rows = [(token, now) for token in tokens]
        connection.executemany("INSERT OR IGNORE INTO seen VALUES (?, ?)", rows)
        connection.executemany("INSERT OR REPLACE INTO mark VALUES (?, ?)", list(marks.items()))
        self._count += len(tokens)
        if self._filled is not None:
            self._fill(connection.execute(_FILL, (self._filled, FILLED_AT_ONCE)).fetchall())
        if self._count > MOST_SEEN:
            self._prune(connection)

    def settled(self) -> None:
        """Forget in memory what is in the database now."""
        self._written = (set(), {})

    def _fill(self, rows: list[tuple[bytes]]) -> None:
        for (token,) in rows:
            self._sieve.add(token)
        self._filled = rows[-1][0] if len(rows) == FILLED_AT_ONCE else None

    def _prune(self, connection: sqlite3.Connection) -> None:
        oldest = "SELECT token FROM seen ORDER BY at LIMIT ?"
        connection.execute(f"DELETE FROM seen WHERE token IN ({oldest})", (MOST_SEEN // 10,))
        self._count = connection.execute("SELECT count(*) FROM seen").fetchone()[0]


_FILL = "SELECT token FROM seen WHERE token>? ORDER BY token LIMIT ?"
