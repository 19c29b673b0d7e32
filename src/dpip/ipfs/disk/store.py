"""The embedded blockstore: one directory, many readers, one writer, crash-safe.

    index.sqlite      where each block lies, pins, archives
    packs/*.pack      frames of blocks, zstd-compressed, appended to
    journal.jsonl     archives and pins, from which a lost index is made again
    whole/ab/<sha256> whole archives; their published leaves are slices of them

A write appends frames to a pack, syncs it, and then commits to the index: at any instant
the index speaks only of bytes that are on the disk. That commit alone does not wait for the
disk; `tail` says why nothing is lost by it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import TYPE_CHECKING

from ..blockstore import Block, Location
from ..cid import CID, RAW, verify
from ..errors import Damaged, HashMismatch, NotFound
from . import frames, tail
from .index import Index, mapped
from .journal import Journal
from .packs import PACK, Packs
from .store_rows import forget, record, touch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

BATCH = 8 * 2**20
"""Bytes of blocks that are collected before a write transaction begins."""
CACHE = 32 * 2**20
"""Bytes of decompressed frames that are kept in memory."""
TRIES = 5


class DiskBlockstore:
    """Blocks in packs below `folder`; see `Blockstore` for what each method owes.

    `clock` gives seconds since the epoch; it marks when blocks were put or put again.
    `keep_strays` opens a store whose index is to be made again. Raises Damaged for an index
    that cannot be read, or is gone; Unwritable, Unavailable.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        pack_size: int = PACK,
        keep_strays: bool = False,
    ) -> None:
        with mapped(folder):
            folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.packs = Packs(folder / "packs", pack_size)
        place = folder / "index.sqlite"
        if not keep_strays and not _has_bytes(place) and any(self.packs.on_disk()):
            raise Damaged(f"{place} is gone, but there are packs")
        self.index = Index(place)
        self.journal = Journal(folder / "journal.jsonl")
        self.clock = clock
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._cached = 0
        self._lock = threading.Lock()
        if not keep_strays:
            if self.stray_packs():
                self.drop_strays()
            if tail.is_longer(self.index, self.packs):
                tail.take_up(self.index, self.packs, int(self.clock()))

    def stray_packs(self) -> set[int]:
        """Return the pack files that the index does not know."""
        known = {pack for (pack,) in self.index.read("SELECT id FROM packs").fetchall()}
        return set(self.packs.on_disk()) - known

    def drop_strays(self) -> None:
        """Remove pack files that a killed write or compaction left behind."""
        with self.index.write():
            # Nobody else can be making a pack just now.
            for pack in self.stray_packs():
                self.packs.drop(pack)

    def close(self) -> None:
        """Close all files; the store must not be used afterwards."""
        self.index.close()
        self.packs.close()

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes, checked against the CID, or raise NotFound.

        Raises HashMismatch if the disk gave other bytes than were put.
        """
        for _ in range(TRIES):
            row = self._find(cid)
            try:
                return verify(cid, self._read(*row))
            except FileNotFoundError:
                continue  # compaction moved the block: look again where it is now
            except HashMismatch:
                raise HashMismatch(f"block {cid} is damaged on disk; run fsck") from None
        raise NotFound(f"the pack of block {cid} is gone")

    def has(self, cid: CID) -> bool:
        """Say whether the block is here."""
        row = self.index.read("SELECT 1 FROM blocks WHERE hash = ?", cid.multihash).fetchone()
        return row is not None

    def size(self, cid: CID) -> int:
        """Return the block's length in bytes, or raise NotFound."""
        return self._find(cid)[2]

    def put(self, blocks: Iterable[Block]) -> None:
        """Keep the blocks; they are on the disk when this returns."""
        with Batch(self) as batch:
            for block in blocks:
                batch.add(block)

    def delete(self, cids: Iterable[CID]) -> None:
        """Forget the blocks; their room is given back by compaction."""
        with self.index.write() as db:
            for cid in cids:
                forget(db, cid.multihash)

    def multihashes(self) -> Iterator[bytes]:
        """Iterate over the multihashes of all blocks."""
        last, step = b"", 1000
        while rows := self.index.read(
            "SELECT hash FROM blocks WHERE hash > ? ORDER BY hash LIMIT ?", last, step
        ).fetchall():
            yield from (row[0] for row in rows)
            last = rows[-1][0]

    def location(self, cid: CID) -> Location | None:
        """Return where the plain bytes of a block lie; None if they lie compressed, or nowhere."""
        try:
            frame, start, size = self._find(cid)
        except NotFound:
            return None
        pack, at, _, data_at, _, zstd = self._frame(frame)
        if zstd:
            return None
        return Location(self.packs.path(pack), at + data_at + start, size)

    def write(self, blocks: Sequence[Block]) -> None:
        """Write blocks in one transaction, those that are new."""
        with self.index.write(sync=False) as db:
            now = int(self.clock())
            new = [block for block in blocks if not touch(db, block, now)]
            grouped = list(groups({block.cid.multihash: block for block in new}.values()))
            encoded = [frames.encode(group) for group in grouped]
            places = self.packs.append(db, encoded)
            for frame, place in zip(encoded, places, strict=True):
                record(db, place, frames.decode(frame), now)
        if places and places[0][1] == 0:
            # That a new pack counts at all must survive a power cut.
            self.index.sync()

    def sizes(self, cids: Sequence[CID]) -> list[int]:
        """Return the lengths of many blocks at once, in bytes, or raise NotFound."""
        found: dict[bytes, int] = {}
        for at in range(0, len(cids), 500):
            some = [cid.multihash for cid in cids[at : at + 500]]
            marks = ",".join("?" * len(some))
            rows = self.index.read(f"SELECT hash, size FROM blocks WHERE hash IN ({marks})", *some)
            found.update(rows.fetchall())
        try:
            return [found[cid.multihash] for cid in cids]
        except KeyError:
            raise NotFound("a block is not here") from None

    def _find(self, cid: CID) -> tuple[int, int, int]:
        """Return frame, start in it and size."""
        row: tuple[int, int, int] | None = self.index.read(
            "SELECT frame, start, size FROM blocks WHERE hash = ?", cid.multihash
        ).fetchone()
        if row is None:
            raise NotFound(f"no block {cid}")
        return row

    def _frame(self, frame: int) -> tuple[int, int, int, int, int, int]:
        row: tuple[int, int, int, int, int, int] | None = self.index.read(
            "SELECT pack, at, length, data_at, plain, zstd FROM frames WHERE id = ?", frame
        ).fetchone()
        if row is None:
            raise FileNotFoundError(f"frame {frame}")
        return row

    def _read(self, frame: int, start: int, size: int) -> bytes:
        with self._lock:
            cached = self._cache.get(frame)
            if cached is not None:
                self._cache.move_to_end(frame)
        if cached is not None:
            return cached[start : start + size]
        pack, at, length, data_at, plain, zstd = self._frame(frame)
        if not zstd:
            return self.packs.read(pack, at + data_at + start, size)
        payload = self.packs.read(pack, at + data_at, length - data_at)
        data = frames.decompress(payload, plain)
        self._remember(frame, data)
        return data[start : start + size]

    def _remember(self, frame: int, data: bytes) -> None:
        with self._lock:
            if frame not in self._cache:
                self._cache[frame] = data
                self._cached += len(data)
            while self._cached > CACHE:
                self._cached -= len(self._cache.popitem(last=False)[1])


def _has_bytes(path: Path) -> bool:
    return path.exists() and path.stat().st_size > 0


class Batch:
    """Collects blocks and writes them some megabytes at a time; threads may share it."""

    def __init__(self, store: DiskBlockstore) -> None:
        self._store = store
        self._blocks: list[Block] = []
        self._size = 0
        self._lock = threading.Lock()

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.flush()

    def add(self, block: Block) -> None:
        """Take a block."""
        with self._lock:
            self._blocks.append(block)
            self._size += len(block.data)
            full = self._size >= BATCH
        if full:
            self.flush()

    def flush(self) -> None:
        """Write what has been collected."""
        with self._lock:
            blocks, self._blocks, self._size = self._blocks, [], 0
        if blocks:
            self._store.write(blocks)


def groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    """Yield the blocks of each frame: nodes apart from contents, so that walks read little."""
    by_kind: dict[bool, list[Block]] = {True: [], False: []}
    sizes = {True: 0, False: 0}
    for block in blocks:
        kind = block.cid.codec == RAW
        by_kind[kind].append(block)
        sizes[kind] += len(block.data) + frames.COST
        if sizes[kind] >= frames.GROUP:
            yield by_kind[kind]
            by_kind[kind], sizes[kind] = [], 0
    yield from (group for group in by_kind.values() if group)
