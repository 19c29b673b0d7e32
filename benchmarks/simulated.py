"""A synthetic mirror: its catalog as a finished sync leaves it, and an upstream in memory.

Hashes are those of random-looking bytes, as real ones are: rows that belong together lie far
apart in tables that are ordered by hash. To fill such tables at all, rows are staged as they
come and copied over in the order of the table, and indexes are made last.
"""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING

from dpip.mirror import schema, totals
from dpip.simple.model import File, Project, ProjectEntry
from dpip.simple.render import render
from dpip.simple.upstream import Fetched, Validators

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

FILES = 10
SERIAL = 1_000_000
CHUNK = 20_000
_INDEXES = ("files_by_project", "archives_without_cid", "followed_due")
_STAGED = """
CREATE TABLE staged.files (key, filename, project, url);
CREATE TABLE staged.archives (sha256, filename);
"""
_COPY = """
INSERT INTO files (key, filename, project, sha256, size, url, sidecar, listed)
  SELECT key, filename, project, key, 100000, url, 1, 1 FROM staged.files ORDER BY key, filename;
INSERT INTO archives
  SELECT sha256, filename, 100000, 'cid', 'upstream', 1 FROM staged.archives ORDER BY sha256;
"""


def name_of(number: int) -> str:
    """Return a project's name."""
    return f"project-{number:07d}"


def sha256_of(number: int, version: int) -> str:
    """Return a file's hash."""
    return hashlib.sha256(b"%d-%d" % (number, version)).hexdigest()


def filename_of(number: int, version: int) -> str:
    """Return a file's name."""
    return f"project_{number:07d}-{version}.0-py3-none-any.whl"


def project_of(number: int, serial: int = SERIAL) -> Project:
    """Return a project's page as upstream has it."""
    name = name_of(number)
    files = tuple(
        File(
            filename_of(number, version),
            f"http://upstream.invalid/{name}/{version}",
            {"sha256": sha256_of(number, version)},
            size=100_000,
            upload_time="2026-01-02T03:04:05Z",
            core_metadata={},
        )
        for version in range(FILES)
    )
    return Project(name, files, last_serial=serial)


def make(home: Path, projects: int) -> None:
    """Fill the catalog of a home."""
    database, _ = schema.open_database(home / "catalog.sqlite3")
    for trigger in totals.NAMES:
        database.execute(f"DROP TRIGGER {trigger}")
    for index in _INDEXES:
        database.execute(f"DROP INDEX {index}")
    database.execute("PRAGMA journal_mode=OFF")
    database.execute("PRAGMA synchronous=OFF")
    database.execute("PRAGMA cache_size=-200000")
    _fill(database, home / "staged", projects)
    database.execute(f"PRAGMA user_version={schema.VERSION - 1}")
    database.close()
    # An older version number lets the next one who opens it make indexes and totals.
    schema.open_database(home / "catalog.sqlite3")[0].close()


def _fill(database: sqlite3.Connection, staged: Path, projects: int) -> None:
    sqlite3.connect(staged).close()
    database.execute("ATTACH ? AS staged", (str(staged),))
    database.execute("PRAGMA staged.journal_mode=OFF")
    database.executescript(_STAGED)
    page = render(project_of(0))
    for start in range(0, projects, CHUNK):
        numbers = range(start, min(start + CHUNK, projects))
        database.execute("BEGIN")
        _put(database, numbers, page.html_gzip, page.json_gzip)
        database.execute("COMMIT")
    database.executescript(f"BEGIN; {_COPY} COMMIT;")
    database.execute("DETACH staged")
    staged.unlink()


def _put(database: sqlite3.Connection, numbers: range, html: bytes, body: bytes) -> None:
    database.executemany(
        "INSERT INTO projects VALUES (?,0,1,'\"e\"',NULL,?,'active','upstream')",
        ((name_of(n), SERIAL) for n in numbers),
    )
    database.executemany(
        "INSERT INTO pages VALUES (?,?,?,?,?)",
        ((name_of(n), f'"{n}"', SERIAL, html, body) for n in numbers),
    )
    database.executemany(
        "INSERT INTO followed VALUES (?,?,1,1,NULL,0,'')", ((name_of(n), SERIAL) for n in numbers)
    )
    files = [(sha256_of(n, v), filename_of(n, v), n, v) for n in numbers for v in range(FILES)]
    database.executemany(
        "INSERT INTO staged.files VALUES (?,?,?,?)",
        ((key, file, name_of(n), f"http://upstream.invalid/{n}/{v}") for key, file, n, v in files),
    )
    database.executemany("INSERT INTO staged.archives VALUES (?,?)", (row[:2] for row in files))


class MemoryUpstream:
    """An index whose pages are computed; `changed` numbers have a newer serial and a yank."""

    def __init__(self, projects: int, changed: frozenset[int]) -> None:
        self._projects = projects
        self._changed = changed

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        """Return a page that changed."""
        del known
        page = project_of(int(name.rpartition("-")[2]), SERIAL + 1)
        files = (replace(page.files[0], yanked="broken"), *page.files[1:])
        return Fetched(replace(page, files=files), Validators('"n"'))

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the root list."""
        for number in range(self._projects):
            yield ProjectEntry(name_of(number), SERIAL + (number in self._changed))
