"""Publishing an index: what changed becomes a new root, and the root a signed head.

`Publisher` keeps, for one index key, which projects are published under which CID, the
leaves of the root page, and the head: root, sequence and signed record. All of it is one
SQLite file, written *after* the blocks are in the store.

Changes are taken in by steps, each committed with how far it has read and with the names that
the root does not show yet. Then one last transaction puts those into the root and signs it. So
a publisher killed at any instant starts again from a head that is whole, and a first
publication of a whole index goes on where it was. The names go into the root in the order of
their hash, some thousands at a time: each part of the trie is loaded once and let go again, so
that memory does not grow with the index.

The sequence is raised before a record leaves, never after, so that no two records share one.
"""

from __future__ import annotations

import contextlib
import sqlite3
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from dpip.ipfs import hamt, ipns
from dpip.ipfs.cid import CID
from dpip.ipfs.directory import Directory
from dpip.ipfs.gathering import Gathering
from dpip.mirror import root_page
from dpip.mirror.root_page import RootPage
from dpip.mirror.tree import PAGE, PROFILE, Held, write_project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.dagpb import Link
    from dpip.ipfs.keys import PrivateKey
    from dpip.simple.model import Project

LIFETIME = ipns.DEFAULT_LIFETIME
TTL = 60 * ipns.SECOND
STEP = 1000
"""Changes that are taken in, and committed, at a time."""
LOADED = 4096
"""Names that are put into the root between two writes of it."""
PATIENCE = 60.0
"""Seconds to wait for another process that works on the same state."""

_DDL = """
CREATE TABLE IF NOT EXISTS published (
  name TEXT PRIMARY KEY, cid BLOB NOT NULL, tsize INTEGER NOT NULL, source TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pending (
  name TEXT PRIMARY KEY, listed INTEGER NOT NULL
) WITHOUT ROWID;
DROP TABLE IF EXISTS buckets;
CREATE TABLE IF NOT EXISTS head (
  one INTEGER PRIMARY KEY CHECK (one = 1), root BLOB, sequence INTEGER NOT NULL, record BLOB,
  cursor TEXT NOT NULL
);
INSERT OR IGNORE INTO head VALUES (1, NULL, 0, NULL, '');
"""


_BY_SLOTS = """
SELECT pending.name, cid, tsize FROM pending LEFT JOIN published USING (name)
ORDER BY slots(pending.name)
"""
_CAME_OR_WENT = """
SELECT pending.name FROM pending LEFT JOIN published USING (name)
WHERE listed != (cid IS NOT NULL) ORDER BY pending.name
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
    """One published index. Not for concurrent use; its home's lock keeps others out.

    `keep` is called with each root that must outlive a collection of garbage, before
    anything here refers to it: parts of a long publication, and the new root.
    """

    def __init__(
        self,
        state: Path,
        store: Blockstore,
        key: PrivateKey,
        *,
        keep: Callable[[CID], object] = lambda _: None,
    ) -> None:
        self._store = store
        self._blocks = Gathering(store)
        self._key = key
        self._keep = keep
        self._database = sqlite3.connect(
            state, timeout=PATIENCE, isolation_level=None, check_same_thread=False
        )
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.executescript(_DDL + root_page.DDL)
        self._database.create_function("slots", 1, _slots, deterministic=True)

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
        self,
        changes: Iterable[Change],
        now: int,
        *,
        cursor: Callable[[], str] | None = None,
        above: int = 0,
    ) -> Head:
        """Write the changes and sign a head, valid from `now` (nanoseconds since 1970).

        Costs what the changes cost; a change to a state that is published already costs
        nothing, and without any change the head is only signed anew. `cursor` is asked after
        every step, and its answer kept in the same transaction. `above` is the highest sequence
        that is known of: another home with the same key may have published.
        """
        self._blocks = Gathering(self._store)
        steps = iter(changes)
        while True:
            with self._transaction():
                if not self._step(steps, cursor):
                    return self._finish(now, above)

    def renew(self, now: int, above: int = 0) -> Head | None:
        """Sign the head again if less than half of its life is left; None if not needed."""
        head = self.head()
        if head is None or not ipns.republish_due(head.record, now, LIFETIME):
            return None
        with self._transaction():
            # What a killed publication has taken in waits for the next one.
            return self._sign(head.root, now, above)

    def _step(self, changes: Iterator[Change], cursor: Callable[[], str] | None) -> bool:
        """Take in the next changes; say whether there may be more."""
        taken, part = 0, Directory(self._blocks, PROFILE)
        for change in islice(changes, STEP):
            taken += 1
            link = self._take_in(change)
            if link is not None:
                part.set(change.name, link.cid, link.tsize)
        if cursor is not None:
            self._database.execute("UPDATE head SET cursor=?", (cursor(),))
        if taken < STEP:
            return False
        self._secure(part.write().cid)
        return True

    def _take_in(self, change: Change) -> Link | None:
        """Note a change for the root; return the link to the project's new directory, if any."""
        published = self.source_of(change.name)
        if published == (None if change.project is None else change.source):
            return None
        self._database.execute(
            "INSERT OR IGNORE INTO pending VALUES (?,?)", (change.name, published is not None)
        )
        if change.project is None:
            self._database.execute("DELETE FROM published WHERE name=?", (change.name,))
            return None
        link = write_project(self._blocks, change.project, change.held)
        self._database.execute(
            "REPLACE INTO published VALUES (?,?,?,?)",
            (change.name, link.cid.raw, link.tsize, change.source),
        )
        return link

    def _finish(self, now: int, above: int) -> Head:
        """Put what is pending into the root, and sign it."""
        (raw,) = self._row("SELECT root FROM head")
        pending = self._database.execute("SELECT 1 FROM pending LIMIT 1").fetchone()
        if raw is not None and pending is None:
            return self._sign(CID(raw), now, above)
        root = self._write_root(CID(raw) if raw is not None else None)
        self._database.execute("DELETE FROM pending")
        self._secure(root)
        return self._sign(root, now, above)

    def _write_root(self, before: CID | None) -> CID:
        directory = Directory(self._blocks, PROFILE)
        if before is not None:
            directory = self._load(before)
        for number, (name, cid, tsize) in enumerate(self._database.execute(_BY_SLOTS), start=1):
            if cid is not None:
                directory.set(name, CID(cid), tsize)
            elif directory.get(name) is not None:
                directory.remove(name)
            if number % LOADED == 0:
                directory = self._load(directory.write().cid)
        lines = RootPage(self._database, self._blocks)
        lines.update(name for (name,) in self._database.execute(_CAME_OR_WENT))
        page = lines.write()
        directory.set(PAGE, page.cid, page.tsize)
        return directory.write().cid

    def _load(self, root: CID) -> Directory:
        return Directory.load(self._blocks, root, PROFILE)

    def _secure(self, root: CID) -> None:
        self._blocks.flush()
        self._keep(root)

    def _sign(self, root: CID, now: int, above: int) -> Head:
        sequence = max(self._row("SELECT sequence FROM head")[0], above)
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


def _slots(name: str) -> bytes:
    """Return what orders names as the root's trie does."""
    return hamt.key(name).to_bytes(8, "big")
