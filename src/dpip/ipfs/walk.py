"""Walking DAGs: what lies below a root, and what one root adds to another.

Every walk is depth first, in link order, and visits each block once. It holds the set of
hashes that it has seen (some 40 bytes each), never the blocks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import dag
from .blockstore import Block
from .cid import CID, DAG_CBOR, DAG_PB, IDENTITY
from .errors import LimitExceeded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .blockstore import Blockstore

MAX_BLOCKS = 200_000_000


def walk(store: Blockstore, root: CID, seen: set[bytes] | None = None) -> Iterator[Block]:
    """Yield the blocks below and including `root`, leaving out what is in `seen`.

    `seen` holds multihashes and grows. Raises NotFound at the first block that is missing.
    """
    seen = set() if seen is None else seen
    stack = [root]
    while stack:
        cid = stack.pop()
        if cid.multihash in seen:
            continue
        _note(seen, cid)
        block = Block(cid, dag.get(store, cid))
        if cid.hash_code != IDENTITY:
            yield block
        stack += reversed(dag.children(block.cid, block.data))


def difference(store: Blockstore, root: CID, held: CID) -> Iterator[Block]:
    """Yield the blocks below `root` that are not below `held`.

    The two are descended side by side, so shared subtrees are never entered: the cost is that
    of the change. A block that moved to another depth may be yielded though it is held.
    """
    seen: set[bytes] = set()
    frontier, other = [root], [held]
    while frontier:
        shared = {cid.multihash for cid in other}
        fresh = [cid for cid in frontier if cid.multihash not in shared]
        wanted = {cid.multihash for cid in frontier}
        blocks = []
        for cid in fresh:
            if cid.multihash not in seen:
                _note(seen, cid)
                blocks.append(Block(cid, dag.get(store, cid)))
        yield from (block for block in blocks if block.cid.hash_code != IDENTITY)
        other = _children(store, [cid for cid in other if cid.multihash not in wanted])
        frontier = [child for block in blocks for child in dag.children(block.cid, block.data)]


def _children(store: Blockstore, cids: list[CID]) -> list[CID]:
    nodes = (cid for cid in cids if cid.codec in {DAG_PB, DAG_CBOR} and store.has(cid))
    return [child for cid in nodes for child in dag.children(cid, dag.get(store, cid))]


def _note(seen: set[bytes], cid: CID) -> None:
    seen.add(cid.multihash)
    if len(seen) > MAX_BLOCKS:
        raise LimitExceeded(f"a DAG of more than {MAX_BLOCKS} blocks")
