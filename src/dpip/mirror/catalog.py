"""What this mirror knows: pages with their validators, files with their hashes, what is stored.

Reads run on the caller's thread against one WAL connection (tens of microseconds); writes go
through one writer thread. Pages are kept compressed, exactly as they are sent; the plain
forms are inflated once, when a page enters memory.
"""

from __future__ import annotations

import gzip
import sqlite3
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpip.errors import HomeNotWritable
from dpip.mirror import schema, tombstones
from dpip.mirror.readers import Readers
from dpip.mirror.tombstones import QUARANTINED, Reason
from dpip.mirror.writer import Writer, from_sqlite
from dpip.simple.repository import StoredPage
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from concurrent.futures import Future
    from pathlib import Path

    from dpip.mirror.tombstones import Said
    from dpip.mirror.writer import Write


@dataclass(frozen=True, slots=True)
class PageRecord:
    """What its source last said about a page. `confirmed_at` is seconds since the epoch."""

    name: str
    confirmed_at: float
    absent: bool = False
    etag: str | None = None
    last_modified: str | None = None
    serial: int | None = None
    status: str = "active"
    source: str = DEFAULT_SOURCE


@dataclass(frozen=True, slots=True)
class FileRecord:
    """One file of one page. `key` is its sha256, or a key made from its URL (see `files.py`).

    `sha256` is None until the source, or the first fetch, tells it. `sidecar` says that
    upstream offers the metadata file; `metadata_sha256` is its hash where upstream gives it.
    `provenance` is where its attestations are (PEP 740).
    """

    key: str
    filename: str
    project: str
    url: str
    sha256: str | None = None
    size: int | None = None
    metadata_sha256: str | None = None
    sidecar: bool = False
    provenance: str | None = None


@dataclass(frozen=True, slots=True)
class ArchiveRecord:
    """One archive on disk: where its bytes came from, and its CID once computed."""

    sha256: str
    filename: str
    size: int
    cid: str | None
    origin: str
    stored_at: float


_FILE = "key, filename, project, url, sha256, size, metadata_sha256, sidecar, provenance"
_ARCHIVE = "sha256, filename, size, cid, origin, stored_at"


class Catalog:
    """The catalog of one home. Open it with `Catalog(path)`, close it when done.

    `set_aside` is where a damaged database was moved when this one was opened, else None.
    """

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise HomeNotWritable(f"cannot create {path.parent}: {error.strerror}") from None
        self._path = path
        writing, self.set_aside = schema.open_database(path)
        self._readers = Readers(path)
        self._writing = writing
        self._writer = Writer(writing, on_damage=lambda: schema.mark_damaged(path))

    def close(self) -> None:
        """Commit what is queued and close the database."""
        self._writer.close()
        self._readers.close()
        self._writing.close()

    # Pages

    def record(self, name: str) -> PageRecord | None:
        """Return what is known about a project's page."""
        row = self._one(
            "SELECT name, confirmed_at, absent, etag, last_modified, serial, status, source"
            " FROM projects WHERE name=?",
            name,
        )
        return PageRecord(row[0], row[1], bool(row[2]), *row[3:]) if row else None

    def page(self, name: str) -> StoredPage | None:
        """Return the stored page of a project."""
        row = self._one("SELECT etag, serial, html_gzip, json_gzip FROM pages WHERE name=?", name)
        if row is None:
            return None
        etag, serial, html_gzip, json_gzip = row
        return StoredPage(
            name=name,
            html=gzip.decompress(html_gzip),
            html_gzip=html_gzip,
            json=gzip.decompress(json_gzip),
            json_gzip=json_gzip,
            etag=etag,
            last_serial=serial,
        )

    def validator(self, name: str) -> str | None:
        """Return the validator of a project's stored page."""
        row = self._one("SELECT etag FROM pages WHERE name=?", name)
        return row[0] if row else None

    def page_names(self, after: str = "", limit: int = 1000) -> list[tuple[str, int | None, str]]:
        """Return (name, serial, source) of up to `limit` pages after `after`, in name order."""
        rows = self._all(
            "SELECT name, serial, source FROM projects WHERE name>? AND NOT absent"
            " ORDER BY name LIMIT ?",
            after,
            limit,
        )
        return [(row[0], row[1], row[2]) for row in rows]

    def put_page(
        self,
        record: PageRecord,
        page: StoredPage,
        files: Iterable[FileRecord],
        said: Said | None = None,
    ) -> Future[None]:
        """Replace a page and its files in one transaction, with tombstones for what went.

        Files that the page no longer lists stay known, because lock files may name them.
        """
        rows = [_file_row(file) for file in files]

        def write(connection: sqlite3.Connection) -> None:
            _write_record(connection, record)
            connection.execute(
                "REPLACE INTO pages (name, etag, serial, html_gzip, json_gzip) VALUES (?,?,?,?,?)",
                (page.name, page.etag, page.last_serial, page.html_gzip, page.json_gzip),
            )
            before = _unlist(connection, record.name)
            connection.executemany(_UPSERT_FILE, rows)
            hidden = record.status == QUARANTINED
            tombstones.settle(
                connection,
                record.name,
                before,
                {row[1]: row[0] for row in rows},
                said or {},
                now=record.confirmed_at,
                otherwise=Reason.QUARANTINED if hidden else Reason.DELETED,
            )
            connection.execute(_CHANGED, (record.name,))

        return self._writer.submit(write)

    def put_record(
        self, record: PageRecord, *, reason: Reason = Reason.DELETED, detail: str = ""
    ) -> Future[None]:
        """Note a confirmation (304), or an absence and its reason: then the page is dropped."""

        def write(connection: sqlite3.Connection) -> None:
            _write_record(connection, record)
            if record.absent:
                connection.execute("DELETE FROM pages WHERE name=?", (record.name,))
                before = _unlist(connection, record.name)
                said: Said = dict.fromkeys(before, (reason, detail))
                tombstones.settle(
                    connection, record.name, before, {}, said, now=record.confirmed_at
                )
                connection.execute(_CHANGED, (record.name,))

        return self._writer.submit(write)

    @property
    def epoch(self) -> int:
        """A number of this database file: sequences of another epoch mean nothing here."""
        return int(self._all("PRAGMA application_id")[0][0])

    def changed_since(self, seq: int, limit: int = 500) -> list[tuple[int, str]]:
        """Return (sequence, name) of up to `limit` projects that changed after `seq`, in order.

        A project is there once, under its newest change: page, listing, or a stored archive.
        Whoever follows keeps the last sequence that it has dealt with.
        """
        rows = self._all(
            "SELECT seq, name FROM changes WHERE seq>? ORDER BY seq LIMIT ?", seq, limit
        )
        return [(row[0], row[1]) for row in rows]

    def last_change(self) -> int:
        """Return the sequence of the newest change."""
        return int(self._all("SELECT coalesce(max(seq), 0) FROM changes")[0][0])

    def distrust(self) -> Future[None]:
        """Make every stored page due, without a validator: rows around it may be lost."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR IGNORE INTO projects (name, absent, confirmed_at, status, source)"
                f" SELECT name, 0, 0, 'active', '{DEFAULT_SOURCE}' FROM pages"
            )
            connection.execute(
                "UPDATE projects SET confirmed_at=0, etag=NULL, last_modified=NULL, absent="
                "  name NOT IN (SELECT name FROM pages)"
            )

        return self._writer.submit(write)

    # Files

    def file(self, key: str, filename: str) -> FileRecord | None:
        """Return one file by the key and name of its URL."""
        row = self._one(f"SELECT {_FILE} FROM files WHERE key=? AND filename=?", key, filename)
        return _file(row) if row else None

    def files(self, project: str) -> list[FileRecord]:
        """Return the files that a project's page lists."""
        rows = self._all(f"SELECT {_FILE} FROM files WHERE project=? AND listed=1", project)
        return [_file(row) for row in rows]

    def learn_sha256(self, key: str, filename: str, sha256: str, size: int) -> Future[None]:
        """Record the hash that the first fetch of a file without one has shown.

        The page is then due, without a validator, so that it is rendered with the hash.
        """

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE files SET sha256=?, size=? WHERE key=? AND filename=?",
                (sha256, size, key, filename),
            )
            connection.execute(
                "UPDATE projects SET confirmed_at=0, etag=NULL, last_modified=NULL WHERE name IN"
                " (SELECT project FROM files WHERE key=? AND filename=?)",
                (key, filename),
            )

        return self._writer.submit(write)

    # Archives

    def archive(self, sha256: str) -> ArchiveRecord | None:
        """Return what is known of a stored archive."""
        row = self._one(f"SELECT {_ARCHIVE} FROM archives WHERE sha256=?", sha256)
        return ArchiveRecord(*row) if row else None

    def archives(self, after: str = "") -> Iterator[ArchiveRecord]:
        """Stream the stored archives in order of their hash, those after one hash."""
        last = after
        while rows := self._all(
            f"SELECT {_ARCHIVE} FROM archives WHERE sha256>? ORDER BY sha256 LIMIT 500",
            last,
        ):
            yield from (ArchiveRecord(*row) for row in rows)
            last = rows[-1][0]

    def put_archive(self, record: ArchiveRecord) -> Future[None]:
        """Record an archive; one that is already known keeps its origin and gains a CID."""

        def write(connection: sqlite3.Connection) -> None:
            connection.execute(
                f"INSERT INTO archives ({_ARCHIVE}) VALUES (?,?,?,?,?,?)"
                " ON CONFLICT (sha256) DO UPDATE SET cid=coalesce(excluded.cid, cid)",
                (record.sha256, record.filename, record.size, record.cid, record.origin,
                 record.stored_at),
            )  # fmt: skip
            rows = connection.execute("SELECT project FROM files WHERE key=?", (record.sha256,))
            connection.executemany(_CHANGED, {row[0]: row for row in rows.fetchall()}.values())

        return self._writer.submit(write)

    def drop_archive(self, sha256: str) -> Future[None]:
        """Forget an archive that is not on disk, or not what its name says."""
        return self._execute("DELETE FROM archives WHERE sha256=?", (sha256,))

    # Metadata files

    def metadata(self, sha256: str) -> bytes | None:
        """Return the METADATA bytes of the wheel with that hash (or file key)."""
        row = self._one("SELECT body FROM metadata WHERE sha256=?", sha256)
        return zlib.decompress(row[0]) if row else None

    def put_metadata(self, sha256: str, body: bytes) -> Future[None]:
        """Keep the METADATA bytes of a wheel."""
        return self._execute("REPLACE INTO metadata VALUES (?,?)", (sha256, zlib.compress(body)))

    # Routes

    def routes(self) -> dict[str, str]:
        """Return the routing table: name or prefix pattern to source."""
        return dict(self._all("SELECT pattern, source FROM routes ORDER BY pattern"))

    def put_route(self, pattern: str, source: str) -> Future[None]:
        """Give a name (or `prefix*`) its one source."""
        return self._execute("REPLACE INTO routes VALUES (?,?)", (pattern, source))

    def drop_route(self, pattern: str) -> Future[None]:
        """Take a row out of the routing table."""
        return self._execute("DELETE FROM routes WHERE pattern=?", (pattern,))

    # Tables of neighbours

    def write(self, work: Write) -> Future[None]:
        """Queue a write to a table that another module keeps here; see `Writer.submit`."""
        return self._writer.submit(work)

    def read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of a question about such a table."""
        return self._all(query, *values)

    def _execute(self, statement: str, values: tuple[Any, ...]) -> Future[None]:
        return self._writer.submit(lambda connection: _run(connection, statement, values))

    def _one(self, query: str, *values: Any) -> tuple[Any, ...] | None:
        rows = self._all(query, *values)
        return rows[0] if rows else None

    def _all(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            return self._readers.all(query, values)
        except sqlite3.Error as error:
            mapped = from_sqlite(error)
            if isinstance(mapped, schema.CatalogDamaged):
                schema.mark_damaged(self._path)
            raise mapped from None


_CHANGED = "REPLACE INTO changes (name) VALUES (?)"
_UPSERT_FILE = """
INSERT INTO files (key, filename, project, url, sha256, size, metadata_sha256, sidecar, provenance,
  listed)
VALUES (?,?,?,?,?,?,?,?,?,1)
ON CONFLICT (key, filename) DO UPDATE SET project=excluded.project, url=excluded.url,
  sha256=coalesce(excluded.sha256, sha256), size=coalesce(excluded.size, size),
  metadata_sha256=excluded.metadata_sha256, sidecar=excluded.sidecar,
  provenance=excluded.provenance, listed=1
"""


def _unlist(connection: sqlite3.Connection, project: str) -> dict[str, str]:
    """Take a project's files off its page; return those that were on it: name to key."""
    listed = connection.execute(
        "SELECT filename, key FROM files WHERE project=? AND listed=1", (project,)
    ).fetchall()
    connection.execute("UPDATE files SET listed=0 WHERE project=? AND listed=1", (project,))
    return dict(listed)


def _run(connection: sqlite3.Connection, statement: str, values: tuple[Any, ...]) -> None:
    connection.execute(statement, values)


def _write_record(connection: sqlite3.Connection, record: PageRecord) -> None:
    connection.execute(
        "REPLACE INTO projects (name, absent, confirmed_at, etag, last_modified, serial, status,"
        " source) VALUES (?,?,?,?,?,?,?,?)",
        (record.name, record.absent, record.confirmed_at, record.etag, record.last_modified,
         record.serial, record.status, record.source),
    )  # fmt: skip


def _file_row(file: FileRecord) -> tuple[Any, ...]:
    return (file.key, file.filename, file.project, file.url, file.sha256, file.size,
            file.metadata_sha256, file.sidecar, file.provenance)  # fmt: skip


def _file(row: tuple[Any, ...]) -> FileRecord:
    return FileRecord(*row)
