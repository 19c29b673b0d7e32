"""Files in, UnixFS DAGs out: the same CIDs as `ipfs add` gives under the same profile.

A file is cut into chunks, each chunk becomes a leaf, and leaves are gathered from the left
into nodes of at most `max_links` children, level by level, until one node is left (the
balanced layout). A file of one chunk is that leaf.

Hashing leaves is nearly all the work and lets go of the interpreter lock, so leaves are
hashed on other threads while the caller goes on reading (and hashing the file as a whole).
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import dagpb, unixfs, varint
from .blockstore import Block
from .chunkers import Splitter, chunker
from .cid import CID, DAG_PB, RAW
from .profiles import UNIXFS_V1_2025, Profile

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

PENDING = 16
"""Chunks that may wait for a hashing thread; bounds memory to as many times the chunk size."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf: where its bytes lie in the file, and the size of its block."""

    cid: CID
    offset: int
    length: int
    block_size: int


@dataclass(frozen=True, slots=True)
class File:
    """An imported file: `size` bytes of content, `tsize` bytes of blocks.

    `nodes` are the blocks that are not plain pieces of the file: inner nodes, children first.
    """

    cid: CID
    size: int
    tsize: int
    leaves: tuple[Leaf, ...]
    nodes: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class _Subtree:
    cid: CID
    size: int
    tsize: int


class FileHasher:
    """Turns bytes into a UnixFS file; nothing is kept unless `sink` keeps it.

    `sink` is called in the caller's thread with every block, leaves in file order, children
    before parents.
    """

    def __init__(
        self,
        profile: Profile = UNIXFS_V1_2025,
        sink: Callable[[Block], None] | None = None,
    ) -> None:
        self._profile = profile
        self._sink = sink
        self._splitter = Splitter(chunker(profile.chunker))
        self._pending: deque[tuple[memoryview, Future[CID]]] = deque()
        self._leaves: list[Leaf] = []
        self._size = 0

    def update(self, data: bytes) -> None:
        """Take the next bytes of the file; `data` must not change afterwards."""
        for chunk in self._splitter.push(data):
            if len(self._pending) >= PENDING:
                self._take(*self._pending.popleft())
            self._pending.append((chunk, _threads().submit(_leaf_cid, chunk, self._profile)))

    def finish(self) -> File:
        """Return the file. Nothing may be added afterwards."""
        chunks = self._splitter.finish()
        while self._pending:
            self._take(*self._pending.popleft())
        for chunk in chunks:
            self._take(chunk, _leaf_cid(chunk, self._profile))
        if not self._leaves:
            self._take(memoryview(b""), _leaf_cid(memoryview(b""), self._profile))
        return layout(self._leaves, self._profile, self._sink)

    def _take(self, chunk: memoryview, cid: CID | Future[CID]) -> None:
        if isinstance(cid, Future):
            cid = cid.result()
        wrapped = not self._profile.raw_leaves
        size = len(chunk) + (sum(map(len, _wrapping(len(chunk)))) if wrapped else 0)
        self._leaves.append(Leaf(cid, self._size, len(chunk), size))
        self._size += len(chunk)
        if self._sink is not None:
            self._sink(Block(cid, leaf_block(chunk, self._profile)))


def layout(
    leaves: Sequence[Leaf],
    profile: Profile = UNIXFS_V1_2025,
    sink: Callable[[Block], None] | None = None,
) -> File:
    """Return the balanced file over leaves that follow each other; at least one."""
    level = [_Subtree(leaf.cid, leaf.length, leaf.block_size) for leaf in leaves]
    nodes: list[Block] = []
    while len(level) > 1:
        level = [
            _join(level[at : at + profile.max_links], profile, nodes)
            for at in range(0, len(level), profile.max_links)
        ]
    if sink is not None:
        for node in nodes:
            sink(node)
    root = level[0]
    return File(root.cid, root.size, root.tsize, tuple(leaves), tuple(nodes))


def _join(children: Sequence[_Subtree], profile: Profile, nodes: list[Block]) -> _Subtree:
    sizes = tuple(child.size for child in children)
    data = unixfs.Data(unixfs.Kind.FILE, filesize=sum(sizes), blocksizes=sizes)
    links = tuple(dagpb.Link(child.cid, "", child.tsize) for child in children)
    block = dagpb.encode(dagpb.Node(links, unixfs.encode(data)))
    cid = dagpb.cid_of(block, profile.cid_version)
    nodes.append(Block(cid, block))
    return _Subtree(cid, sum(sizes), len(block) + sum(child.tsize for child in children))


def leaf_block(chunk: bytes | memoryview, profile: Profile) -> bytes:
    """Return the block of a leaf: the chunk itself, or wrapped in UnixFS and DAG-PB."""
    if profile.raw_leaves:
        return bytes(chunk)
    head, tail = _wrapping(len(chunk))
    return b"".join((head, chunk, tail))


def _leaf_cid(chunk: memoryview, profile: Profile) -> CID:
    if profile.raw_leaves:
        return CID.v1(RAW, b"\x12\x20" + hashlib.sha256(chunk).digest())
    head, tail = _wrapping(len(chunk))
    hashed = hashlib.sha256(head)
    hashed.update(chunk)
    hashed.update(tail)
    multihash = b"\x12\x20" + hashed.digest()
    return CID(multihash) if profile.cid_version == 0 else CID.v1(DAG_PB, multihash)


@functools.lru_cache(maxsize=64)
def _wrapping(length: int) -> tuple[bytes, bytes]:
    """Return what stands before and after a chunk of that length in a wrapped leaf."""
    size = varint.encode(length)
    before = b"\x08\x02" + (b"\x12" + size if length else b"")
    after = b"\x18" + size
    return b"\x0a" + varint.encode(len(before) + length + len(after)) + before, after


@functools.cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(min(4, os.cpu_count() or 1), thread_name_prefix="leaf-hash")
