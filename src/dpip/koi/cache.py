"""The cache: the bundles that a node holds, by RID and by type.

`Cache` keeps them in SQLite: a listing is an index look-up, a write is atomic, and RIDs may
be of any length. `BundleCache` is what a node asks of any other cache.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import msgspec

from .bundle import Bundle, Manifest
from .canonical import numberless_form, wire_form
from .earlier import take_cache
from .model import decode
from .rid import RID
from .store import Store

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime

    from .rid import RIDType

FILE_NAME = "koi.sqlite3"
PAGE = 1000
MOST_IN_STATEMENT = 32


@runtime_checkable
class BundleCache(Protocol):
    """What a node needs of a cache. Every method is safe to call from any thread."""

    def read(self, rid: RID) -> Bundle | None:
        """Return the bundle, or None."""
        ...

    def write(self, bundle: Bundle) -> Bundle:
        """Keep the bundle, in place of an older one; return it."""
        ...

    def exists(self, rid: RID) -> bool:
        """Say whether there is a bundle of this RID."""
        ...

    def delete(self, rid: RID) -> None:
        """Drop the bundle; nothing happens if there is none."""
        ...

    def list_rids(self, rid_types: Sequence[RIDType] | None = None) -> list[RID]:
        """Return the RIDs held, of the types named or of all."""
        ...


class Record(msgspec.Struct, frozen=True, gc=False):
    """A bundle's row without its contents. `source`: None is this node, '' unknown."""

    manifest: Manifest
    source: str | None
    verified: bool


class Cache:
    """A cache in the file `koi.sqlite3` of a directory.

    What was written survives the death of the process; with `sync`, a power cut too.
    """

    def __init__(
        self,
        directory_path: Path | str = "rid_cache",
        *,
        store: Store | None = None,
        sync: bool = False,
    ) -> None:
        self.directory_path = Path(directory_path)
        self.store = store or Store(self.directory_path / FILE_NAME, sync=sync)
        self.changes = 0
        """How often this cache was changed: what was read before a change may be out of date."""
        if store is None:
            take_cache(self)

    def read(self, rid: RID) -> Bundle | None:
        """Return the bundle, or None."""
        row = self.store.row("SELECT manifest, contents FROM bundle WHERE rid=?", (str(rid),))
        return None if row is None else _bundle(*row)

    def write(self, bundle: Bundle) -> Bundle:
        """Keep the bundle as this node's own; durable when this returns."""
        return self.put(bundle, source=None, verified=bundle.verified)

    def put(
        self, bundle: Bundle, *, source: str | None, verified: bool, later: bool = False
    ) -> Bundle:
        """Keep the bundle; who introduced a RID first stays its source."""
        with self.store.change(later=later) as connection:
            self.changes += 1
            connection.execute(_put(1), _row(bundle, source, verified, int(time())))
        return bundle

    def put_many(self, rows: Sequence[tuple[Bundle, str | None, bool]]) -> None:
        """Keep bundles with their source and whether they are verified; the commit is later."""
        with self.store.change(later=True) as connection:
            self.changes += 1
            now = int(time())
            values = [_row(*row, now) for row in rows]
            size = MOST_IN_STATEMENT
            while values:
                while len(values) >= size:
                    part, values = values[:size], values[size:]
                    connection.execute(_put(size), [value for row in part for value in row])
                size //= 2

    def exists(self, rid: RID) -> bool:
        """Say whether there is a bundle of this RID."""
        return self.store.row("SELECT 1 FROM bundle WHERE rid=?", (str(rid),)) is not None

    def delete(self, rid: RID, *, later: bool = False) -> None:
        """Drop the bundle; nothing happens if there is none."""
        with self.store.change(later=later) as connection:
            self.changes += 1
            connection.execute("DELETE FROM bundle WHERE rid=?", (str(rid),))

    def drop(self) -> None:
        """Drop every bundle."""
        with self.store.change() as connection:
            self.changes += 1
            connection.execute("DELETE FROM bundle")

    def list_rids(self, rid_types: Sequence[RIDType] | None = None) -> list[RID]:
        """Return the RIDs held, of the types named or, if none is, of all; ordered by text."""
        return [RID.from_string(rid) for (rid,) in self.scan("rid", rid_types or None)]

    def record(self, rid: RID) -> Record | None:
        """Return what is known of a bundle without reading its contents."""
        row = self.store.row(
            "SELECT manifest, source, verified FROM bundle WHERE rid=?", (str(rid),)
        )
        return None if row is None else Record(decode(row[0], Manifest), row[1], bool(row[2]))

    def introduced_by(self, source: RID, rid_types: Sequence[RIDType]) -> list[RID]:
        """Return the RIDs of some types that a node introduced."""
        found = self.scan("rid, source", rid_types)
        return [RID.from_string(rid) for rid, introducer in found if introducer == str(source)]

    def scan(
        self,
        columns: str,
        rid_types: Sequence[RIDType] | None = None,
        *,
        page: int = PAGE,
        durable: bool = False,
    ) -> Iterator[Any]:
        """Yield rows by type and RID, a page at a time: flat memory, no lock in between.

        `durable`: only what a crash cannot undo, for the eyes of others.
        """
        read = self.store.look if durable else self.store.rows
        for kind in [None] if rid_types is None else sorted({str(kind) for kind in rid_types}):
            clause, first = ("rid>?", ("",)) if kind is None else ("type=? AND rid>?", (kind, ""))
            query = f"SELECT {columns}, rid FROM bundle WHERE {clause} ORDER BY rid LIMIT {page}"
            rows = read(query, first)
            while rows:
                for row in rows:
                    yield row[:-1]
                rows = read(query, (*first[:-1], rows[-1][-1]))

    def pick(self, columns: str, rids: Iterable[RID]) -> Iterator[tuple[RID, Any]]:
        """Yield each RID with its row as far as it is durable, or with None."""
        query = f"SELECT {columns} FROM bundle WHERE rid=?"
        for rid in rids:
            rows = self.store.look(query, (str(rid),))
            yield rid, rows[0] if rows else None


def store_of(cache: BundleCache, file_path: Path | str, *, sync: bool = False) -> Store:
    """Return the database of a cache; for caches of other make, one beside a file."""
    if isinstance(cache, Cache):
        return cache.store
    return Store(Path(file_path).with_suffix(".sqlite3"), sync=sync)


@cache
def _put(count: int) -> str:
    """Return the statement for a number of rows: one call of the database for all of them."""
    return f"""
INSERT INTO bundle (rid, type, source, verified, manifest, contents, at)
VALUES {",".join(["(?,?,?,?,?,?,?)"] * count)} ON CONFLICT (rid) DO UPDATE SET id=excluded.id,
verified=excluded.verified, manifest=excluded.manifest, contents=excluded.contents, at=excluded.at
"""


def _row(bundle: Bundle, source: str | None, verified: bool, at: int) -> tuple[Any, ...]:
    manifest = bundle.manifest
    rid = str(manifest.rid)
    written = numberless_form(_Manifest(rid, manifest.timestamp, manifest.sha256_hash))
    kind = type(manifest.rid).text
    return rid, kind, source, verified, written, wire_form(bundle.contents), at


class _Manifest(msgspec.Struct, gc=False):
    """A manifest whose RID is text already."""

    rid: str
    timestamp: datetime
    sha256_hash: str


def _bundle(manifest: bytes, contents: bytes) -> Bundle:
    return Bundle(decode(manifest, Manifest), msgspec.json.decode(contents))
