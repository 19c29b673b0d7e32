"""The catalog's tables, and how a database file is opened, set aside and salvaged.

Everything here can be had again: pages from upstream, archives from their directory. So a
damaged database is never repaired in place. It is renamed, what can still be read of it is
copied row by row into a new one, and what the archive directory knows is added.
"""

from __future__ import annotations

import contextlib
import secrets
import sqlite3
from typing import TYPE_CHECKING

from dpip.errors import DpipError, HomeNotWritable
from dpip.mirror import totals

if TYPE_CHECKING:
    from pathlib import Path

VERSION = 5
TABLES = (
    "projects", "pages", "files", "archives", "metadata", "changes", "routes",
    "tombstones", "followed", "marks", "provenance",
)  # fmt: skip

_DDL = """
CREATE TABLE IF NOT EXISTS projects (
  name TEXT PRIMARY KEY, absent INTEGER NOT NULL, confirmed_at REAL NOT NULL,
  etag TEXT, last_modified TEXT, serial INTEGER, status TEXT NOT NULL,
  source TEXT NOT NULL DEFAULT 'upstream'
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pages (
  name TEXT PRIMARY KEY, etag TEXT NOT NULL, serial INTEGER,
  html_gzip BLOB NOT NULL, json_gzip BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS files (
  key TEXT NOT NULL, filename TEXT NOT NULL, project TEXT NOT NULL, sha256 TEXT, size INTEGER,
  url TEXT NOT NULL, metadata_sha256 TEXT, sidecar INTEGER NOT NULL, listed INTEGER NOT NULL,
  provenance TEXT, PRIMARY KEY (key, filename)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_project ON files (project);
CREATE TABLE IF NOT EXISTS archives (
  sha256 TEXT PRIMARY KEY, filename TEXT NOT NULL, size INTEGER NOT NULL, cid TEXT,
  origin TEXT NOT NULL, stored_at REAL NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS archives_without_cid ON archives (sha256) WHERE cid IS NULL;
CREATE TABLE IF NOT EXISTS metadata (sha256 TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS provenance (
  key TEXT NOT NULL, filename TEXT NOT NULL, body BLOB NOT NULL, PRIMARY KEY (key, filename)
);
CREATE TABLE IF NOT EXISTS changes (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE
);
CREATE TABLE IF NOT EXISTS routes (pattern TEXT PRIMARY KEY, source TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tombstones (
  project TEXT NOT NULL, filename TEXT NOT NULL, key TEXT NOT NULL, reason TEXT NOT NULL,
  detail TEXT NOT NULL, since REAL NOT NULL, PRIMARY KEY (project, filename)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS followed (
  name TEXT PRIMARY KEY, serial INTEGER, checked_at REAL NOT NULL, listed INTEGER NOT NULL,
  due_at REAL, failures INTEGER NOT NULL, problem TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS followed_due ON followed (due_at) WHERE due_at IS NOT NULL;
CREATE TABLE IF NOT EXISTS marks (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


_LATER = {
    ("projects", "source"): "TEXT NOT NULL DEFAULT 'upstream'",
    ("files", "provenance"): "TEXT",
}
"""Columns that tables of earlier versions may lack."""


class CatalogTooNew(DpipError):
    """A newer dpip wrote this home's catalog."""

    slug = "catalog-too-new"
    exit_code = 3
    default_hint = "update dpip, or use another home"


class CatalogDamaged(DpipError):
    """The catalog's database cannot be read; it is rebuilt at the next start."""

    slug = "catalog-damaged"
    exit_code = 3
    default_hint = "restart the node: it sets the file aside and rebuilds the catalog"


def open_database(path: Path) -> tuple[sqlite3.Connection, Path | None]:
    """Open or create the database at `path`; return it, and where a damaged one was put.

    Raises HomeNotWritable and CatalogTooNew. Costs a few pages of reading, whatever the size:
    damage deeper down shows when it is met (`mark_damaged`), and is dealt with at next start.
    """
    if _mark(path).exists():
        return _replace(path)
    try:
        return _connect(path), None
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError) and not _is_damage(error):
            raise HomeNotWritable(f"cannot open {path}: {error}") from None
        return _replace(path)


def mark_damaged(path: Path) -> None:
    """Remember that reading met damage, so that the next start rebuilds."""
    with contextlib.suppress(OSError):
        _mark(path).touch()


def _mark(path: Path) -> Path:
    return path.with_suffix(".damaged")


def _is_damage(error: sqlite3.Error) -> bool:
    codes = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
    return (getattr(error, "sqlite_errorcode", 0) & 0xFF) in codes


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
        totals.writes_here(connection)
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version < VERSION:
            # Versions so far only add; a home of an earlier one gains what it lacks.
            epoch = f"PRAGMA application_id={secrets.randbelow(2**31)};" if version == 0 else ""
            connection.executescript(
                f"BEGIN; {_DDL} {_added(connection)} {totals.DDL} {epoch}"
                f" PRAGMA user_version={VERSION}; COMMIT;"
            )
        if version > VERSION:
            raise CatalogTooNew(f"{path} has schema {version}; this dpip knows {VERSION}")
        for table in (*TABLES, "totals"):
            connection.execute(f"SELECT 1 FROM {table} LIMIT 1").fetchone()
    except BaseException:
        connection.close()
        raise
    return connection


def _added(connection: sqlite3.Connection) -> str:
    """Return statements that add the columns which tables of an earlier version lack."""
    statements = ""
    for (table, column), kind in _LATER.items():
        there = _columns(connection, table)
        if there and column not in there:
            statements += f"ALTER TABLE {table} ADD COLUMN {column} {kind};"
    return statements


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]


def _replace(path: Path) -> tuple[sqlite3.Connection, Path]:
    aside = _free_name(path)
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    connection = _connect(path)
    _salvage(aside, connection)
    _mark(path).unlink(missing_ok=True)
    return connection, aside


def _free_name(path: Path) -> Path:
    number = 1
    while (aside := path.with_name(f"{path.stem}.damaged-{number}{path.suffix}")).exists():
        number += 1
    return aside


def _salvage(damaged: Path, into: sqlite3.Connection) -> None:
    """Copy every row that can still be read; stop a table at its first unreadable page."""
    with contextlib.closing(sqlite3.connect(damaged)) as source:
        for table in TABLES:
            with contextlib.suppress(sqlite3.DatabaseError):
                _copy(table, source, into)


def _copy(table: str, source: sqlite3.Connection, into: sqlite3.Connection) -> None:
    # What an earlier layout lacked has a default.
    there = set(_columns(source, table))
    columns = [column for column in _columns(into, table) if column in there]
    names, marks = ",".join(columns), ",".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
    into.execute("BEGIN")
    try:
        for row in source.execute(f"SELECT {names} FROM {table}"):
            with contextlib.suppress(sqlite3.IntegrityError):
                into.execute(insert, row)
    finally:
        into.execute("COMMIT")
