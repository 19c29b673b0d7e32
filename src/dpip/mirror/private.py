"""Private packages: what was uploaded to this mirror, and who may upload.

Unlike the catalog, none of this can be had again from anywhere, so it has a database of its
own, synchronised to the disk at every commit. A name belongs to the mirror from its first
upload on: its route says so, and it is never asked for upstream. Tokens are kept as hashes;
they are long and random, so a plain SHA-256 is enough.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import secrets
import sqlite3
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpip.errors import DpipError
from dpip.mirror.writer import from_sqlite
from dpip.simple.model import File, Project, ProjectEntry
from dpip.simple.names import normalize
from dpip.simple.repository import ProjectNotFound
from dpip.simple.upload import FileExists, Grant
from dpip.simple.upstream import Fetched, Validators

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
    from pathlib import Path

    from dpip.simple.upload import Upload

TOKEN_PREFIX = "dpip-"
"""Something that secret scanners can look for."""
_DDL = """
CREATE TABLE IF NOT EXISTS tokens (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL UNIQUE, projects TEXT,
  created TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
  filename TEXT PRIMARY KEY, project TEXT NOT NULL, version TEXT NOT NULL,
  sha256 TEXT NOT NULL, size INTEGER NOT NULL, requires_python TEXT, metadata BLOB NOT NULL,
  is_wheel INTEGER NOT NULL, uploaded TEXT NOT NULL, owner TEXT NOT NULL, yanked TEXT,
  attestations TEXT, deleted INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_by_project ON files (project, filename);
"""


class NoSuchToken(DpipError):
    """No upload token has that id."""

    slug = "no-such-token"
    default_hint = "see `dpip private token list`"


class NoSuchFile(DpipError):
    """No private file has that name."""

    slug = "no-such-private-file"


@dataclass(frozen=True, slots=True)
class Token:
    """An upload token without its secret; `projects` None means all."""

    id: str
    name: str
    projects: tuple[str, ...] | None
    created: str


class Private:
    """The private packages and tokens of one home. Thread-safe; close it when done.

    Times are ISO 8601 in UTC, handed in. Raises HomeNotWritable and DiskFull.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        with _mapped():
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
            self._database.execute("PRAGMA journal_mode=WAL")
            self._database.execute("PRAGMA synchronous=FULL")
            self._database.executescript(_DDL)

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._database.close()

    # Tokens

    def add_token(self, name: str, projects: Iterable[str] | None, now: str) -> tuple[Token, str]:
        """Make a token; return it and its secret, which is shown once and never kept."""
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        covered = None if projects is None else tuple(sorted(map(normalize, projects)))
        token = Token(secrets.token_hex(4), name, covered, now)
        self._run(
            "INSERT INTO tokens VALUES (?,?,?,?,?)",
            (
                token.id,
                name,
                _digest(secret),
                None if covered is None else json.dumps(covered),
                now,
            ),
        )
        return token, secret

    def tokens(self) -> list[Token]:
        """Return the tokens, oldest first."""
        rows = self._rows("SELECT id, name, projects, created FROM tokens ORDER BY created, id")
        return [Token(i, n, None if p is None else tuple(json.loads(p)), c) for i, n, p, c in rows]

    def drop_token(self, token_id: str) -> None:
        """Revoke a token. Raises NoSuchToken."""
        if not self._run("DELETE FROM tokens WHERE id=?", (token_id,)):
            raise NoSuchToken(f"no token has the id {token_id!r}")

    def grant(self, secret: str) -> Grant | None:
        """Return what a secret allows, or None.

        The look-up is by the hash of the secret, so its time says nothing about a near miss.
        """
        rows = self._rows("SELECT name, projects FROM tokens WHERE digest=?", _digest(secret))
        if not rows:
            return None
        name, projects = rows[0]
        return Grant(name, None if projects is None else frozenset(json.loads(projects)))

    # Files

    def add(self, upload: Upload, now: str) -> bool:
        """List an upload; say whether it is new.

        Raises FileExists if the name was ever used for other content: also a deleted file's
        name is never given to different bytes, because somebody's lock file may name it.
        """
        made = upload.distribution
        with self._lock, _mapped():
            row = self._database.execute(
                "SELECT sha256, deleted FROM files WHERE filename=?", (made.filename,)
            ).fetchone()
            if row is not None and row[0] != upload.sha256:
                raise FileExists(f"{made.filename} already exists, with different content")
            if row is not None and not row[1]:
                return False
            self._database.execute(
                "REPLACE INTO files VALUES (?,?,?,?,?,?,?,?,?,?,NULL,?,0)",
                (
                    made.filename, made.name, made.version, upload.sha256, upload.size,
                    made.requires_python, made.metadata, made.is_wheel, now, upload.owner,
                    upload.attestations,
                ),
            )  # fmt: skip
        return True

    def owns(self, project: str) -> bool:
        """Say whether a normalized name was ever uploaded here."""
        return bool(self._rows("SELECT 1 FROM files WHERE project=? LIMIT 1", project))

    def names(self) -> list[str]:
        """Return all private names, in order."""
        return [n for (n,) in self._rows("SELECT DISTINCT project FROM files ORDER BY project")]

    def project(self, name: str) -> Project | None:
        """Return a private project's page, or None if nothing was ever uploaded under it."""
        if not self.owns(name):
            return None
        rows = self._rows(
            "SELECT filename, version, sha256, size, requires_python, metadata, is_wheel, uploaded,"
            " yanked, attestations FROM files WHERE project=? AND NOT deleted ORDER BY uploaded,"
            " filename",
            name,
        )
        versions = tuple(dict.fromkeys(str(row[1]) for row in rows))
        return Project(name, tuple(_file(row) for row in rows), versions)

    def metadata(self, sha256: str) -> bytes | None:
        """Return the core metadata of an uploaded file, byte for byte."""
        rows = self._rows("SELECT metadata FROM files WHERE sha256=? AND NOT deleted", sha256)
        return bytes(rows[0][0]) if rows else None

    def attestations(self, filename: str) -> str | None:
        """Return the attestations that came with a file (PEP 740), as they were sent."""
        rows = self._rows("SELECT attestations FROM files WHERE filename=?", filename)
        return rows[0][0] if rows else None

    def version(self) -> int:
        """Return a number that differs once another process has changed something."""
        return int(self._rows("PRAGMA data_version")[0][0])

    def hashes(self) -> set[str]:
        """Return the SHA-256 of every private file: what garbage collection must keep."""
        return {sha256 for (sha256,) in self._rows("SELECT sha256 FROM files WHERE NOT deleted")}

    def uploaded(self) -> set[str]:
        """Return the SHA-256 of every file that was ever uploaded, deleted ones included."""
        return {sha256 for (sha256,) in self._rows("SELECT sha256 FROM files")}

    def holds(self, sha256: str) -> bool:
        """Say whether a file of that SHA-256 was ever uploaded here."""
        return bool(self._rows("SELECT 1 FROM files WHERE sha256=? LIMIT 1", sha256))

    def yank(self, filename: str, reason: str | None) -> str:
        """Yank a file, or with `reason` None take that back (PEP 592); return its project."""
        return self._change("UPDATE files SET yanked=? WHERE filename=? AND NOT deleted", filename,
                            reason)  # fmt: skip

    def delete(self, filename: str) -> str:
        """Take a file out of the index for good; return its project."""
        return self._change("UPDATE files SET deleted=1 WHERE filename=? AND NOT deleted", filename)

    def _change(self, statement: str, filename: str, *values: str | None) -> str:
        rows = self._rows("SELECT project FROM files WHERE filename=?", filename)
        if not rows or not self._run(statement, (*values, filename)):
            raise NoSuchFile(f"there is no private file {filename!r}")
        return str(rows[0][0])

    def _run(self, statement: str, values: Sequence[Any]) -> int:
        with self._lock, _mapped():
            return self._database.execute(statement, values).rowcount

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        with self._lock, _mapped():
            return self._database.execute(query, values).fetchall()


class PrivatePages:
    """The page source of private names. Their validator is the page's own hash."""

    def __init__(self, private: Private) -> None:
        self._private = private

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        """Return a private project's page, or that it has not changed."""
        page = await asyncio.to_thread(self._private.project, name)
        if page is None:
            raise ProjectNotFound(f"{name!r} is private, and nothing was published under it")
        etag = f'"{hashlib.blake2b(repr(page).encode(), digest_size=12).hexdigest()}"'
        unchanged = known is not None and known.etag == etag
        return Fetched(None if unchanged else page, Validators(etag))

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the private names."""
        for name in await asyncio.to_thread(self._private.names):
            yield ProjectEntry(name)


@contextlib.contextmanager
def _mapped() -> Iterator[None]:
    """Map SQLite's errors to ours at this border."""
    try:
        yield
    except sqlite3.Error as error:
        raise from_sqlite(error) from None


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _file(row: Sequence[Any]) -> File:
    filename, _, sha256, size, requires_python, metadata, is_wheel, uploaded, yanked, proofs = row
    return File(
        filename=filename,
        url=f"private:{filename}",
        hashes={"sha256": sha256},
        requires_python=requires_python,
        size=size,
        upload_time=uploaded,
        yanked=yanked,
        core_metadata={"sha256": hashlib.sha256(metadata).hexdigest()} if is_wheel else None,
        provenance=f"/integrity/{filename}" if proofs else None,
    )
