"""What must survive a kill: how far the catalog is announced, and what news is not applied yet.

A name is noted here before the news leaves the queue of the node's processor, and struck out
after the catalog has the page. Whatever is killed in between is done again.
"""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING, Any

from dpip.errors import HomeNotWritable

if TYPE_CHECKING:
    from pathlib import Path

_DDL = """
CREATE TABLE IF NOT EXISTS pending (name TEXT PRIMARY KEY, stamp INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS applied (name TEXT PRIMARY KEY, etag TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS guarded (
  name TEXT NOT NULL, guardian TEXT NOT NULL, PRIMARY KEY (name, guardian)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS dropped (node TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS orders (
  id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT NOT NULL, argument TEXT NOT NULL, outcome TEXT
);
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_CURSOR = "cursor"


class Ledger:
    """The open database; safe to use from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._connection.execute("PRAGMA journal_mode=WAL")
            self._connection.execute("PRAGMA synchronous=NORMAL")
            self._connection.executescript(_DDL)
        except (OSError, sqlite3.Error) as error:
            raise HomeNotWritable(f"cannot open {path}: {error}") from None

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    def cursor(self, epoch: int) -> int:
        """Return the last change of that catalog which is announced; 0 for another catalog."""
        row = self._one("SELECT value FROM meta WHERE key=?", _CURSOR)
        known, _, seq = (row[0] if row else "").partition(":")
        return int(seq) if known == str(epoch) else 0

    def announced(self, epoch: int, seq: int) -> None:
        """Note how far the catalog is announced."""
        self._run("REPLACE INTO meta VALUES (?,?)", _CURSOR, f"{epoch}:{seq}")

    def recorded(self, key: str) -> str:
        """Return what was last recorded under a key of the caller's; empty: nothing."""
        row = self._one("SELECT value FROM meta WHERE key=?", f"recorded {key}")
        return row[0] if row else ""

    def record(self, key: str, value: str) -> None:
        """Record a value under a key."""
        self._run("REPLACE INTO meta VALUES (?,?)", f"recorded {key}", value)

    def note(self, name: str) -> None:
        """Note that there is news of a project."""
        self._run(
            "INSERT INTO pending VALUES (?,1) ON CONFLICT (name) DO UPDATE SET stamp=stamp+1", name
        )

    def pending(self) -> list[tuple[str, int]]:
        """Return (name, stamp) of projects with news; the stamp grows with each of it."""
        return self._all("SELECT name, stamp FROM pending ORDER BY name LIMIT 500")

    def done(self, name: str, stamp: int) -> None:
        """Strike a project out, unless there was news since `stamp`."""
        self._run("DELETE FROM pending WHERE name=? AND stamp=?", name, stamp)

    def applied(self, name: str) -> str | None:
        """Return the validator of the page that was last made from a peer's claims."""
        row = self._one("SELECT etag FROM applied WHERE name=?", name)
        return row[0] if row else None

    def note_applied(self, name: str, etag: str) -> None:
        """Note the validator of a page that is made from claims: it is not ours to announce."""
        self._run("REPLACE INTO applied VALUES (?,?)", name, etag)

    def guardians(self) -> list[tuple[str, str]]:
        """Return (name, hash of a key) of the names that listed nodes say are private."""
        return self._all("SELECT name, guardian FROM guarded")

    def guard(self, name: str, guardian: str) -> None:
        """Note that a node says that a name is private."""
        self._run("INSERT OR IGNORE INTO guarded VALUES (?,?)", name, guardian)

    def dropped(self) -> list[str]:
        """Return the ids of dropped nodes."""
        return [node for (node,) in self._all("SELECT node FROM dropped")]

    def drop(self, node: str) -> None:
        """Note that a node is dropped."""
        self._run("INSERT OR IGNORE INTO dropped VALUES (?)", node)

    def undrop(self, node: str) -> None:
        """Note that a node is not dropped."""
        self._run("DELETE FROM dropped WHERE node=?", node)

    def order(self, what: str, argument: str) -> int:
        """Ask the running node for something; return the order's number."""
        self._run("INSERT INTO orders (what, argument) VALUES (?,?)", what, argument)
        return int(self._one("SELECT max(id) FROM orders")[0])

    def orders(self) -> list[tuple[int, str, str]]:
        """Return (number, what, argument) of the orders that are not done."""
        return self._all("SELECT id, what, argument FROM orders WHERE outcome IS NULL ORDER BY id")

    def ordered(self, number: int, outcome: str) -> None:
        """Note what came of an order."""
        self._run("UPDATE orders SET outcome=? WHERE id=?", outcome, number)

    def outcome(self, number: int) -> str | None:
        """Return what came of an order, None as long as it is not done."""
        row = self._one("SELECT outcome FROM orders WHERE id=?", number)
        return row[0] if row else ""

    def drop_orders(self) -> None:
        """Forget all orders."""
        self._run("DELETE FROM orders")

    def _one(self, query: str, *values: Any) -> Any:
        rows = self._all(query, *values)
        return rows[0] if rows else None

    def _all(self, query: str, *values: Any) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise HomeNotWritable(f"cannot read {self._path}: {error}") from None

    def _run(self, statement: str, *values: Any) -> None:
        try:
            with self._lock:
                self._connection.execute(statement, values)
        except sqlite3.Error as error:
            raise HomeNotWritable(f"cannot write {self._path}: {error}") from None
