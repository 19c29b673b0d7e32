"""Check a store from end to end, and put right what can be put right.

Every frame is read and every block hashed; every whole archive is hashed; every archive must
be whole or have a recipe with all its blocks. Repair never removes what is good: a damaged
block is forgotten, so that it can be fetched again; files that nothing speaks of go.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..dag import children
from ..errors import IpfsError, NotFound
from . import frames
from .store_rows import forget

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from ..cid import CID
    from .archives import Archive, Archives
    from .store import DiskBlockstore

HEADROOM = 3600.0
"""Seconds for which a file that nothing speaks of may still be on its way in."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong. `kind` is stable; `repaired` says whether it is no longer so."""

    kind: str
    what: str
    repaired: bool = False


def check(archives: Archives, *, repair: bool = False) -> Iterator[Finding]:
    """Yield what is wrong with a store; nothing, if nothing is."""
    yield from _frames(archives.store, repair=repair)
    yield from _stray_packs(archives.store, repair=repair)
    for archive in archives.listing():
        yield from _archive(archives, archive, repair=repair)
    yield from _stray_files(archives, repair=repair)


def _frames(store: DiskBlockstore, *, repair: bool) -> Iterator[Finding]:
    last = 0
    while rows := store.index.read(
        "SELECT id, pack, at, length FROM frames WHERE id > ? ORDER BY id LIMIT 200", last
    ).fetchall():
        for number, pack, at, length in rows:
            yield from _frame(store, number, (pack, at, length), repair=repair)
            last = number


def _frame(
    store: DiskBlockstore, number: int, place: tuple[int, int, int], *, repair: bool
) -> Iterator[Finding]:
    """Compare what the index says of a frame with what the frame holds."""
    found: dict[bytes, int] = {}
    damaged = ""
    try:
        for block in frames.blocks(store.packs.read(*place)):
            found[block.cid.multihash] = len(block.data)
    except FileNotFoundError:
        damaged = "its pack is gone"
    except IpfsError as error:
        damaged = str(error)
    if damaged and _moved(store, number, place):
        return
    rows = store.index.read("SELECT hash, size FROM blocks WHERE frame = ?", number).fetchall()
    bad = [multihash for multihash, size in rows if found.get(multihash) != size]
    if not bad:
        return
    if repair:
        with store.index.write() as db:
            for multihash in bad:
                forget(db, multihash)
    what = f"{len(bad)} blocks in frame {number} of pack {place[0]}: {damaged or 'not there'}"
    yield Finding("damaged-blocks", what, repair)


def _moved(store: DiskBlockstore, number: int, place: tuple[int, int, int]) -> bool:
    """Say whether compaction moved the frame while it was being looked at."""
    now = store.index.read("SELECT pack, at, length FROM frames WHERE id = ?", number).fetchone()
    return bool(now != place)


def _stray_packs(store: DiskBlockstore, *, repair: bool) -> Iterator[Finding]:
    """Find packs that the index does not know; opening a store drops those of before."""
    with store.index.write():
        strays = store.stray_packs()
    if repair:
        store.drop_strays()
    for pack in sorted(strays):
        yield Finding("stray-pack", store.packs.path(pack).name, repair)


def _archive(archives: Archives, archive: Archive, *, repair: bool) -> Iterator[Finding]:
    path = archives.whole(archive)
    is_whole = path.exists()
    if is_whole and _sha256(path) != archive.sha256:
        if repair:
            path.unlink()
        is_whole = False
        yield Finding("damaged-archive", f"{archive.filename}: the whole file is damaged", repair)
    for root in (archive.root, archive.recipe):
        if root is None:
            continue
        absent = _absent(archives.store, root, leaves=root == archive.recipe)
        if absent is not None:
            fixed = repair and is_whole and archives.restore_blocks(archive)
            kind = "incomplete-recipe" if root == archive.recipe else "incomplete-file"
            yield Finding(kind, f"{archive.filename}: block {absent} is missing", fixed)
            return
    if archive.recipe is None and not is_whole:
        yield Finding("lost-archive", f"{archive.filename}: its only copy is gone", repaired=False)


def _absent(store: DiskBlockstore, root: CID, *, leaves: bool) -> CID | None:
    """Return a block below `root` that is not here, or None if all are."""
    stack, seen = [root], set()
    while stack:
        cid = stack.pop()
        if cid in seen:
            continue
        seen.add(cid)
        if cid.codec_name == "raw":
            if leaves and not store.has(cid):
                return cid
            continue
        try:
            stack += children(cid, store.get(cid))
        except (NotFound, IpfsError):
            return cid
    return None


def _stray_files(archives: Archives, *, repair: bool) -> Iterator[Finding]:
    """Find whole files and parts that no archive speaks of, unless they have just come."""
    before = archives.store.clock() - HEADROOM
    for path in archives.strays():
        if path.stat().st_mtime < before:
            if repair:
                path.unlink(missing_ok=True)
            yield Finding("stray-file", path.name, repair)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
