"""The database of a node: one SQLite file in WAL mode, one connection that writes, one lock.

Everything that has to change together lives together: the cache, the events accepted but
not processed (inbox), the events not yet delivered (outbox), tombstones and what has been
seen before. Statements of one `with store.change()` block become durable together.

*When* they become durable is a choice. `change()` commits at once. `change(later=True)`
leaves the commit to whoever commits next: the pipeline uses it, so that a burst of events
costs one commit, and a crash repeats whole events and never halves of them.
What comes from outside waits in the *spool* beside the file until it is processed. Commits in WAL
mode with `synchronous=NORMAL` survive the death of the process at any instant; `FULL`
(`sync=True`) survives a power cut too, for one disk flush per commit.
"""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import UnreadableState
from .schema import MISSING, VERSION
from .spool import Spool

if TYPE_CHECKING:
    from collections.abc import Sequence


class Change:
    """One block of statements; made by `Store.change`."""

    __slots__ = ("_later", "_store")

    def __init__(self, store: Store, *, later: bool) -> None:
        self._store = store
        self._later = later

    def __enter__(self) -> sqlite3.Connection:
        return self._store.begin(later=self._later)

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        self._store.end(error)


class Store:
    """The open database. Safe to use from any thread; raises UnreadableState."""

    def __init__(self, path: Path | str, *, sync: bool = False) -> None:
        self.path = str(path)
        self.sync = sync
        self.lock = threading.RLock()
        self._depth = 0
        self._due = False
        self.undone = 0
        """How often changes that were not committed yet had to be undone."""
        self._looking = threading.Lock()
        self._reader: sqlite3.Connection | None = None
        try:
            Path(self.path).parent.mkdir(parents=True, exist_ok=True)
            self._connection = self._connect()
            self._prepare(sync=sync)
            self.spool = Spool(Path(self.path).with_suffix(".spool"))
        except (OSError, sqlite3.Error) as error:
            raise UnreadableState(f"{self.path}: {error}") from None

    def _connect(self) -> sqlite3.Connection:
        return sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, timeout=30)

    def _prepare(self, *, sync: bool) -> None:
        execute = self._connection.execute
        execute("PRAGMA journal_mode=WAL")
        execute(f"PRAGMA synchronous={'FULL' if sync else 'NORMAL'}")
        execute("PRAGMA cache_size=-16000")
        execute("PRAGMA wal_autocheckpoint=4000")  # pages: each checkpoint is a disk flush
        version = execute("PRAGMA user_version").fetchone()[0]
        if version > VERSION:
            raise UnreadableState(f"{self.path} was written by a newer version")
        missing = MISSING.get(version)
        if missing is not None:
            made = f"{missing} PRAGMA user_version={VERSION};"
            self._connection.executescript(f"BEGIN IMMEDIATE; {made} COMMIT;")

    def change(self, *, later: bool = False) -> Change:
        """Hold the lock and a transaction for a block of statements.

        Blocks may be nested; the outermost commits, if any of them asked for it. An error
        of the database undoes everything that is not committed yet.
        """
        return Change(self, later=later)

    def begin(self, *, later: bool) -> sqlite3.Connection:
        """Enter a block; see `change`."""
        self.lock.acquire()
        self._depth += 1
        self._due = self._due or not later
        try:
            if not self._connection.in_transaction:
                self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            self.end(error)
        return self._connection

    def end(self, error: BaseException | None) -> None:
        """Leave a block; see `change`."""
        try:
            if isinstance(error, sqlite3.Error):
                self._undo()
            elif error is None and self._due and self._depth == 1:
                self._due = False
                self._connection.execute("COMMIT")
        except sqlite3.Error as failed:
            self._undo()
            error = failed
        finally:
            self._depth -= 1
            self.lock.release()
        if isinstance(error, sqlite3.Error):
            raise UnreadableState(f"{self.path}: {error}") from None

    def _undo(self) -> None:
        if self._connection.in_transaction:
            self.undone += 1
            self._connection.execute("ROLLBACK")

    def commit(self) -> None:
        """Make everything durable that was left for later."""
        with self.lock:
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")

    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a query; sees what is not committed yet."""
        with self.lock:
            try:
                return self._connection.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise UnreadableState(f"{self.path}: {error}") from None

    def row(self, statement: str, values: Sequence[Any] = ()) -> Any:
        """Return the first row of a query, or None."""
        with self.lock:
            try:
                return self._connection.execute(statement, values).fetchone()
            except sqlite3.Error as error:
                raise UnreadableState(f"{self.path}: {error}") from None

    def look(self, statement: str, values: Sequence[Any] = ()) -> list[Any]:
        """Return all rows of a query as far as they are durable, without waiting for a change.

        A connection of its own: what it shows is there after a crash too.
        """
        with self._looking:
            try:
                if self._reader is None:
                    self._reader = self._connect()
                return self._reader.execute(statement, values).fetchall()
            except sqlite3.Error as error:
                raise UnreadableState(f"{self.path}: {error}") from None

    @property
    def size(self) -> int:
        """How many bytes of the file are in use."""
        count, free, page = (
            self.row(f"PRAGMA {name}")[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return int((count - free) * page)

    def abandon(self) -> None:
        """Close without a commit, as when the process dies."""
        with self.lock:
            self._undo()
            self._release()

    def close(self) -> None:
        """Commit and close; the store cannot be used afterwards."""
        with self.lock:
            self.commit()
            self._release()

    def _release(self) -> None:
        with self._looking:
            if self._reader is not None:
                self._reader.close()
                self._reader = None
        self._connection.close()
        self.spool.close()
