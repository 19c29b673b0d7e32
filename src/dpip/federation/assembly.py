"""A file made of its recipe: what is here is used, and only what is missing comes over.

A recipe's blocks are the file's members inflated, so they are many times its size. Before any
of them is fetched the tree says how much is missing; if that is not clearly less than the
file itself, the plain file is the better way.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from dpip.federation.compressed import Blocks
from dpip.ipfs import dagpb
from dpip.ipfs.archive.rebuild import rebuild
from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID, DAG_PB
from dpip.ipfs.errors import IpfsError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dpip.ipfs.blockstore import Blockstore
    from dpip.mirror.catalog import FileRecord

log = logging.getLogger(__name__)
AT_ONCE = 8
WORTH = 0.5
"""Share of the file's size that may be missing for a recipe to be followed."""
SHRINK = 3
"""How many times smaller content commonly is on the wire than as it lies in the tree."""
MOST_BLOCKS = 200_000


class Assembly:
    """Makes files from `blocks` and from what a neighbour's gateway adds to them."""

    def __init__(self, blocks: Blockstore) -> None:
        self._blocks = blocks
        self._one = threading.Lock()

    async def make(self, url: str, recipe: str, record: FileRecord, part: Path) -> int | None:
        """Write the file at `part`; return the bytes that came, None if it was not to be."""
        return await asyncio.to_thread(self._make, url, recipe, record, part)

    def _make(self, url: str, recipe: str, record: FileRecord, part: Path) -> int | None:
        peer = Blocks(url, timeout=2)
        try:
            with self._one:
                root = CID.parse(recipe)
                if not self._complete(peer, root, int((record.size or 0) * WORTH)):
                    return None
                with part.open("wb") as file:
                    rebuild(self._blocks.get, root, file.write)
                return peer.moved
        except (IpfsError, OSError) as error:
            log.info("%s by recipe from %s: %s", record.filename, url, error)
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            return None
        finally:
            peer.close()

    def _complete(self, peer: Blocks, root: CID, most: int) -> bool:
        """Fetch what is missing below `root`, unless that is clearly more than `most` bytes."""
        leaves, level, seen = dict[CID, int](), [root], {root.multihash}
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="assembly") as threads:
            while level:
                self._fetch(threads, peer, level)
                below: list[CID] = []
                for cid in level:
                    for link in dagpb.decode(self._blocks.get(cid)).links:
                        if link.cid.multihash in seen:
                            continue
                        seen.add(link.cid.multihash)
                        if link.cid.codec == DAG_PB:
                            below.append(link.cid)
                        elif not self._blocks.has(link.cid):
                            leaves[link.cid] = link.tsize
                missing = sum(leaves.values()) // SHRINK
                if peer.moved + missing > most or len(seen) > MOST_BLOCKS:
                    return False
                level = below
            self._fetch(threads, peer, list(leaves))
            return True

    def _fetch(self, threads: ThreadPoolExecutor, peer: Blocks, cids: Sequence[CID]) -> None:
        """Put the blocks that are missing."""
        missing = [cid for cid in cids if not self._blocks.has(cid)]
        blocks = [Block(cid, data) for cid, data in zip(
            missing, threads.map(peer.get, missing), strict=True)]  # fmt: skip
        self._blocks.put(blocks)
