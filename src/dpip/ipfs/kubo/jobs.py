"""Work for a Kubo daemon, kept on disk until it is done.

A daemon that is down, or dies in the middle, loses nothing: a job is removed only after the
daemon has answered that it is done, and every job may be done twice. Jobs of one subject
replace each other (only the newest head of an index matters) and run in the order in which
they came, except that one which failed waits, and lets the others pass.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 300.0

_DDL = """
CREATE TABLE IF NOT EXISTS jobs (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, subject TEXT NOT NULL,
  body BLOB NOT NULL, attempts INTEGER NOT NULL DEFAULT 0, due REAL NOT NULL DEFAULT 0,
  problem TEXT, UNIQUE (kind, subject)
);
CREATE INDEX IF NOT EXISTS jobs_by_due ON jobs (due, id);
"""


@dataclass(frozen=True, slots=True)
class Job:
    """One thing to do. `problem` is why the last attempt failed; times are seconds."""

    id: int
    kind: str
    subject: str
    body: bytes
    attempts: int = 0
    due: float = 0.0
    problem: str | None = None


def pause(attempts: int) -> float:
    """Return the seconds to wait after that many failed attempts (pure)."""
    return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0 ** min(max(attempts - 1, 0), 16))


_COLUMNS = "id, kind, subject, body, attempts, due, problem"


class Jobs:
    """The queue in one SQLite file. Thread-safe; close it when done."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_DDL)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._database.close()

    def put(self, kind: str, subject: str, body: bytes = b"") -> None:
        """Add a job durably; it takes the place of one of the same kind and subject."""
        with self._writing() as database:
            database.execute(
                "REPLACE INTO jobs (kind, subject, body) VALUES (?,?,?)", (kind, subject, body)
            )

    def next(self, now: float) -> Job | None:
        """Return the oldest job that is due, or None."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM jobs WHERE due<=? ORDER BY id LIMIT 1", now)
        return rows[0] if rows else None

    def done(self, job: Job) -> None:
        """Remove a job; a newer one of the same subject has another id and stays."""
        with self._writing() as database:
            database.execute("DELETE FROM jobs WHERE id=?", (job.id,))

    def failed(self, job: Job, problem: str, now: float) -> None:
        """Put a job off, longer each time."""
        attempts = job.attempts + 1
        with self._writing() as database:
            database.execute(
                "UPDATE jobs SET attempts=?, due=?, problem=? WHERE id=?",
                (attempts, now + pause(attempts), problem, job.id),
            )

    def waiting(self) -> list[Job]:
        """Return all jobs, oldest first."""
        return self._rows(f"SELECT {_COLUMNS} FROM jobs ORDER BY id")

    def retry(self) -> None:
        """Make every job due now: the daemon is back."""
        with self._writing() as database:
            database.execute("UPDATE jobs SET due=0")

    def _rows(self, query: str, *values: float) -> list[Job]:
        with self._lock:
            return [Job(*row) for row in self._database.execute(query, values)]

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            yield self._database
