"""Take up again what a power cut made the index forget.

Writing blocks syncs the pack they go to and not the index: one wait for the disk instead of
two. A process that dies takes nothing with it. A machine that dies may take the index's last
commits, and these can only be appended frames: every other transaction is synced, and syncs
all before it. The frames are then in the last pack, behind what counts, complete and checked
by their hashes, and are recorded here before anybody appends over them. What a killed write
left there is taken up by the same rule: blocks that nobody will ask for, for the next
collection.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import IpfsError
from . import frames
from .store_rows import known, record

if TYPE_CHECKING:
    import sqlite3

    from ..blockstore import Block
    from .index import Index
    from .packs import Packs


def is_longer(index: Index, packs: Packs) -> bool:
    """Say whether the last pack has bytes that do not count; one that is being written may."""
    row = index.read("SELECT id, size FROM packs ORDER BY id DESC LIMIT 1").fetchone()
    return row is not None and packs.size(row[0]) > row[1]


def take_up(index: Index, packs: Packs, now: int) -> int:
    """Record the whole frames behind what counts of the last pack; return how many blocks."""
    with index.write() as db:
        row = db.execute("SELECT id, size FROM packs ORDER BY id DESC LIMIT 1").fetchone()
        if row is None:
            return 0
        pack, at = row
        taken = 0
        while (found := _frame(packs, pack, at)) is not None:
            data, blocks = found
            taken += _record(db, (pack, at), data, blocks, now)
            at += len(data)
        db.execute("UPDATE packs SET size = ? WHERE id = ?", (at, pack))
        return taken


def _frame(packs: Packs, pack: int, at: int) -> tuple[bytes, list[Block]] | None:
    """Return the frame at an offset and its blocks, or None if no whole one is there."""
    try:
        header, payload, _ = frames.decode_lengths(packs.read(pack, at, frames.FIXED))
        data = packs.read(pack, at, frames.FIXED + header + payload)
        return data, frames.blocks(data)
    except (IpfsError, FileNotFoundError):
        return None


def _record(
    db: sqlite3.Connection, place: tuple[int, int], data: bytes, blocks: list[Block], now: int
) -> int:
    """Record a frame if the index lacks any of its blocks; those it has stay where they are."""
    lacking = {block.cid.multihash for block in blocks if not known(db, block.cid)}
    if not lacking:
        return 0
    record(db, place, frames.decode(data), now, lacking)
    return len(lacking)
