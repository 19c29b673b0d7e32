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

from dpip.ipfs import dagpb
from dpip.ipfs.archive.rebuild import rebuild
from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID, DAG_PB
from dpip.ipfs.errors import IpfsError
from dpip.ipfs.gateway.client import Gateway

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from dpip.ipfs.blockstore import Blockstore
    from dpip.mirror.catalog import FileRecord

log = logging.getLogger(__name__)
AT_ONCE = 8
WORTH = 0.5
"""Share of the file's size that may be missing for a recipe to be followed."""
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
        gateway = Gateway(url, timeout=2)
        try:
            with self._one:
                root = CID.parse(recipe)
                came = self._complete(gateway, root, int((record.size or 0) * WORTH))
                if came is None:
                    return None
                with part.open("wb") as file:
                    rebuild(self._blocks.get, root, file.write)
                return came
        except (IpfsError, OSError) as error:
            log.info("%s by recipe from %s: %s", record.filename, url, error)
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            return None
        finally:
            gateway.close()

    def _complete(self, gateway: Gateway, root: CID, most: int) -> int | None:
        """Fetch what is missing below `root`; None as soon as that is more than `most` bytes."""
        came, leaves, level, seen = 0, dict[CID, int](), [root], {root.multihash}
        with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="assembly") as threads:
            while level:
                came += self._fetch(threads, gateway, level)
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
                if came + sum(leaves.values()) > most or len(seen) > MOST_BLOCKS:
                    return None
                level = below
            return came + self._fetch(threads, gateway, list(leaves))

    def _fetch(self, threads: ThreadPoolExecutor, gateway: Gateway, cids: Sequence[CID]) -> int:
        """Put the blocks that are missing; return how many bytes that were."""
        missing = [cid for cid in cids if not self._blocks.has(cid)]
        blocks = [Block(cid, data) for cid, data in zip(
            missing, threads.map(gateway.block, missing), strict=True)]  # fmt: skip
        self._blocks.put(blocks)
        return sum(len(block.data) for block in blocks)
