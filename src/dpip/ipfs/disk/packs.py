"""Pack files: frames one after another, appended to, never changed, dropped as a whole.

How much of a pack counts stands in the index. What lies behind that is the rest of a write
that did not finish; the next writer cuts it off.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

from .index import mapped

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator
    from pathlib import Path

_sync: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)
"""Waits for bytes and length of a file; who changed it when need not survive a power cut."""
PACK = 256 * 2**20
"""Size in bytes after which a new pack is begun."""
OPEN = 64


class Packs:
    """The pack files of one directory. Reading is safe from any thread."""

    def __init__(self, folder: Path, limit: int = PACK) -> None:
        self._folder, self._limit = folder, limit
        self._open: OrderedDict[int, int] = OrderedDict()
        self._lock = threading.Lock()
        with mapped(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, pack: int) -> Path:
        """Return where a pack lies."""
        return self._folder / f"{pack:08d}.pack"

    def on_disk(self) -> Iterator[int]:
        """Yield the numbers of the pack files there are."""
        for path in sorted(self._folder.glob("*.pack")):
            if path.stem.isdigit():
                yield int(path.stem)

    def append(self, db: sqlite3.Connection, frames: list[bytes]) -> list[tuple[int, int]]:
        """Append frames inside the write transaction `db`; return pack and offset of each.

        They are on the disk when this returns, and count once the transaction commits.
        """
        last = db.execute("SELECT id, size FROM packs ORDER BY id DESC LIMIT 1").fetchone()
        if last is None or last[1] >= self._limit:
            pack, at = int(db.execute("INSERT INTO packs (size) VALUES (0)").lastrowid or 0), 0
        else:
            pack, at = last
        places = []
        with mapped(self.path(pack)), self.path(pack).open("ab") as file:
            if file.tell() != at:
                file.truncate(at)
            for frame in frames:
                places.append((pack, at))
                file.write(frame)
                at += len(frame)
            file.flush()
            _sync(file.fileno())
        if places and places[0][1] == 0:
            sync_folder(self._folder)
        db.execute("UPDATE packs SET size = ? WHERE id = ?", (at, pack))
        return places

    def size(self, pack: int) -> int:
        """Return how long a pack file is, in bytes; 0 if there is none."""
        try:
            return self.path(pack).stat().st_size
        except OSError:
            return 0

    def read(self, pack: int, at: int, length: int) -> bytes:
        """Return bytes of a pack. Raises FileNotFoundError if it has been dropped."""
        with self._lock:
            descriptor = self._open.pop(pack, None)
            if descriptor is None:
                descriptor = os.open(self.path(pack), os.O_RDONLY | getattr(os, "O_BINARY", 0))
            self._open[pack] = descriptor
            if len(self._open) > OPEN:
                os.close(self._open.popitem(last=False)[1])
            mine = os.dup(descriptor)
        try:
            return os.pread(mine, length, at)
        finally:
            os.close(mine)

    def drop(self, pack: int) -> None:
        """Remove a pack file; readers that have it open go on reading."""
        with self._lock:
            descriptor = self._open.pop(pack, None)
            if descriptor is not None:
                os.close(descriptor)
        self.path(pack).unlink(missing_ok=True)

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            while self._open:
                os.close(self._open.popitem()[1])


def sync_folder(folder: Path) -> None:
    """Make sure that names made in a folder survive a power cut."""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
