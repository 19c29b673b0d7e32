"""Make a lost or damaged index again from the packs and the journal.

The old index is set aside, never deleted. Packs are read from end to end; where a frame is
damaged, the next one is searched for. Garbage that was swept and not yet compacted comes
back as garbage, for the next collection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import unixfs
from ..cid import CID, RAW
from ..errors import IpfsError
from ..importer import Leaf
from . import frames
from .archives import record, record_leaves, view
from .journal import Added, Line, Pinned, Removed, Unpinned
from .store import DiskBlockstore
from .store_rows import record as record_frame

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable
    from pathlib import Path

ASIDE = "index.sqlite.damaged"


def reindex(folder: Path, clock: Callable[[], float]) -> DiskBlockstore:
    """Set the index of the store in `folder` aside and return the store with a new one.

    No other process may have the store open.
    """
    for suffix in ("", "-wal", "-shm"):
        old = folder / f"index.sqlite{suffix}"
        if old.exists():
            old.replace(folder / f"{ASIDE}{suffix}")
    store = DiskBlockstore(folder, clock=clock, keep_strays=True)
    for pack in store.packs.on_disk():
        with store.index.write() as db:
            _read_pack(store, db, pack)
    with store.index.write() as db:
        db.execute(_COUNT)
        db.execute("DELETE FROM frames WHERE live = 0")
    _replay(store)
    return store


_COUNT = """
    UPDATE frames SET (live, wanted) =
      (SELECT COUNT(*), COALESCE(SUM(size), 0) FROM blocks WHERE frame = frames.id)
"""


def _read_pack(store: DiskBlockstore, db: sqlite3.Connection, pack: int) -> None:
    path = store.packs.path(pack)
    db.execute("INSERT INTO packs VALUES (?, ?)", (pack, path.stat().st_size))
    for at, frame in frames.scan(view(path)):
        record_frame(db, (pack, at), frame, int(store.clock()))


def _replay(store: DiskBlockstore) -> None:
    """Bring archives and pins back from the journal."""
    added, pins = _state(store.journal.read())
    for archive in added:
        with store.index.write() as db:
            number = record(db, archive, int(store.clock()))
            try:
                record_leaves(db, number, _leaves(store, CID.parse(archive.root), archive.size))
            except IpfsError:
                continue  # fsck names what is missing
    with store.index.write() as db:
        rows = ((CID.parse(pin.cid).raw, pin.name) for pin in pins)
        db.executemany("INSERT OR IGNORE INTO pins VALUES (?, ?)", rows)


def _state(lines: Iterable[Line]) -> tuple[list[Added], list[Pinned]]:
    """Return the archives and pins that are there after all lines."""
    added: dict[str, Added] = {}
    pins: dict[str, dict[str, Pinned]] = {}
    for line in lines:
        match line:
            case Added():
                added[line.sha256] = line
            case Removed():
                added.pop(line.sha256, None)
            case Pinned():
                pins.setdefault(line.cid, {})[line.name] = line
            case Unpinned():
                for cid in [line.cid] if line.cid else list(pins):
                    names = pins.get(cid, {})
                    for name in [line.name] if line.name is not None else list(names):
                        names.pop(name, None)
    return list(added.values()), [pin for names in pins.values() for pin in names.values()]


def _leaves(store: DiskBlockstore, root: CID, size: int) -> list[Leaf]:
    """Return the leaves of a published file, from its inner nodes."""
    leaves, at, stack = [], 0, [(root, size)]
    while stack:
        cid, length = stack.pop()
        if cid.codec == RAW:
            leaves.append(Leaf(cid, at, length, length))
            at += length
            continue
        entry = unixfs.read(cid, store.get(cid))
        below = zip((link.cid for link in entry.links), entry.data.blocksizes, strict=True)
        stack += reversed(list(below))
    return leaves
