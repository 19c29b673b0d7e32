"""Contents as UnixFS: files of content-defined chunks, in directories.

Chunks are 64 KiB on average (16 to 256) by FastCDC, so that an edit in a large file leaves
most of its chunks as they were. What is kept compressed shares nothing with anything and is
cut at 1 MiB instead.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

from .. import hamt, unixfs
from ..blockstore import Block, MemoryBlockstore
from ..cid import CID, DAG_PB, RAW, SHA2_256
from ..directory import Directory
from ..errors import InvalidArchive, InvalidBlock
from ..importer import Leaf, layout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from .. import dagpb
    from ..importer import File

    Sink = Callable[[Block], None]
    Get = Callable[[CID], bytes]

AVERAGE, FINE = 64 * 2**10, 8 * 2**10
"""Average chunk of contents; of plans, where a change touches a few bytes here and there."""
FIXED = 2**20
MAX_DEPTH, MAX_FILES = 32, 2_000_000
Tree = dict[str, "File | Tree"]
"""Names to files and directories, as nested dictionaries."""


def store(content: memoryview, sink: Sink, average: int = AVERAGE) -> File:
    """Put a file of content-defined chunks into `sink` and return it."""
    import pyfastcdc

    if len(content) <= average // 4:
        return store_cut(content, (slice(0, len(content)),), sink)
    cutter = pyfastcdc.FastCDC(average, min_size=average // 4, max_size=average * 4)
    cuts = (slice(one.offset, one.offset + one.length) for one in cutter.cut_buf(content))
    return store_cut(content, cuts, sink)


def store_fixed(content: memoryview, sink: Sink) -> File:
    """Put a file of 1 MiB chunks into `sink` and return it."""
    starts = range(0, len(content), FIXED) or (0,)
    return store_cut(content, (slice(at, min(at + FIXED, len(content))) for at in starts), sink)


def store_cut(content: memoryview, cuts: Iterable[slice], sink: Sink) -> File:
    """Put a file of the given chunks, raw leaves, into `sink` and return it."""
    leaves = []
    for cut in cuts:
        data = bytes(content[cut])
        cid = CID.v1(RAW, bytes((SHA2_256, 32)) + hashlib.sha256(data).digest())
        leaves.append(Leaf(cid, cut.start, len(data), len(data)))
        sink(Block(cid, data))
    return layout(leaves, sink=sink)


def plant(tree: Tree, path: str, file: File) -> None:
    """Put `file` at `path` in the tree.

    Raises InvalidArchive for a path that is absolute, climbs, or is taken.
    """
    *parents, name = path.split("/")
    if any(part in {"", ".", ".."} or "\0" in part for part in (*parents, name)):
        raise InvalidArchive(f"member with an unsafe name: {path!r}")
    if len(parents) > MAX_DEPTH:
        raise InvalidArchive(f"member too deep: {path!r}")
    for parent in parents:
        below = tree.setdefault(parent, {})
        if not isinstance(below, dict):
            raise InvalidArchive(f"member inside a file: {path!r}")
        tree = below
    if name in tree:
        raise InvalidArchive(f"two members with one name: {path!r}")
    tree[name] = file


def store_tree(tree: Tree, sink: Sink) -> dagpb.Link:
    """Put the directories into `sink` and return a nameless link to the root."""
    scratch = MemoryBlockstore()
    directory = Directory(scratch)
    for name, child in tree.items():
        below = store_tree(child, sink) if isinstance(child, dict) else child
        directory.set(name, below.cid, below.tsize)
    link = directory.write()
    for multihash in scratch.multihashes():
        cid = CID.v1(DAG_PB, multihash)
        sink(Block(cid, scratch.get(cid)))
    return link


def read(get: Get, cid: CID, depth: int = 0) -> Iterator[bytes]:
    """Yield the content of a file, leaf by leaf. Raises NotFound and InvalidBlock."""
    entry = unixfs.read(cid, get(cid))
    if not entry.is_file or depth > MAX_DEPTH:
        raise InvalidBlock(f"{cid} is not a file")
    if entry.data.data:
        yield entry.data.data
    for link in entry.links:
        yield from read(get, link.cid, depth + 1)


def walk(get: Get, cid: CID, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, CID]]:
    """Yield the path and CID of every file under a directory."""
    entry = unixfs.read(cid, get(cid))
    if not entry.is_directory:
        yield prefix[:-1], cid
        return
    if depth > MAX_DEPTH + 1:
        raise InvalidBlock(f"{cid} is too deep")
    sharded = entry.kind is unixfs.Kind.HAMT
    links = hamt.entries(partial(_load, get), entry) if sharded else iter(entry.links)
    for link in links:
        if link.cid.codec == RAW:
            yield prefix + link.name, link.cid
        else:
            yield from walk(get, link.cid, f"{prefix}{link.name}/", depth + 1)


def _load(get: Get, cid: CID) -> unixfs.Entry:
    return unixfs.read(cid, get(cid))
