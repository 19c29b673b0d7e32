"""Archives in a store: whole for as long as they are in use, else as a recipe.

    whole/ab/<sha256>/<filename>    the bytes, for sending with sendfile
    arriving/                       what is being copied or made again

An archive that comes in is published (its leaves are slices of the whole file, so they cost
an index row each and no bytes), taken apart into blocks, and pinned. `hot` drops whole files
once they are proved; `open` makes them again. One that cannot be taken apart stays whole.
"""

from __future__ import annotations

import hashlib
import mmap
import os
import re
import tempfile
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..cid import CID, RAW
from ..dag import children
from ..errors import HashMismatch, InvalidArchive, InvalidArgument, NotFound
from .index import mapped
from .journal import Added, Removed
from .packs import sync_folder
from .pins import Pins
from .proofs import Proved
from .store import Batch

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Iterator

    from ..archive.match import Search
    from ..archive.published import Published
    from ..importer import Leaf
    from .store import DiskBlockstore

PIN = "archive"
"""Name of the pin that an archive gets when it is added."""
SHA256_HEX = 64
NOTE = 20
"""Seconds within which a second use is not worth noting."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILENAME = re.compile(r"[^./\\\0][^/\\\0]{0,254}")
FIELDS = "id, sha256, filename, size, root, profile, recipe, used"


@dataclass(frozen=True, slots=True)
class Archive:
    """One archive. `root` is its published file, `profile` what `ipfs add` would make of it.

    `recipe` is None for an archive that stays whole. `used` is seconds since the epoch.
    """

    id: int
    sha256: str
    filename: str
    size: int
    root: CID
    profile: CID
    recipe: CID | None
    used: int


class Archives:
    """The archives of a store, by sha256. Safe to call from any thread and process."""

    def __init__(self, store: DiskBlockstore, folder: Path | None = None) -> None:
        self.store = store
        self._folder = folder or store.folder
        self._making = tuple(threading.Lock() for _ in range(64))
        with mapped(self._folder):
            (self._folder / "whole").mkdir(parents=True, exist_ok=True)
            (self._folder / "arriving").mkdir(exist_ok=True)

    def find(self, sha256: str) -> Archive | None:
        """Return what is known of an archive, or None."""
        return self._one("sha256", bytes.fromhex(sha256)) if _SHA256.fullmatch(sha256) else None

    def named(self, filename: str) -> Archive | None:
        """Return the newest archive of that file name, or None."""
        return self._one("filename", filename)

    def published_as(self, root: CID) -> Archive | None:
        """Return the archive whose published file is `root`, or None."""
        return self._one("root", root.raw)

    def newest(self) -> int:
        """Return a number that grows with each archive that is taken in."""
        return int(self.store.index.read("SELECT ifnull(max(id), 0) FROM archives").fetchone()[0])

    def listing(self) -> Iterator[Archive]:
        """Yield all archives in the order in which they came."""
        last = 0
        while rows := self.store.index.read(
            f"SELECT {FIELDS} FROM archives WHERE id > ? ORDER BY id LIMIT 500", last
        ).fetchall():
            yield from map(_archive, rows)
            last = rows[-1][0]

    def present(self) -> Iterator[Archive]:
        """Yield the archives whose whole file is here; the cost is that of those, not of all."""
        for folder in sorted((self._folder / "whole").glob("??/*")):
            archive = self.find(folder.name) if len(folder.name) == SHA256_HEX else None
            if archive is not None and self.whole(archive).exists():
                yield archive

    def whole(self, archive: Archive) -> Path:
        """Return where the whole file of an archive lies, or would lie."""
        return self.place(archive.sha256, archive.filename)

    def place(self, sha256: str, filename: str) -> Path:
        """Return where a whole file belongs; what lies there can be added without a copy."""
        return self._folder / "whole" / sha256[:2] / sha256 / filename

    def add(
        self,
        source: Path,
        sha256: str,
        filename: str,
        *,
        search: Search | None = None,
        pin: str | None = PIN,
    ) -> Archive:
        """Take in the archive at `source`; the file there is copied, or used if it is in place.

        Raises HashMismatch if it is not `sha256`, InvalidArgument for a name that is a path.
        Adding it again only pins it again. `search`
        carries what is known of a producer's encoders from one archive to the next.
        """
        if not _SHA256.fullmatch(sha256) or not _FILENAME.fullmatch(filename):
            raise InvalidArgument(f"not a sha256 and the name of a file: {sha256!r}, {filename!r}")
        known = self.find(sha256)
        if known is None or (known.recipe is None and not self.whole(known).exists()):
            path = self._place(source, sha256, filename)
            known = self._import(path, sha256, filename, search)
        if pin is not None:
            Pins(self.store).add(known.root, pin)
        return known

    def open(self, sha256: str) -> Path:
        """Return the whole file, made again if need be. Raises NotFound for no such archive.

        The path is good for at least as long as `hot.KEEP` says. Raises HashMismatch or
        Unavailable if it cannot be made again here.
        """
        archive = self.find(sha256)
        if archive is None:
            raise NotFound(f"no archive {sha256}")
        path = self.whole(archive)
        with self._making[int(sha256[:2], 16) % len(self._making)]:
            if not path.exists():
                if archive.recipe is None:
                    raise NotFound(f"the only copy of {archive.filename} is gone")
                with self._arriving() as part:
                    # Loaded when it is needed: a node starts without.
                    from ..archive import rebuild

                    with part.open("wb") as file:
                        about = rebuild.rebuild(self.store.get, archive.recipe, file.write)
                    if about.sha256 != sha256:
                        raise HashMismatch(f"the recipe of {archive.filename} is of another file")
                    _keep(part, path)
        now = int(self.store.clock())
        if now - archive.used >= NOTE:
            with self.store.index.write() as db:
                db.execute("UPDATE archives SET used = ? WHERE id = ?", (now, archive.id))
        return path

    def leaf_cids(self, archive: Archive) -> Iterator[CID]:
        """Yield the leaves of the published file, in file order."""
        stack = [archive.root]
        while stack:
            cid = stack.pop()
            if cid.codec == RAW:
                yield cid
            else:
                stack += reversed(children(cid, self.store.get(cid)))

    def touch(self, sha256s: Iterable[str]) -> None:
        """Note that archives are in use now; those that are not known are passed over."""
        now = int(self.store.clock())
        with self.store.index.write() as db:
            db.executemany(
                "UPDATE archives SET used = ? WHERE sha256 = ? AND used <= ?",
                ((now, bytes.fromhex(sha256), now - NOTE) for sha256 in sha256s),
            )

    def remove(self, sha256: str, *, agreed: Callable[[Archive], bool] = lambda _: True) -> bool:
        """Forget an archive and its whole file, if `agreed`; say whether it was so.

        `agreed` is asked where nobody else can write. Blocks are left to garbage collection.
        The file goes after the commit: killed before, it is a new archive, never a lost one.
        """
        with self.store.index.write() as db:
            archive = self.find(sha256)
            if archive is None or not agreed(archive):
                return False
            db.execute("DELETE FROM leaves WHERE archive = ?", (archive.id,))
            db.execute("DELETE FROM archives WHERE id = ?", (archive.id,))
            Pins(self.store).remove(archive.root, PIN)
            self.store.journal.write(Removed(sha256))
        self.whole(archive).unlink(missing_ok=True)
        return True

    def restore_blocks(self, archive: Archive) -> bool:
        """Take a whole archive apart again, because blocks of it are missing."""
        path = self.whole(archive)
        if not path.exists():
            return False
        again = self._import(path, archive.sha256, archive.filename, None)
        return again.root == archive.root and again.recipe == archive.recipe

    def new(self) -> Iterator[Path]:
        """Yield whole files in place that were never added."""
        for path in sorted((self._folder / "whole").glob("??/*/*")):
            if len(path.parent.name) == SHA256_HEX and self.find(path.parent.name) is None:
                yield path

    def whole_size(self) -> int:
        """Return how many bytes all whole files take, added or not."""
        total = 0
        for path in (self._folder / "whole").glob("??/*/*"):
            with suppress(FileNotFoundError):
                total += path.stat().st_size
        return total

    def strays(self) -> Iterator[Path]:
        """Yield files below this folder that no archive can come of."""
        yield from (self._folder / "arriving").glob("making-*")
        for path in (self._folder / "whole").glob("??/*/*"):
            is_named = len(path.parent.name) == SHA256_HEX
            archive = self.find(path.parent.name) if is_named else None
            if not is_named or (archive is not None and archive.filename != path.name):
                yield path

    def _import(self, path: Path, sha256: str, filename: str, search: Search | None) -> Archive:
        from ..archive import published
        from ..archive.importer import take_apart
        from ..archive.parallel import threads

        data, proved = view(path), Proved(self.store.index)
        with Batch(self.store) as batch:
            publishing = threads().submit(published.publish, data)
            try:
                recipe = take_apart(data, batch.add, search=search, proved=proved).cid
            except InvalidArchive:
                recipe = None
            finally:
                file = publishing.result()
            for node in file.file.nodes:
                batch.add(node)
        with self.store.index.write() as db:
            proved.write(db)
            line = _line(sha256, filename, file, recipe)
            self.store.journal.write(line)
            number = record(db, line, int(self.store.clock()))
            record_leaves(db, number, file.file.leaves)
        found = self.find(sha256)
        if found is None:
            raise NotFound(f"{filename} was removed while it came in")
        return found

    def _place(self, source: Path, sha256: str, filename: str) -> Path:
        """Make the whole file appear where it belongs, checked and complete."""
        path = self._folder / "whole" / sha256[:2] / sha256 / filename
        if source == path:
            return path
        with self._arriving() as part, mapped(part):
            digest = hashlib.sha256()
            with source.open("rb") as given, part.open("wb") as out:
                while piece := given.read(2**20):
                    digest.update(piece)
                    out.write(piece)
            if digest.hexdigest() != sha256:
                raise HashMismatch(f"{source.name} is not {sha256}")
            _keep(part, path)
        return path

    def _one(self, column: str, value: bytes | str) -> Archive | None:
        row = self.store.index.read(
            f"SELECT {FIELDS} FROM archives WHERE {column} = ? ORDER BY id DESC LIMIT 1", value
        ).fetchone()
        return None if row is None else _archive(row)

    @contextmanager
    def _arriving(self) -> Iterator[Path]:
        handle, name = tempfile.mkstemp(dir=self._folder / "arriving", prefix="making-")
        os.close(handle)
        try:
            yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)


def _archive(row: tuple[int, bytes, str, int, bytes, bytes, bytes | None, int]) -> Archive:
    number, sha256, filename, size, root, profile, recipe, used = row
    apart = None if recipe is None else CID(recipe)
    return Archive(number, sha256.hex(), filename, size, CID(root), CID(profile), apart, used)


def _line(sha256: str, filename: str, file: Published, recipe: CID | None) -> Added:
    apart = None if recipe is None else str(recipe)
    root, profile = str(file.file.cid), str(file.profile.cid)
    return Added(sha256, filename, file.file.size, root, profile, apart)


def record(db: sqlite3.Connection, line: Added, now: int) -> int:
    """Write an archive into the index and return its number."""
    (number,) = db.execute(
        "INSERT INTO archives (sha256, filename, size, root, profile, recipe, used)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (sha256) DO UPDATE SET recipe = excluded.recipe, proof = NULL RETURNING id",
        (
            bytes.fromhex(line.sha256),
            line.filename,
            line.size,
            CID.parse(line.root).raw,
            CID.parse(line.profile).raw,
            None if line.recipe is None else CID.parse(line.recipe).raw,
            now,
        ),
    ).fetchone()
    return int(number)


def record_leaves(db: sqlite3.Connection, number: int, leaves: Iterable[Leaf]) -> None:
    """Write where the leaves of an archive lie in it."""
    rows = ((leaf_key(leaf.cid), number, leaf.offset, leaf.length) for leaf in leaves)
    db.executemany("INSERT OR IGNORE INTO leaves VALUES (?, ?, ?, ?)", rows)


def leaf_key(cid: CID) -> bytes:
    """Return the part of a leaf's sha2-256 that it is looked up by."""
    return cid.multihash[2:18]


def view(path: Path) -> memoryview:
    """Return a file's bytes, mapped."""
    if path.stat().st_size == 0:
        return memoryview(b"")
    with path.open("rb") as file:
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def _keep(part: Path, path: Path) -> None:
    """Make a complete file visible under its name, for good."""
    with mapped(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        part.replace(path)
        sync_folder(path.parent)
        sync_folder(path.parent.parent)
