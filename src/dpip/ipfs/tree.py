"""Files and directories of this machine in, UnixFS out; and back again."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from . import dag, dagpb, files, unixfs
from .blockstore import Block, MemoryBlockstore
from .dagpb import Link, Node
from .directory import Directory
from .errors import InvalidArgument, InvalidPath
from .importer import FileHasher
from .profiles import UNIXFS_V1_2025, Profile
from .unixfs import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from .blockstore import Blockstore
    from .cid import CID

READ = 1 << 20
BATCH = 8 * 2**20
"""Bytes of blocks that are put into a store at once."""


@dataclass(frozen=True, slots=True)
class Added:
    """What was added: its path below what was asked for, its link, its content's size."""

    path: str
    link: Link
    size: int


class Importer:
    """Adds files and trees to a store; without one, only finds out their CIDs."""

    def __init__(
        self,
        store: Blockstore | None,
        profile: Profile = UNIXFS_V1_2025,
        *,
        hidden: bool = False,
    ) -> None:
        self._store = store
        self._profile = profile
        self._hidden = hidden
        self._blocks: list[Block] = []
        self._size = 0

    def add(self, path: Path, name: str = "") -> Iterator[Added]:
        """Add a file or a whole directory and yield its parts, children first, itself last.

        Names that start with a dot are left out below `path` unless `hidden`. Symlinks are
        kept as links. Raises InvalidArgument for devices and the like, and OSError.
        """
        yield from self._add(path, name or path.name)
        self.flush()

    def add_stream(self, source: BinaryIO, name: str = "") -> Added:
        """Add what a stream gives until its end."""
        sink = None if self._store is None else self._keep
        hasher = FileHasher(self._profile, sink)
        while piece := source.read(READ):
            hasher.update(piece)
        file = hasher.finish()
        return Added(name, Link(file.cid, "", file.tsize), file.size)

    def wrap(self, parts: list[Added]) -> Added:
        """Return a directory over parts that were added."""
        directory = Directory(_Batched(self._keep), self._profile)
        for part in parts:
            directory.set(part.path, part.link.cid, part.link.tsize)
        wrapped = Added("", directory.write(), sum(part.size for part in parts))
        self.flush()
        return wrapped

    def flush(self) -> None:
        """Put what is waiting into the store."""
        if self._store is not None and self._blocks:
            self._store.put(self._blocks)
        self._blocks, self._size = [], 0

    def _add(self, path: Path, name: str) -> Iterator[Added]:
        if path.is_symlink():
            yield self._symlink(str(path.readlink()), name)
        elif path.is_dir():
            yield from self._directory(path, name)
        elif path.is_file():
            with path.open("rb", buffering=0) as source:
                yield self.add_stream(source, name)
        else:
            raise InvalidArgument(f"{path} is no file, directory or symlink")

    def _directory(self, path: Path, name: str) -> Iterator[Added]:
        directory = Directory(_Batched(self._keep), self._profile)
        size = 0
        for child in sorted(path.iterdir(), key=lambda found: os.fsencode(found.name)):
            if child.name.startswith(".") and not self._hidden:
                continue
            part = None
            for part in self._add(child, f"{name}/{child.name}"):
                yield part
            if part is not None:
                directory.set(child.name, part.link.cid, part.link.tsize)
                size += part.size
        yield Added(name, directory.write(), size)

    def _symlink(self, target: str, name: str) -> Added:
        data = unixfs.Data(Kind.SYMLINK, os.fsencode(target))
        block = dagpb.encode(Node((), unixfs.encode(data)))
        cid = dagpb.cid_of(block, self._profile.cid_version)
        self._keep(Block(cid, block))
        return Added(name, Link(cid, "", len(block)), 0)

    def _keep(self, block: Block) -> None:
        self._blocks.append(block)
        self._size += len(block.data)
        if self._size >= BATCH:
            self.flush()


class _Batched(MemoryBlockstore):
    """What new directories write to: the importer's batch."""

    def __init__(self, keep: Callable[[Block], None]) -> None:
        self._keep = keep
        super().__init__()

    def put(self, blocks: Iterable[Block]) -> None:
        """Hand the blocks on."""
        for block in blocks:
            self._keep(block)


def write(store: Blockstore, cid: CID, target: Path) -> None:
    """Write what a CID means to a path that does not exist yet.

    Raises InvalidPath for names that would lead out of the target, FileExistsError.
    """
    entry = dag.load(store, cid)
    if entry.kind is Kind.SYMLINK:
        target.symlink_to(os.fsdecode(entry.data.data or b""))
    elif entry.is_directory:
        target.mkdir()
        for link in dag.entries(store, entry):
            if link.name in {"", ".", ".."} or "/" in link.name or "\0" in link.name:
                raise InvalidPath(f"{cid} has an entry named {link.name!r}")
            write(store, link.cid, target / link.name)
    else:
        with _new(target) as file:
            for piece in files.read(store, cid):
                file.write(piece)


@contextmanager
def _new(target: Path) -> Iterator[BinaryIO]:
    """Open a file that must not exist, and leave none behind if it cannot be written whole."""
    with target.open("xb") as file:
        try:
            yield file
        except BaseException:
            target.unlink(missing_ok=True)
            raise
