"""A file as its published leaves: one CAR from a neighbour's trustless gateway.

Every block is checked against its CID as it comes. That the root is the right one is only the
neighbour's word, so the SHA-256 still decides; but a neighbour that dies in the middle leaves a
beginning that is good under that root, and the next one that offers the same root goes on.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, BinaryIO

from dpip.federation.offers import STALL, NeighbourFailed
from dpip.ipfs import unixfs
from dpip.ipfs.cid import CID, RAW, inline
from dpip.ipfs.errors import InvalidBlock, InvalidCar, IpfsError, NotFound
from dpip.ipfs.gateway.client import Gateway

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dpip.federation.offers import Attempt, Offer
    from dpip.ipfs.blockstore import Block
    from dpip.ipfs.connections import Dial
    from dpip.mirror.hedge import Way

MOST_NODES = 100_000
FILES_AT_ONCE = 8
ONE_LEAF = 2**20
"""Bytes up to which a file may be one leaf: there is no middle of it to go on from."""


class Leaves:
    """The published files of neighbours; `dial` connects to them (default: by their names)."""

    way: Way = "leaves"

    def __init__(self, dial: Dial | None = None) -> None:
        self._dial = dial
        # Not the threads that everybody uses: a neighbour that stalls holds one for seconds.
        self._threads = ThreadPoolExecutor(FILES_AT_ONCE, thread_name_prefix="leaves")

    def close(self) -> None:
        """Begin nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def bring(self, offer: Offer, attempt: Attempt) -> bool:
        """Write the file, going on from what is there of the same root.

        False where no root is offered, or the file is so small that it comes sooner as it is.
        """
        if offer.root is None or 0 < (attempt.most or 0) <= ONE_LEAF:
            return False
        loop = asyncio.get_running_loop()
        gateway = Gateway(offer.url, timeout=STALL, dial=self._dial, headers=offer.sign)
        return await loop.run_in_executor(self._threads, _bring, gateway, offer.root, attempt)


def _bring(gateway: Gateway, text: str, attempt: Attempt) -> bool:
    if attempt.progress.stopped:
        return False
    try:
        root = CID.parse(text)
        if attempt.prefix is None or attempt.prefix[0] != root:
            attempt.discard()
            attempt.prefix = (root, 0)
        start = attempt.prefix[1]
        with attempt.place.open("ab+") as file:
            file.truncate(start)
            blocks = gateway.car(root, scope="entity", start=start)
            _Writing(file, attempt, root, start).run(_counted(blocks, attempt))
    except NotFound:
        return False
    except (IpfsError, OSError) as error:
        raise NeighbourFailed(f"{gateway.url}: {error}") from None
    finally:
        gateway.close()
    return True


def _counted(blocks: Iterator[Block], attempt: Attempt) -> Iterator[Block]:
    for block in blocks:
        if attempt.progress.stopped:
            raise InvalidCar("stopped")
        attempt.progress.came += len(block.data)
        yield block


class _Writing:
    """Puts the leaves of one file in their order, from `start` bytes on.

    A CAR in depth-first order without duplicates holds each block where the walk first meets
    it; what the walk meets again is read back from what was written.
    """

    def __init__(self, file: BinaryIO, attempt: Attempt, root: CID, start: int) -> None:
        self._file = file
        self._attempt = attempt
        self._root = root
        self._start = start
        self._at = 0
        self._leaves: dict[bytes, tuple[int, int]] = {}
        self._nodes: dict[bytes, bytes] = {}

    def run(self, blocks: Iterator[Block]) -> None:
        stack: list[tuple[CID, int | None]] = [(self._root, None)]
        while stack:
            cid, size = stack.pop()
            if size is not None and self._at + size <= self._start:
                self._at += size
            elif cid.codec == RAW:
                self._leaf(cid, size, blocks)
            else:
                stack += reversed(self._links(cid, blocks))

    def _links(self, cid: CID, blocks: Iterator[Block]) -> list[tuple[CID, int | None]]:
        data = self._nodes.get(cid.multihash)
        if data is None:
            data = self._nodes[cid.multihash] = _next(cid, blocks)
        entry = unixfs.read(cid, data)
        if not entry.is_file or entry.data.data or len(self._nodes) > MOST_NODES:
            raise InvalidBlock(f"{cid} is not a node of a published file")
        return [
            (link.cid, size) for link, size in zip(entry.links, entry.data.blocksizes, strict=True)
        ]

    def _leaf(self, cid: CID, size: int | None, blocks: Iterator[Block]) -> None:
        place = self._leaves.get(cid.multihash)
        if place is not None:
            self._file.seek(place[0])
            data = self._file.read(place[1])
        else:
            data = _next(cid, blocks)
            self._leaves[cid.multihash] = (self._at, len(data))
        if size is not None and len(data) != size:
            raise InvalidBlock(f"{cid} has {len(data)} bytes instead of {size}")
        self._write(data)

    def _write(self, data: bytes) -> None:
        attempt = self._attempt
        self._at += len(data)
        if attempt.most is not None:
            if self._at > attempt.most:
                raise InvalidBlock(f"more than {attempt.most} bytes")
            attempt.progress.share = self._at / max(attempt.most, 1)
        self._file.write(data)
        attempt.prefix = (self._root, self._at)


def _next(cid: CID, blocks: Iterator[Block]) -> bytes:
    data = inline(cid)
    if data is not None:
        return data
    block = next(blocks, None)
    if block is None or block.cid.multihash != cid.multihash:
        raise InvalidCar(f"the stream does not go on with {cid}")
    return block.data
