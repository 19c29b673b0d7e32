"""A Kubo daemon's blocks as a blockstore: put behind our own, it answers what we lack."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..cid import CID, verify
from ..errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from ..blockstore import Block
    from .rpc import Kubo


class KuboBlockstore:
    """Blocks of a daemon, verified on arrival.

    With `offline` only what the daemon holds is there; without, it fetches from its peers, so
    `get` may wait for them. `put` stores single blocks; whole DAGs are better handed over as
    a CAR (`Kubo.dag_import`). Pinned blocks are not deleted.
    """

    def __init__(self, kubo: Kubo, *, offline: bool = True) -> None:
        self._kubo = kubo
        self._offline = offline

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes, or raise NotFound, Unavailable or HashMismatch."""
        return verify(cid, self._kubo.block_get(cid, offline=self._offline))

    def has(self, cid: CID) -> bool:
        """Say whether the daemon has (or can fetch) the block."""
        try:
            self._kubo.block_size(cid, offline=self._offline)
        except NotFound:
            return False
        return True

    def size(self, cid: CID) -> int:
        """Return the block's length in bytes."""
        return self._kubo.block_size(cid, offline=self._offline)

    def put(self, blocks: Iterable[Block]) -> None:
        """Hand the blocks to the daemon."""
        for block in blocks:
            self._kubo.block_put(block.data, block.cid.codec_name)

    def delete(self, cids: Iterable[CID]) -> None:
        """Drop the blocks that are not pinned."""
        self._kubo.block_rm(cids)

    def multihashes(self) -> Iterator[bytes]:
        """Iterate over the multihashes of the daemon's blocks."""
        return (cid.multihash for cid in self._kubo.refs_local())
