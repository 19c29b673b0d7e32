"""Leaves of published files, served from whole archives; made again where those are gone.

`Withheld` is the same without what a caller keeps to itself.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..blockstore import Block, Location
from ..cid import CID, SHA2_256, verify
from ..errors import HashMismatch, NotFound
from .archives import leaf_key

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .archives import Archives

Slice = tuple[str, int, int]
"""sha256 of the archive, offset, length."""


class WithLeaves:
    """The blocks of a store, and the leaves of its archives as if they were stored too.

    Leaves go with their archive: `delete` does not touch them.
    """

    def __init__(self, archives: Archives) -> None:
        self._archives = archives
        self._store = archives.store

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes, or raise NotFound. May make an archive again."""
        try:
            return self._store.get(cid)
        except NotFound:
            for sha256, at, size in self._slices(cid):
                path = self._archives.open(sha256)
                with path.open("rb") as file:
                    data = os.pread(file.fileno(), size, at)
                try:
                    return verify(cid, data)
                except HashMismatch:
                    continue
            raise

    def has(self, cid: CID) -> bool:
        """Say whether the block is here."""
        return self._store.has(cid) or bool(self._slices(cid))

    def size(self, cid: CID) -> int:
        """Return the block's length in bytes, or raise NotFound."""
        try:
            return self._store.size(cid)
        except NotFound:
            slices = self._slices(cid)
            if not slices:
                raise
            return slices[0][2]

    def put(self, blocks: Iterable[Block]) -> None:
        """Keep the blocks; also those that are leaves, since an archive may be removed."""
        self._store.put(blocks)

    def delete(self, cids: Iterable[CID]) -> None:
        """Forget the blocks."""
        self._store.delete(cids)

    def multihashes(self) -> Iterator[bytes]:
        """Iterate over the multihashes of all blocks and leaves, each once."""
        yield from self._store.multihashes()
        for archive in self._archives.listing():
            for cid in self._archives.leaf_cids(archive):
                first = self._slices(cid)[:1]
                if first and first[0][0] == archive.sha256 and not self._store.has(cid):
                    yield cid.multihash

    def location(self, cid: CID) -> Location | None:
        """Return where a block's plain bytes lie, or None. Nothing is made for this."""
        found = self._store.location(cid)
        if found is not None:
            return found
        for sha256, at, size in self._slices(cid):
            archive = self._archives.find(sha256)
            path = self._archives.whole(archive) if archive else None
            if path is not None and path.exists():
                return Location(path, at, size)
        return None

    def _slices(self, cid: CID) -> list[Slice]:
        if cid.multihash[0] != SHA2_256:
            return []
        rows = self._store.index.read(
            "SELECT archives.sha256, leaves.at, leaves.size FROM leaves JOIN archives"
            " ON archives.id = leaves.archive WHERE leaves.hash = ? ORDER BY archives.id",
            leaf_key(cid),
        ).fetchall()
        return [(sha256.hex(), at, size) for sha256, at, size in rows]


class Withheld(WithLeaves):
    """The same blocks for somebody who is not to have all of them.

    `archive` says of the SHA-256 of an archive that its leaves are withheld, `block` of a block,
    such as the root of one, that it is. Leaves that other archives have too are given.
    """

    def __init__(
        self, archives: Archives, *, archive: Callable[[str], bool], block: Callable[[CID], bool]
    ) -> None:
        super().__init__(archives)
        self._withholds = archive
        self._withholds_block = block

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes, or raise NotFound."""
        self._check(cid)
        return super().get(cid)

    def has(self, cid: CID) -> bool:
        """Say whether the block is here, and not withheld."""
        return not self._withholds_block(cid) and super().has(cid)

    def size(self, cid: CID) -> int:
        """Return the block's length in bytes, or raise NotFound."""
        self._check(cid)
        return super().size(cid)

    def location(self, cid: CID) -> Location | None:
        """Return where a block's plain bytes lie, or None."""
        return None if self._withholds_block(cid) else super().location(cid)

    def _check(self, cid: CID) -> None:
        if self._withholds_block(cid):
            raise NotFound(f"no block {cid}")

    def _slices(self, cid: CID) -> list[Slice]:
        return [one for one in super()._slices(cid) if not self._withholds(one[0])]
