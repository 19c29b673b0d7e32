"""A file from its recipe: what is here is used, and only what is missing comes over.

A recipe's blocks are the file's members inflated, so they are many times its size. Before any
of them is fetched the tree says how much is missing; if that is not clearly less than the
file itself, the plain file is the better way.
"""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from dpip.federation.compressed import Blocks
from dpip.federation.offers import STALL, NeighbourFailed
from dpip.ipfs import dagpb
from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID, DAG_PB
from dpip.ipfs.errors import IpfsError, NotFound, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dpip.federation.offers import Attempt, Offer
    from dpip.ipfs.blockstore import Blockstore
    from dpip.ipfs.connections import Dial
    from dpip.mirror.hedge import Progress, Way

log = logging.getLogger(__name__)
AT_ONCE = 8
FILES_AT_ONCE = 3
WORTH = 0.5
"""Share of the file's size that may be missing for a recipe to be followed."""
SHRINK = 3
"""How many times smaller content commonly is on the wire than as it lies in the tree."""
MOST_BLOCKS = 200_000
BATCH = 128
FETCHING = 0.7
"""Share of the work that is fetching; the rest is putting the file together."""
SMALL = 2**16
"""Bytes up to which a file comes sooner as it is: a recipe costs several round trips."""


class Assembly:
    """Makes files from `blocks` and from what a neighbour's gateway adds to them.

    `dial` connects to neighbours (default: by their names).
    """

    way: Way = "recipe"

    def __init__(self, blocks: Blockstore, dial: Dial | None = None) -> None:
        self._blocks = blocks
        self._dial = dial
        # Not the threads that everybody uses: a neighbour that stalls holds one for seconds.
        self._threads = ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="recipes")

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def bring(self, offer: Offer, attempt: Attempt) -> bool:
        """Write the file; False where there is no recipe, or where it is not worth following.

        Raises NeighbourFailed.
        """
        if offer.recipe is None or (attempt.most or 0) <= SMALL:
            return False
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._bring, offer, attempt)

    def _bring(self, offer: Offer, attempt: Attempt) -> bool:
        if attempt.progress.stopped:
            return False
        try:
            root = CID.parse(offer.recipe or "")
            if not self._complete(offer, root, attempt):
                return False
        except NotFound:
            return False
        except (IpfsError, OSError) as error:
            raise NeighbourFailed(f"{offer.url}: {error}") from None
        return self._make(root, attempt)

    def _make(self, root: CID, attempt: Attempt) -> bool:
        """Put the file together; False where that cannot be done here."""
        if attempt.progress.stopped:
            return False
        # Loaded when it is needed: a node starts without.
        from dpip.ipfs.archive.rebuild import rebuild

        attempt.discard()
        size, written = attempt.most or 1, 0
        try:
            with attempt.place.open("wb") as file:

                def write(data: bytes) -> None:
                    nonlocal written
                    if attempt.progress.stopped:
                        raise Unavailable("stopped")
                    file.write(data)
                    written += len(data)
                    attempt.progress.share = FETCHING + (1 - FETCHING) * min(1, written / size)

                rebuild(self._blocks.get, root, write)
        except (IpfsError, OSError) as error:
            log.info("%s by recipe: %s", attempt.record.filename, error)
            return False
        return True

    def _complete(self, offer: Offer, root: CID, attempt: Attempt) -> bool:
        """Fetch what is missing below `root`, unless that is clearly too much."""
        peer = Blocks(offer.url, timeout=STALL, dial=self._dial, sign=offer.sign)
        fetching = _Fetching(self._blocks, peer, attempt.progress)
        try:
            most = int((attempt.most or 0) * WORTH)
            leaves = fetching.tree(root, most)
            if leaves is not None:
                fetching.leaves(leaves)
        finally:
            fetching.close()
        return leaves is not None


class _Fetching:
    """Blocks from one neighbour, as far as they are missing here."""

    def __init__(self, blocks: Blockstore, peer: Blocks, progress: Progress) -> None:
        self._blocks = blocks
        self._peer = peer
        self._progress = progress
        self._before = progress.came
        self._threads = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="assembly")

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._peer.close()

    def tree(self, root: CID, most: int) -> dict[CID, int] | None:
        """Return the leaves that are missing with their sizes; None if they are too much."""
        leaves, level, seen = dict[CID, int](), [root], {root.multihash}
        while level:
            self._fetch(level)
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
            if self._peer.moved + missing > most or len(seen) > MOST_BLOCKS:
                return None
            level = below
        return leaves

    def leaves(self, sizes: dict[CID, int]) -> None:
        """Fetch them all."""
        total, done, cids = sum(sizes.values()), 0, list(sizes)
        for at in range(0, len(cids), BATCH):
            batch = cids[at : at + BATCH]
            self._fetch(batch)
            done += sum(sizes[cid] for cid in batch)
            self._progress.share = FETCHING * done / max(total, 1)

    def _fetch(self, cids: Sequence[CID]) -> None:
        """Put the blocks that are missing."""
        missing = [cid for cid in cids if not self._blocks.has(cid)]
        found = zip(missing, self._threads.map(self._get, missing), strict=True)
        self._blocks.put([Block(cid, data) for cid, data in found])

    def _get(self, cid: CID) -> bytes:
        if self._progress.stopped:
            raise Unavailable("stopped")
        data = self._peer.get(cid)
        self._progress.came = self._before + self._peer.moved
        return data
