"""The index: which block lies where, what is pinned, which archives there are. SQLite.

One writer at a time, in all processes together: a write transaction takes SQLite's own
lock, which a killed process gives up by dying, and pack files are appended to only inside
one. Readers see the last commit and are never in the way (WAL).
"""

from __future__ import annotations

import errno
import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..errors import Damaged, Unavailable, Unwritable
from .schema import NAMED_PINS, SCHEMA, VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUSY_SECONDS = 60.0


class Index:
    """Connections to one index file: one for each reading thread, one for writing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._reading = threading.local()
        self._writing = threading.RLock()
        self._open: list[sqlite3.Connection] = []
        try:
            with mapped(path):
                self._writer = self._connect()
                self._prepare()
        except BaseException:
            self.close()
            raise

    def _prepare(self) -> None:
        with self.write() as db:
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in SCHEMA:
                    db.execute(statement)
                db.execute(f"PRAGMA user_version = {VERSION}")
            elif version != VERSION:
                raise Unavailable(f"{self._path} is of version {version}; this is {VERSION}")
            db.execute(NAMED_PINS)

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        self._open.append(db)
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        return db

    def read(self, statement: str, *values: Any) -> sqlite3.Cursor:
        """Run a query outside any transaction."""
        db = getattr(self._reading, "db", None)
        with mapped(self._path):
            if db is None:
                db = self._reading.db = self._connect()
            return db.execute(statement, values)

    @contextmanager
    def write(self, *, sync: bool = True) -> Iterator[sqlite3.Connection]:
        """Run a write transaction; the only one of all processes. Commits unless it raises.

        Without `sync` a power cut may undo it, and with it all that were not synced after;
        the next one that is synced makes these durable, too.
        """
        with self._writing, mapped(self._path):
            if self._writer.in_transaction:
                yield self._writer
                return
            self._writer.execute(f"PRAGMA synchronous = {'FULL' if sync else 'NORMAL'}")
            self._writer.execute("BEGIN IMMEDIATE")
            try:
                yield self._writer
            except BaseException:
                self._writer.execute("ROLLBACK")
                raise
            self._writer.execute("COMMIT")

    def sync(self) -> None:
        """Make all that was committed durable."""
        with self.write() as db:
            # A transaction that changes nothing writes nothing, and so syncs nothing.
            (count,) = db.execute("SELECT changes FROM pinned").fetchone()
            db.execute("UPDATE pinned SET changes = ?", (count,))

    def shrink(self) -> None:
        """Give back the room of deleted rows; writers wait meanwhile, readers do not."""
        with self._writing, mapped(self._path):
            self._writer.execute("VACUUM")
            self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        """Close every connection."""
        for db in self._open:
            db.close()


@contextmanager
def mapped(where: Path) -> Iterator[None]:
    """Turn errors of SQLite and of the file system into those of this package."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise _of_sqlite(error, where) from None
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise
        raise Unwritable(f"{where}: {error.strerror or error}") from None


def _of_sqlite(error: sqlite3.DatabaseError, where: Path) -> Damaged | Unavailable | Unwritable:
    text = str(error)
    if "locked" in text or "busy" in text:
        return Unavailable(f"{where} is in use by another process")
    if "readonly" in text or "full" in text or "unable to open" in text or "disk I/O" in text:
        return Unwritable(f"{where}: {text}")
    return Damaged(f"{where}: {text}")
