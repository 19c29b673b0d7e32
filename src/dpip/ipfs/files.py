"""Reading UnixFS files: whole, or any range of bytes, touching only the blocks it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import dag
from .cid import CID, RAW, inline
from .errors import InvalidBlock, InvalidPath, LimitExceeded
from .unixfs import Entry, Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .blockstore import Blockstore

MAX_DEPTH = 64
"""Levels of a file's DAG; balanced ones of 2**63 bytes have seven."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of a file's bytes: a slice of a raw block, or bytes that a node carries itself."""

    cid: CID
    offset: int
    length: int
    data: bytes | None = None


def size(store: Blockstore, cid: CID) -> int:
    """Return a file's length in bytes, from its root block alone."""
    return _raw_size(store, cid) if cid.codec == RAW else _file(cid, dag.load(store, cid)).size


def read(store: Blockstore, cid: CID, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
    """Yield the bytes of a file from `start` up to `stop`, a block's worth at a time.

    Raises NotFound for a missing block, InvalidBlock for a DAG that contradicts itself.
    """
    for extent in extents(store, cid, start, stop):
        yield content(store, extent)


def content(store: Blockstore, extent: Extent) -> bytes:
    """Return the bytes of an extent."""
    if extent.data is not None:
        return extent.data
    block = dag.get(store, extent.cid)
    found = block[extent.offset : extent.offset + extent.length]
    if len(found) != extent.length:
        raise InvalidBlock(f"{extent.cid} is shorter than its parent says")
    return found


def extents(
    store: Blockstore, cid: CID, start: int = 0, stop: int | None = None
) -> Iterator[Extent]:
    """Yield where the bytes from `start` up to `stop` lie; raw leaves are not read for it."""
    entry = None if cid.codec == RAW else _file(cid, dag.load(store, cid))
    total = _raw_size(store, cid) if entry is None else entry.size
    stop = total if stop is None else min(stop, total)
    if start >= stop:
        return
    if entry is None:
        yield Extent(cid, start, stop - start)
    else:
        yield from _extents(store, _Node(cid, entry), (start, stop), 0)


@dataclass(frozen=True, slots=True)
class _Node:
    cid: CID
    entry: Entry


def _extents(
    store: Blockstore, node: _Node, wanted: tuple[int, int], depth: int
) -> Iterator[Extent]:
    """Yield the extents of one node; the wanted range counts from its first byte."""
    if depth > MAX_DEPTH:
        raise LimitExceeded(f"a file deeper than {MAX_DEPTH} levels")
    start, stop = wanted
    data = node.entry.data
    own = data.data or b""
    if start < len(own):
        piece = own[start:stop]
        yield Extent(node.cid, start, len(piece), piece)
    at = len(own)
    for link, length in zip(node.entry.links, data.blocksizes, strict=True):
        low, high = max(start - at, 0), min(stop - at, length)
        if low < high and link.cid.codec == RAW:
            yield Extent(link.cid, low, high - low)
        elif low < high:
            child = _file(link.cid, dag.load(store, link.cid))
            if child.size != length:
                raise InvalidBlock(f"{link.cid} is not as long as its parent says")
            yield from _extents(store, _Node(link.cid, child), (low, high), depth + 1)
        at += length


def _raw_size(store: Blockstore, cid: CID) -> int:
    data = inline(cid)
    return store.size(cid) if data is None else len(data)


def _file(cid: CID, entry: Entry) -> Entry:
    if not entry.is_file:
        raise InvalidPath(f"{cid} is a {entry.kind.name.lower()}, not a file")
    if entry.kind is Kind.FILE and entry.data.filesize is not None:
        counted = len(entry.data.data or b"") + sum(entry.data.blocksizes)
        if counted != entry.data.filesize:
            raise InvalidBlock(f"{cid} says {entry.data.filesize} bytes and has {counted}")
    return entry
