"""Many small writes as a few large ones, for work that is whole only at its end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .wrappers import Passing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .blockstore import Block, Blockstore
    from .cid import CID

CAPACITY = 8 * 2**20


class Gathering(Passing):
    """Holds blocks in memory until `flush`, or until there are `capacity` bytes of them.

    They can be read meanwhile, and are lost if the process dies: whoever relies on them
    flushes first. For one thread.
    """

    def __init__(self, inner: Blockstore, capacity: int = CAPACITY) -> None:
        super().__init__(inner)
        self._capacity = capacity
        self._held: dict[bytes, Block] = {}
        self._size = 0

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes."""
        held = self._held.get(cid.multihash)
        return self.inner.get(cid) if held is None else held.data

    def has(self, cid: CID) -> bool:
        """Say whether the block is here."""
        return cid.multihash in self._held or self.inner.has(cid)

    def size(self, cid: CID) -> int:
        """Return the block's length in bytes."""
        held = self._held.get(cid.multihash)
        return self.inner.size(cid) if held is None else len(held.data)

    def put(self, blocks: Iterable[Block]) -> None:
        """Keep the blocks."""
        for block in blocks:
            if block.cid.multihash not in self._held:
                self._held[block.cid.multihash] = block
                self._size += len(block.data)
        if self._size >= self._capacity:
            self.flush()

    def delete(self, cids: Iterable[CID]) -> None:
        """Forget the blocks."""
        self.flush()
        self.inner.delete(cids)

    def multihashes(self) -> Iterator[bytes]:
        """Iterate over the multihashes of all blocks."""
        self.flush()
        return self.inner.multihashes()

    def flush(self) -> None:
        """Hand what is held to the store below; after an error it is still held."""
        self.inner.put(self._held.values())
        self._held, self._size = {}, 0
