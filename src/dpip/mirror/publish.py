"""Publishing an index: what changed becomes a new root, and the root a signed head.

`Publisher` keeps, for one index key, which projects are published under which CID, the
buckets of the root page, and the head: root, sequence and signed record. All of it is one
SQLite file, written in one transaction *after* the blocks are in the store, so a publisher
killed at any instant starts again from a head that is whole. The sequence is raised before a
record leaves, never after, so that no two records share one.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dpip.ipfs import ipns
from dpip.ipfs.cid import CID
from dpip.ipfs.directory import Directory
from dpip.mirror.tree import (
    PAGE,
    PROFILE,
    Held,
    Part,
    bucket_leaf,
    bucket_of,
    put_part,
    root_page,
    write_project,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.keys import PrivateKey
    from dpip.simple.model import Project

LIFETIME = ipns.DEFAULT_LIFETIME
TTL = 60 * ipns.SECOND

_DDL = """
CREATE TABLE IF NOT EXISTS published (
  name TEXT PRIMARY KEY, cid BLOB NOT NULL, tsize INTEGER NOT NULL, source TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS buckets (
  prefix TEXT PRIMARY KEY, cid BLOB NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS head (
  one INTEGER PRIMARY KEY CHECK (one = 1), root BLOB, sequence INTEGER NOT NULL, record BLOB,
  cursor TEXT NOT NULL
);
INSERT OR IGNORE INTO head VALUES (1, NULL, 0, NULL, '');
"""


@dataclass(frozen=True, slots=True)
class Change:
    """A project as it is now; `project` None takes it out of the index.

    `source` identifies the state that was published, so that it is not published again.
    """

    name: str
    source: str
    project: Project | None
    held: Mapping[str, Held]


@dataclass(frozen=True, slots=True)
class Head:
    """A published state: the root directory and the record that points at it."""

    root: CID
    record: ipns.Record


class Publisher:
    """One published index. Not for concurrent use; its home's lock keeps others out."""

    def __init__(self, state: Path, store: Blockstore, key: PrivateKey) -> None:
        self._store = store
        self._key = key
        self._database = sqlite3.connect(state, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_DDL)

    def close(self) -> None:
        """Close the state."""
        self._database.close()

    @property
    def name(self) -> CID:
        """The IPNS name of the index."""
        return self._key.name

    def head(self) -> Head | None:
        """Return the last published head, or None if nothing was published."""
        root, record = self._row("SELECT root, record FROM head")
        if root is None or record is None:
            return None
        return Head(CID(root), ipns.verify(record, self.name))

    def cursor(self) -> str:
        """Return the note that came with the last publication: how far it had read."""
        return str(self._row("SELECT cursor FROM head")[0])

    def source_of(self, name: str) -> str | None:
        """Return the state under which a project is published, or None if it is not."""
        row = self._database.execute("SELECT source FROM published WHERE name=?", (name,))
        found = row.fetchone()
        return str(found[0]) if found else None

    def names(self) -> Iterator[str]:
        """Iterate over the published projects in name order."""
        last = ""
        while rows := self._rows(
            "SELECT name FROM published WHERE name>? ORDER BY name LIMIT 1000", last
        ):
            yield from (name for (name,) in rows)
            last = rows[-1][0]

    def publish(
        self, changes: Iterable[Change], now: int, *, cursor: Callable[[], str] | None = None
    ) -> Head:
        """Write the changes and sign a head, valid from `now` (nanoseconds since 1970).

        Costs what the changes cost; a change to a state that is published already costs
        nothing, and without any change the head is only signed anew. `cursor` is asked once
        the changes are read, and its answer kept in the same transaction.
        """
        with self._transaction():
            root = self._root()
            touched = {bucket_of(change.name) for change in self._apply(root, changes)}
            if cursor is not None:
                self._database.execute("UPDATE head SET cursor=?", (cursor(),))
            for prefix in touched:
                self._write_bucket(prefix)
            if touched or root.get(PAGE) is None:
                page = root_page(self._store, self._buckets())
                root.set(PAGE, page.cid, page.tsize)
            return self._sign(root.write().cid, now)

    def renew(self, now: int) -> Head | None:
        """Sign the head again if less than half of its life is left; None if not needed."""
        head = self.head()
        if head is None or not ipns.republish_due(head.record, now, LIFETIME):
            return None
        return self.publish((), now)

    def _root(self) -> Directory:
        (root,) = self._row("SELECT root FROM head")
        if root is None:
            return Directory(self._store, PROFILE)
        return Directory.load(self._store, CID(root), PROFILE)

    def _apply(self, root: Directory, changes: Iterable[Change]) -> Iterator[Change]:
        """Put each change into the root; yield those that change the list of names."""
        for change in changes:
            published = self.source_of(change.name)
            was = published is not None
            if change.project is None:
                if was:
                    root.remove(change.name)
                    self._database.execute("DELETE FROM published WHERE name=?", (change.name,))
                    yield change
                continue
            if published == change.source:
                continue
            link = write_project(self._store, change.project, change.held)
            root.set(change.name, link.cid, link.tsize)
            self._database.execute(
                "REPLACE INTO published VALUES (?,?,?,?)",
                (change.name, link.cid.raw, link.tsize, change.source),
            )
            if not was:
                yield change

    def _write_bucket(self, prefix: str) -> None:
        names = [
            name
            for (name,) in self._rows(
                "SELECT name FROM published WHERE name>=? AND name<?", prefix, _after(prefix)
            )
            if bucket_of(name) == prefix
        ]
        if not names:
            self._database.execute("DELETE FROM buckets WHERE prefix=?", (prefix,))
            return
        part = put_part(self._store, bucket_leaf(names))
        self._database.execute(
            "REPLACE INTO buckets VALUES (?,?,?)", (prefix, part.cid.raw, part.length)
        )

    def _buckets(self) -> list[Part]:
        rows = self._rows("SELECT cid, length FROM buckets ORDER BY prefix")
        return [Part(CID(cid), length) for cid, length in rows]

    def _sign(self, root: CID, now: int) -> Head:
        (sequence,) = self._row("SELECT sequence FROM head")
        record = ipns.create(
            self._key,
            f"/ipfs/{root}",
            sequence=sequence + 1,
            expires=now + LIFETIME,
            ttl=TTL,
        )
        self._database.execute(
            "UPDATE head SET root=?, sequence=?, record=?", (root.raw, sequence + 1, record.raw)
        )
        return Head(root, record)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _row(self, query: str) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._database.execute(query).fetchone()
        return row

    def _rows(self, query: str, *values: str) -> list[tuple[Any, ...]]:
        return self._database.execute(query, values).fetchall()


def _after(prefix: str) -> str:
    """Return the first string after all those that begin with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)
