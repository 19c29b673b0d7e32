"""A blockstore holds blocks by what they hash to. Everything above speaks this protocol.

Blocks are found by multihash: one put as a CIDv0 is there for the CIDv1 of the same hash
under any codec. Calls may wait for a disk or a network, so an event loop makes them in a
thread. Implementations are safe to call from several threads at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from .errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from .cid import CID


@dataclass(frozen=True, slots=True)
class Block:
    """A CID and the bytes that hash to it; whoever makes one has hashed or verified them."""

    cid: CID
    data: bytes


@dataclass(frozen=True, slots=True)
class Location:
    """Where a block's plain bytes lie in a file, for sending without reading."""

    path: Path
    offset: int
    length: int


class Blockstore(Protocol):
    """Six methods. Errors: NotFound and Unavailable may pass, every other IpfsError is permanent.

    Obligations, checked for each implementation by one suite of tests:

    - `get` returns exactly the bytes that were put, or raises NotFound. A store whose bytes come
      from elsewhere never returns bytes that do not hash to the CID (HashMismatch).
    - `put` takes blocks whose bytes are known to hash to their CIDs; putting one twice is
      putting it once. All of them are there when it returns; after an error, any part.
    - `delete` of a block that is not there is no error.
    - `size` is the length that `get` would return, without reading it, or NotFound.
    - `multihashes` gives each stored block once, in any order; blocks put or deleted
      meanwhile may or may not be in it.
    - A store that cannot be written to raises InvalidArgument from `put` and `delete`.
    """

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes."""
        ...

    def has(self, cid: CID) -> bool:
        """Say whether the block is here."""
        ...

    def size(self, cid: CID) -> int:
        """Return the block's length in bytes."""
        ...

    def put(self, blocks: Iterable[Block]) -> None:
        """Keep the blocks."""
        ...

    def delete(self, cids: Iterable[CID]) -> None:
        """Forget the blocks."""
        ...

    def multihashes(self) -> Iterator[bytes]:
        """Iterate over the multihashes of all blocks."""
        ...


@runtime_checkable
class Located(Protocol):
    """A blockstore that knows where plain bytes lie."""

    def location(self, cid: CID) -> Location | None:
        """Return where the bytes lie, or None if the block is absent or stored otherwise."""
        ...


@runtime_checkable
class SizedAtOnce(Protocol):
    """A blockstore that tells the sizes of many blocks faster than one by one."""

    def sizes(self, cids: Sequence[CID]) -> list[int]:
        """Return their lengths in bytes; raises NotFound if one is not here."""
        ...


class MemoryBlockstore:
    """Blocks in a dictionary: for tests, and for one operation's scratch space."""

    def __init__(self, blocks: Iterable[Block] = ()) -> None:
        self._blocks: dict[bytes, bytes] = {}
        self.put(blocks)

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes, or raise NotFound."""
        try:
            return self._blocks[cid.multihash]
        except KeyError:
            raise NotFound(f"no block {cid}") from None

    def has(self, cid: CID) -> bool:
        """Say whether the block is here."""
        return cid.multihash in self._blocks

    def size(self, cid: CID) -> int:
        """Return the block's length in bytes, or raise NotFound."""
        return len(self.get(cid))

    def put(self, blocks: Iterable[Block]) -> None:
        """Keep the blocks."""
        for block in blocks:
            self._blocks[block.cid.multihash] = block.data

    def delete(self, cids: Iterable[CID]) -> None:
        """Forget the blocks."""
        for cid in cids:
            self._blocks.pop(cid.multihash, None)

    def multihashes(self) -> Iterator[bytes]:
        """Iterate over the multihashes of all blocks."""
        return iter(tuple(self._blocks))

    def __len__(self) -> int:
        return len(self._blocks)
