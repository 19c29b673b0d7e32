"""Compaction: packs of which much is no longer wanted are written anew and dropped.

It goes pack by pack and a few megabytes at a time, each step its own short transaction, so
that neither readers nor other writers wait. A reader that was on its way to a pack that is
gone looks its block up again and finds it where it lies now.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import Damaged, HashMismatch
from . import frames
from .store import groups
from .store_rows import record

if TYPE_CHECKING:
    import sqlite3

    from ..blockstore import Block
    from .store import DiskBlockstore

DEAD = 0.25
"""Share of a pack that must be unwanted before it is worth the work."""
STEP = 4 * 2**20
PAUSE = 0.0


@dataclass(slots=True)
class Compacted:
    """Packs dropped, and bytes that they took less bytes written anew."""

    packs: int = 0
    freed: int = 0


def compact(store: DiskBlockstore, *, dead: float = DEAD, pause: float = PAUSE) -> Compacted:
    """Compact every pack that deserves it; rest `pause` seconds between steps."""
    result = Compacted()
    for pack, size, live in _packs(store):
        if size and live > (1 - dead) * size:
            continue
        written = 0
        while (step := _move(store, pack)) is not None:
            written += step
            time.sleep(pause)
        with store.index.write() as db:
            if db.execute("SELECT 1 FROM frames WHERE pack = ?", (pack,)).fetchone():
                continue
            db.execute("DELETE FROM packs WHERE id = ?", (pack,))
        store.packs.drop(pack)
        result.packs += 1
        result.freed += size - written
    return result


def _packs(store: DiskBlockstore) -> list[tuple[int, int, float]]:
    """Return number, size and about how many wanted bytes of every pack."""
    return store.index.read(
        "SELECT packs.id, packs.size,"
        " COALESCE(SUM(length * (wanted + 1.0) / (plain + 1.0)), 0.0)"
        " FROM packs LEFT JOIN frames ON frames.pack = packs.id GROUP BY packs.id"
    ).fetchall()


@dataclass(frozen=True, slots=True)
class _Moving:
    """A frame to be written again: as it is, if `frame` says which; else as a new one."""

    data: bytes
    frame: int | None
    touched: int


def _move(store: DiskBlockstore, pack: int) -> int | None:
    """Move the next frames out of a pack; return the bytes written, None if none is left."""
    with store.index.write() as db:
        rows = db.execute(
            "SELECT id, at, length, plain, wanted, touched FROM frames"
            " WHERE pack = ? ORDER BY at LIMIT 64",
            (pack,),
        ).fetchall()
        if not rows:
            return None
        (last,) = db.execute("SELECT MAX(id) FROM packs").fetchone()
        if last == pack:
            db.execute("INSERT INTO packs (size) VALUES (0)")
        moving: list[_Moving] = []
        for row in rows:
            moving += _rewritten(store, db, pack, row)
            if sum(len(one.data) for one in moving) >= STEP:
                break
        places = store.packs.append(db, [one.data for one in moving])
        for one, place in zip(moving, places, strict=True):
            if one.frame is None:
                record(db, place, frames.decode(one.data), one.touched)
            else:
                where = (*place, one.frame)
                db.execute("UPDATE frames SET pack = ?, at = ? WHERE id = ?", where)
        return sum(len(one.data) for one in moving)


def _rewritten(
    store: DiskBlockstore, db: sqlite3.Connection, pack: int, row: tuple[int, ...]
) -> list[_Moving]:
    """Return what becomes of a frame: itself, or new frames of the blocks still wanted."""
    number, at, length, plain, wanted, touched = row
    old = store.packs.read(pack, at, length)
    blocks = _without_unwanted(db, number, old) if wanted < plain else None
    if blocks is None:
        return [_Moving(old, number, touched)]
    db.execute("DELETE FROM frames WHERE id = ?", (number,))
    return [_Moving(frames.encode(group), None, touched) for group in groups(blocks)]


def _without_unwanted(db: sqlite3.Connection, number: int, data: bytes) -> list[Block] | None:
    """Return the wanted blocks of a frame; None if it is damaged and must stay for fsck."""
    try:
        blocks = frames.blocks(data)
    except (Damaged, HashMismatch):
        return None
    rows = db.execute("SELECT hash FROM blocks WHERE frame = ?", (number,))
    wanted = {multihash for (multihash,) in rows}
    return [block for block in blocks if block.cid.multihash in wanted]
