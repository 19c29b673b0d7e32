"""The facts store: one SQLite file that all runs and processes of a user share.

It is a cache and nothing but a cache: everything in it can be asked for again, so a damaged
file is set aside with one line and a new one begun, and a failing write is no failure of the
command. Four tables:

    pages     project pages as lean records, with what is needed to revalidate them
    metadata  dependency records by file hash: true for ever, so never checked again
    hosts     how hosts answered to range requests, and whose metadata files were not there
    answers   whole answers, see `answers.py`

Metadata is keyed by the hash of the file *and* by who says so (the hash of the metadata
file where the page gives it, else the index), so that no index can speak for another's file.
Write-ahead logging lets readers and one writer work at the same time; a writer waits for
another. Writes are gathered and put down in a few transactions, whole or not at all, so a run
that is killed leaves a store that lacks some facts and has no wrong ones.
"""

from __future__ import annotations

import contextlib
import sqlite3
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from dpip.resolve.place import FILE_NAME, SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

__all__ = ["FILE_NAME", "Answer", "Store", "StoredPage", "metadata_key"]

BATCH = 64
"""Rows gathered before they are written, unless the run ends first."""
BATCH_SIZE = 2 * 2**20
"""Bytes of rows gathered before they are written: pages are large."""

_TABLES = """
PRAGMA journal_mode = WAL;
CREATE TABLE IF NOT EXISTS pages (
    url TEXT PRIMARY KEY, etag TEXT, modified TEXT, fresh_until REAL NOT NULL,
    digest BLOB NOT NULL, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS metadata (key TEXT PRIMARY KEY, record BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hosts (
    host TEXT NOT NULL, topic TEXT NOT NULL, value INTEGER NOT NULL, until REAL NOT NULL,
    PRIMARY KEY (host, topic)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY, fresh_until REAL NOT NULL, reads BLOB NOT NULL, body TEXT NOT NULL,
    talk TEXT NOT NULL) WITHOUT ROWID;
"""


class StoredPage(NamedTuple):
    """A page as it was last read. `fresh_until` is seconds since the epoch."""

    etag: str | None
    modified: str | None
    fresh_until: float
    digest: bytes
    record: bytes


class Answer(NamedTuple):
    """A whole answer: `reads` names the pages that it stands on, with their digests.

    `body` goes to standard output, `talk` (warnings) to standard error.
    """

    fresh_until: float
    reads: bytes
    body: str
    talk: str = ""


class Store:
    """Facts on disk; all methods may be called by many threads, and never raise SQLite's errors.

    A `path` of None keeps everything in memory for one run.
    """

    def __init__(self, path: Path | None, *, say: Callable[[str], Any] = sys.stderr.write) -> None:
        self._path = path
        self._say = say
        self._lock = threading.RLock()
        self._waiting: list[tuple[str, Sequence[Any]]] = []
        self._size = 0
        self._closed = False
        self._connection = self._open()

    def close(self) -> None:
        """Write what waits and close the file; closing twice is closing once."""
        with self._lock:
            if self._closed:
                return
            self.flush()
            self._closed = True
            self._connection.close()

    def page(self, url: str) -> StoredPage | None:
        """Return the page last read from `url`."""
        row = self._one(
            "SELECT etag, modified, fresh_until, digest, record FROM pages WHERE url = ?", url
        )
        return StoredPage(*row) if row else None

    def put_page(self, url: str, page: StoredPage) -> None:
        """Keep a page in place of the one before."""
        self._later("INSERT OR REPLACE INTO pages VALUES (?, ?, ?, ?, ?, ?)", (url, *page))

    def refresh_page(self, url: str, fresh_until: float) -> None:
        """Note that the server says that the stored page still holds."""
        self._later("UPDATE pages SET fresh_until = ? WHERE url = ?", (fresh_until, url))

    def metadata(self, key: str) -> bytes | None:
        """Return the dependency record under a key, see `metadata_key`."""
        row = self._one("SELECT record FROM metadata WHERE key = ?", key)
        return row[0] if row else None

    def put_metadata(self, key: str, record: bytes) -> None:
        """Keep a dependency record."""
        self._later("INSERT OR REPLACE INTO metadata VALUES (?, ?)", (key, record))

    def host(self, host: str, topic: str, now: float) -> int | None:
        """Return what is known of a host, unless that is too old."""
        row = self._one(
            "SELECT value FROM hosts WHERE host = ? AND topic = ? AND until > ?", host, topic, now
        )
        return row[0] if row else None

    def put_host(self, host: str, topic: str, value: int, until: float) -> None:
        """Keep what a host was seen to do, for a while."""
        self._later("INSERT OR REPLACE INTO hosts VALUES (?, ?, ?, ?)", (host, topic, value, until))

    def answer(self, key: str) -> Answer | None:
        """Return the whole answer under a key."""
        row = self._one("SELECT fresh_until, reads, body, talk FROM answers WHERE key = ?", key)
        return Answer(*row) if row else None

    def put_answer(self, key: str, answer: Answer) -> None:
        """Keep a whole answer."""
        self._later("INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?)", (key, *answer))

    def forget_before(self, moment: float) -> None:
        """Drop the answers whose term ended before `moment`."""
        self._later("DELETE FROM answers WHERE fresh_until < ?", (moment,))

    def flush(self) -> None:
        """Write what waits, in one transaction."""
        with self._lock:
            waiting, self._waiting, self._size = self._waiting, [], 0
            if waiting and not self._closed:
                with self._guarded():
                    for statement, values in waiting:
                        self._connection.execute(statement, values)
                    self._connection.commit()

    def _later(self, statement: str, values: Sequence[Any]) -> None:
        with self._lock:
            self._waiting.append((statement, values))
            self._size += sum(len(each) for each in values if isinstance(each, bytes))
            if len(self._waiting) >= BATCH or self._size >= BATCH_SIZE:
                self.flush()

    def _one(self, statement: str, *values: Any) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = None
        with self._lock, self._guarded():
            if not self._closed:
                found = self._connection.execute(statement, values).fetchone()
        return found

    @contextlib.contextmanager
    def _guarded(self) -> Iterator[None]:
        """Map SQLite's errors: busy or full means not now, anything else a damaged file."""
        try:
            yield
        except sqlite3.OperationalError:
            with contextlib.suppress(sqlite3.Error):
                self._connection.rollback()
        except sqlite3.DatabaseError as error:
            self._set_aside(error)

    def _open(self) -> sqlite3.Connection:
        if self._path is None:
            return _connected(":memory:")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return _connected(str(self._path))
        except sqlite3.OperationalError as error:
            if "locked" not in str(error):
                self._say(f"warning: cannot use {self._path}: {error}; going on without it\n")
            return _connected(":memory:")
        except sqlite3.DatabaseError as error:
            return self._begun_anew(error)
        except OSError as error:
            self._say(f"warning: cannot use {self._path}: {error}; going on without it\n")
            return _connected(":memory:")

    def _set_aside(self, error: Exception) -> None:
        with contextlib.suppress(sqlite3.Error):
            self._connection.close()
        self._connection = self._begun_anew(error)

    def _begun_anew(self, error: Exception) -> sqlite3.Connection:
        """Rename the damaged file, once for all processes that find it so, and begin again."""
        if self._path is None:
            return _connected(":memory:")
        aside = self._path.with_name(f"{self._path.name}.damaged-{int(time.time())}")
        try:
            self._path.rename(aside)
            for extra in ("-wal", "-shm"):
                self._path.with_name(self._path.name + extra).unlink(missing_ok=True)
            self._say(f"warning: the facts store was damaged ({error}); set aside as {aside}\n")
            return _connected(str(self._path))
        except (OSError, sqlite3.Error):
            return _connected(":memory:")


def _connected(path: str) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=10, check_same_thread=False)
    try:
        connection.execute("PRAGMA synchronous = NORMAL")
        known = connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA
        if not known:
            connection.executescript(_TABLES + f"PRAGMA user_version = {SCHEMA};")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def metadata_key(sha256: str, voucher: str) -> str:
    """Return the key of a file's dependency record; `voucher` is who or what says so."""
    return f"{sha256} {voucher}"
