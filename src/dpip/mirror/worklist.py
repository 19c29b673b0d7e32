"""The projects that a mirror follows, and which of them are due: rows of the catalog.

A sync that is killed finds here what was still to be done. Rows are written as projects are
finished, one each, so the cost is that of what changed.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

from dpip.mirror.follow import Followed
from dpip.simple.model import ProjectEntry

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
    from concurrent.futures import Future

    from dpip.mirror.catalog import Catalog
    from dpip.mirror.follow import Due

CHUNK = 1000
_ROW = "name, serial, checked_at, listed, due_at, failures, problem"


class Worklist:
    """The followed projects of a catalog. Writes are committed when their future ends."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def all(self) -> Iterator[Followed]:
        """Stream all followed projects in order of their name."""
        last = ""
        while rows := self._read("WHERE name>? ORDER BY name LIMIT ?", last, CHUNK):
            yield from rows
            last = rows[-1].name

    def get(self, name: str) -> Followed | None:
        """Return one project, or None if it is not followed."""
        rows = self._read("WHERE name=?", name)
        return rows[0] if rows else None

    def due(self, now: float, limit: int) -> list[Followed]:
        """Return projects whose time has come, those that wait longest first."""
        return self._read("WHERE due_at<=? ORDER BY due_at LIMIT ?", now, limit)

    def next_due(self) -> float | None:
        """Return when the next project is due, in seconds since the epoch."""
        rows = self._catalog.read("SELECT min(due_at) FROM followed WHERE due_at IS NOT NULL")
        due: float | None = rows[0][0]
        return due

    def waiting(self, limit: int) -> list[Followed]:
        """Return projects that failed and wait for their next try, worst first."""
        return self._read(
            "WHERE due_at IS NOT NULL AND failures>0 ORDER BY failures DESC, name LIMIT ?", limit
        )

    def counts(self) -> dict[str, int]:
        """Return how many projects are followed, due, and failing."""
        row = self._catalog.read(
            "SELECT count(*), count(due_at), coalesce(sum(due_at IS NOT NULL AND failures>0), 0)"
            " FROM followed"
        )[0]
        return {"followed": row[0], "due": row[1], "failing": row[2]}

    def add(self, due: Sequence[Due], now: float) -> Future[None]:
        """Make projects due now; one that was failing begins again."""
        rows = [(one.name, one.serial, one.listed, now) for one in due]

        def write(connection: sqlite3.Connection) -> None:
            connection.executemany(
                "INSERT INTO followed (name, serial, checked_at, listed, due_at, failures, problem)"
                " VALUES (?,?,0,?,?,0,'') ON CONFLICT (name) DO UPDATE SET"
                " serial=coalesce(excluded.serial, serial), listed=excluded.listed,"
                " due_at=excluded.due_at, failures=0",
                rows,
            )

        return self._catalog.write(write)

    def add_all(self, now: float) -> Future[None]:
        """Make every followed project due, because the rules have changed."""
        return self._execute("UPDATE followed SET due_at=?, failures=0", now)

    def done(self, name: str, now: float) -> Future[None]:
        """Note that all of a project is here."""
        return self._execute(
            "UPDATE followed SET due_at=NULL, failures=0, problem='', checked_at=? WHERE name=?",
            now,
            name,
        )

    def failed(self, name: str, failures: int, due_at: float, problem: str) -> Future[None]:
        """Note a failure, and when to try again."""
        return self._execute(
            "UPDATE followed SET due_at=?, failures=?, problem=? WHERE name=?",
            due_at,
            failures,
            problem,
            name,
        )

    def drop(self, name: str) -> Future[None]:
        """Follow a project no more."""
        return self._execute("DELETE FROM followed WHERE name=?", name)

    def mark(self, key: str) -> str | None:
        """Return a remembered word, such as the serial up to which all was planned."""
        rows = self._catalog.read("SELECT value FROM marks WHERE key=?", key)
        return rows[0][0] if rows else None

    def set_mark(self, key: str, value: str) -> Future[None]:
        """Remember a word."""
        return self._execute("REPLACE INTO marks VALUES (?,?)", key, value)

    def _execute(self, statement: str, *values: object) -> Future[None]:
        def write(connection: sqlite3.Connection) -> None:
            connection.execute(statement, values)

        return self._catalog.write(write)

    def _read(self, condition: str, *values: object) -> list[Followed]:
        rows = self._catalog.read(f"SELECT {_ROW} FROM followed {condition}", *values)
        return [Followed(row[0], row[1], row[2], bool(row[3]), *row[4:]) for row in rows]


class Sorted:
    """A root list put in order on disk, because upstreams order theirs as they like."""

    def __init__(self) -> None:
        # An empty name is a temporary database in a file that vanishes with the connection.
        self._rows = sqlite3.connect("")
        self._rows.execute("CREATE TABLE listed (name TEXT PRIMARY KEY, serial INTEGER)")
        self.count = 0
        self.newest: int | None = None
        """The highest serial of the list."""

    async def gather(self, entries: AsyncIterator[ProjectEntry]) -> None:
        """Take in a whole list."""
        batch: list[tuple[str, int | None]] = []
        async for entry in entries:
            batch.append((entry.key, entry.last_serial))
            if len(batch) == CHUNK:
                self._put(batch)
        self._put(batch)

    def tell(self, serials: Mapping[str, int]) -> None:
        """Add serials that the list itself did not tell, by name."""
        rows = ((serial, name) for name, serial in serials.items())
        self._rows.executemany("UPDATE listed SET serial=? WHERE name=?", rows)
        self.newest = max(serials.values(), default=None)

    def __iter__(self) -> Iterator[ProjectEntry]:
        with closing(self._rows.execute("SELECT name, serial FROM listed ORDER BY name")) as rows:
            for name, serial in rows:
                yield ProjectEntry(name, serial)

    def close(self) -> None:
        """Give the room back."""
        self._rows.close()

    def _put(self, batch: list[tuple[str, int | None]]) -> None:
        self._rows.executemany("INSERT OR REPLACE INTO listed VALUES (?,?)", batch)
        self.count += len(batch)
        serials = [serial for _, serial in batch if serial is not None]
        self.newest = max([*serials, self.newest or 0]) if serials else self.newest
        batch.clear()
