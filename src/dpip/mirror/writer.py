"""One thread writes the catalog; everybody else hands it work and waits for the commit.

Writes that are waiting together share one transaction, so a burst costs one commit. Each
runs inside a savepoint: one that fails is undone alone.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from dpip.errors import DiskFull, DpipError, HomeNotWritable
from dpip.mirror.schema import CatalogDamaged

if TYPE_CHECKING:
    from collections.abc import Callable

    Write = Callable[[sqlite3.Connection], None]
    """Runs inside a transaction of the writer thread."""

BATCH = 256


class Writer:
    """The writer thread of one connection."""

    def __init__(self, connection: sqlite3.Connection, on_damage: Callable[[], None]) -> None:
        self._connection = connection
        self._on_damage = on_damage
        self._waiting: queue.SimpleQueue[tuple[Write, Future[None]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="catalog-writer", daemon=True)
        self._thread.start()

    def submit(self, write: Write) -> Future[None]:
        """Queue one write; the future ends when it is committed, or with a DpipError."""
        done: Future[None] = Future()
        self._waiting.put((write, done))
        return done

    def close(self) -> None:
        """Finish what is queued and end the thread."""
        self._waiting.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            batch = self._take()
            work = [item for item in batch if item is not None]
            if work:
                self._commit(work)
            if len(work) < len(batch):
                return

    def _take(self) -> list[tuple[Write, Future[None]] | None]:
        batch = [self._waiting.get()]
        while len(batch) < BATCH and batch[-1] is not None:
            try:
                batch.append(self._waiting.get_nowait())
            except queue.Empty:
                break
        return batch

    def _commit(self, work: list[tuple[Write, Future[None]]]) -> None:
        outcome: list[tuple[Future[None], DpipError | None]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            outcome = [(done, self._one(write)) for write, done in work]
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            failure = self._mapped(error)
            outcome = [(done, failure) for _, done in work]
        for done, problem in outcome:
            _settle(done, problem)

    def _one(self, write: Write) -> DpipError | None:
        self._connection.execute("SAVEPOINT one")
        try:
            write(self._connection)
        except sqlite3.Error as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO one")
                self._connection.execute("RELEASE one")
            return self._mapped(error)
        self._connection.execute("RELEASE one")
        return None

    def _mapped(self, error: sqlite3.Error) -> DpipError:
        mapped = from_sqlite(error)
        if isinstance(mapped, CatalogDamaged):
            self._on_damage()
        return mapped


def from_sqlite(error: sqlite3.Error) -> DpipError:
    """Map an SQLite error to one of ours."""
    code: Any = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL:
        return DiskFull("no room left for the catalog")
    if code in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}:
        return HomeNotWritable(f"cannot write the catalog: {error}")
    return CatalogDamaged(f"the catalog cannot be read: {error}")


def _settle(done: Future[None], problem: DpipError | None) -> None:
    if done.cancelled():
        return
    if problem is None:
        done.set_result(None)
    else:
        done.set_exception(problem)
