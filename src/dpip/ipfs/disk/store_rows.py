"""Frames and blocks in the index: recorded, put again, forgotten. All inside a transaction."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Collection

    from ..blockstore import Block
    from ..cid import CID
    from .frames import Frame


def record(
    db: sqlite3.Connection,
    place: tuple[int, int],
    frame: Frame,
    now: int,
    only: Collection[bytes] | None = None,
) -> None:
    """Write a frame that lies at `place` (pack, offset) and its blocks into the index.

    With `only`, the blocks of these multihashes; the others count as unwanted.
    """
    pack, at = place
    start, rows, wanted = 0, [], 0
    for cid, size in zip(frame.cids, frame.sizes, strict=True):
        if only is None or cid.multihash in only:
            rows.append((cid.multihash, cid.codec, start, size))
            wanted += size
        start += size
    made = db.execute(
        "INSERT INTO frames (pack, at, length, data_at, plain, zstd, live, wanted, touched)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (pack, at, frame.length, frame.data_at, frame.plain_size, frame.compressed,
         len(rows), wanted, now),
    )  # fmt: skip
    db.executemany(
        "INSERT OR REPLACE INTO blocks VALUES (?, ?, ?, ?, ?)",
        ((multihash, codec, made.lastrowid, at, size) for multihash, codec, at, size in rows),
    )


def known(db: sqlite3.Connection, cid: CID) -> bool:
    """Say whether the block is in the index."""
    row = db.execute("SELECT 1 FROM blocks WHERE hash = ?", (cid.multihash,)).fetchone()
    return row is not None


def touch(db: sqlite3.Connection, block: Block, now: int) -> bool:
    """Say whether the block is here already; if so it counts as put now."""
    row = db.execute("SELECT frame FROM blocks WHERE hash = ?", (block.cid.multihash,)).fetchone()
    if row is None:
        return False
    db.execute("UPDATE frames SET touched = ? WHERE id = ? AND touched < ?", (now, row[0], now))
    return True


def forget(db: sqlite3.Connection, multihash: bytes) -> int:
    """Take a block out of the index and return its size, 0 if it was not there."""
    row = db.execute("SELECT frame, size FROM blocks WHERE hash = ?", (multihash,)).fetchone()
    if row is None:
        return 0
    frame, size = row
    db.execute("DELETE FROM blocks WHERE hash = ?", (multihash,))
    db.execute("UPDATE frames SET live = live - 1, wanted = wanted - ? WHERE id = ?", (size, frame))
    db.execute("DELETE FROM frames WHERE id = ? AND live = 0", (frame,))
    return int(size)
