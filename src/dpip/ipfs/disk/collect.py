"""Garbage collection: mark what the pins reach, sweep the rest.

Marking reads only nodes. A pinned archive's root also reaches its recipe, and the other
way round. Writing goes on meanwhile, and two rules keep it safe. What was put, or put
again, less than `grace` seconds ago is spared, so an import that has not come to its pin yet
loses nothing. And each step of the sweep first looks, inside its own transaction, whether
pins were added since the marking; if so it marks from them before it goes on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .mark import Marks
from .store_rows import forget as forget_block

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Collection, Iterator

    from ..cid import CID
    from .archives import Archive, Archives

GRACE = 3600.0
STEP = 2000
"""Blocks that are looked at in one write transaction."""


@dataclass(slots=True)
class Collected:
    """What a collection removed, or would remove. Sizes are plain bytes.

    `young` unreachable blocks were spared; `missing` nodes are linked to and not here.
    """

    blocks: int = 0
    size: int = 0
    archives: int = 0
    kept: int = 0
    young: int = 0
    missing: int = 0


def collect(
    archives: Archives,
    *,
    grace: float = GRACE,
    dry_run: bool = False,
    ignored: frozenset[str] = frozenset(),
    released: Collection[tuple[CID, str]] = (),
    settled: Collection[bytes] = (),
    settled_grace: float = GRACE,
    forget: Callable[[str], None] = lambda _: None,
) -> Collected:
    """Remove every block and archive that no pin reaches.

    Pins named in `ignored` do not count, nor those whose (root, name) is in `released`.
    `forget` is told of each archive's sha256 before it goes, while nobody else can write.
    For the multihashes in `settled`, which are known to be no part of something that is still
    to be pinned, `settled_grace` is in place of `grace`.

    Raises Damaged or HashMismatch, having removed nothing more, at a node that cannot be
    read: what lies below it is not known.
    """
    store, result = archives.store, Collected()
    before = int(store.clock() - grace)
    sooner = int(store.clock() - settled_grace)

    def is_young(multihash: bytes, touched: int) -> bool:
        return touched > (sooner if multihash in settled else before)

    marks = Marks(store, ignored, released)
    marks.update()
    for archive in _unreached(archives, marks, before):
        result.archives += 1
        if not dry_run:
            _remove(archives, archive.sha256, marks, forget)
    last: bytes | None = b""
    while last is not None:
        with store.index.write() as db:
            marks.update()
            last = _step(db, marks, is_young, last, result=result, dry_run=dry_run)
    result.missing = len(marks.missing)
    return result


def _unreached(archives: Archives, marks: Marks, before: int) -> Iterator[Archive]:
    """Yield the archives that no pin reaches; those used since `before` count as pinned."""
    for archive in list(archives.listing()):
        if archive.root.multihash in marks.seen:
            continue
        if archive.used > before:
            marks.keep(archive.root)
        else:
            yield archive


def _remove(archives: Archives, sha256: str, marks: Marks, forget: Callable[[str], None]) -> None:
    def agreed(archive: Archive) -> bool:
        marks.update()
        if archive.root.multihash in marks.seen:
            return False
        forget(archive.sha256)
        return True

    archives.remove(sha256, agreed=agreed)


def _step(
    db: sqlite3.Connection,
    marks: Marks,
    is_young: Callable[[bytes, int], bool],
    last: bytes,
    *,
    result: Collected,
    dry_run: bool,
) -> bytes | None:
    """Sweep the next blocks after `last`; return the last one, None at the end."""
    rows = db.execute(
        "SELECT hash, blocks.size, touched FROM blocks JOIN frames ON frames.id = frame"
        " WHERE hash > ? ORDER BY hash LIMIT ?",
        (last, STEP),
    ).fetchall()
    for multihash, size, touched in rows:
        if multihash in marks.seen:
            result.kept += 1
        elif is_young(multihash, touched):
            result.young += 1
        else:
            result.blocks += 1
            result.size += size
            if not dry_run:
                forget_block(db, multihash)
    return rows[-1][0] if rows else None
