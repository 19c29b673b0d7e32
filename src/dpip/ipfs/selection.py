"""Which blocks a CAR holds: those of the path, then a part of the DAG where it ends.

Trustless gateway, dag-scope and entity-bytes: https://specs.ipfs.tech/http-gateways/trustless-gateway/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from . import dag, unixfs
from .blockstore import Block
from .cid import CID, DAG_PB, RAW, inline
from .errors import InvalidArgument, LimitExceeded
from .unixfs import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .blockstore import Blockstore

Scope = Literal["block", "entity", "all"]
MAX_DEPTH = 1024
NESTED = 64
"""Levels of one file, or of one directory's shards: more than either can need."""


@dataclass(frozen=True, slots=True)
class ByteRange:
    """First and last byte, both included; negative ones count from the end, None is the end."""

    first: int = 0
    last: int | None = None

    @classmethod
    def parse(cls, text: str) -> ByteRange:
        """Read `from:to`, where `to` may be `*`. Raises InvalidArgument."""
        first, colon, last = text.partition(":")
        try:
            found = cls(int(first), None if last == "*" else int(last))
        except ValueError:
            raise InvalidArgument(f"entity-bytes is from:to, not {text!r}") from None
        if not colon or (found.last is not None and found.first >= 0 > found.last and not first):
            raise InvalidArgument(f"entity-bytes is from:to, not {text!r}")
        if found.last is not None and _same_sign(found) and found.first > found.last:
            raise InvalidArgument(f"entity-bytes {text!r} ends before it begins")
        return found

    def within(self, size: int) -> tuple[int, int]:
        """Return start and stop in a file of that size; start ≥ stop if nothing is covered."""
        start = self.first if self.first >= 0 else max(0, size + self.first)
        if self.last is None:
            return start, size
        last = self.last if self.last >= 0 else size + self.last
        return start, min(last + 1, size)


def _same_sign(found: ByteRange) -> bool:
    return found.last is not None and (found.first >= 0) == (found.last >= 0)


def select(
    store: Blockstore,
    path: dag.Resolved,
    scope: Scope = "all",
    byte_range: ByteRange | None = None,
    *,
    duplicates: bool = False,
) -> Iterator[Block]:
    """Yield the blocks of a path and of the DAG at its end, depth first, parents first.

    Blocks that CIDs carry themselves are left out. Raises NotFound where one is missing.
    """
    sent: set[bytes] = set()
    for cid in _cids(store, path, scope, byte_range):
        if inline(cid) is not None or (not duplicates and cid.multihash in sent):
            continue
        if not duplicates:
            sent.add(cid.multihash)
        yield Block(cid, store.get(cid))


def _cids(
    store: Blockstore, path: dag.Resolved, scope: Scope, byte_range: ByteRange | None
) -> Iterator[CID]:
    yield from path.before
    if scope == "all" and byte_range is None:
        yield from _everything(store, path.cid)
    elif scope == "block" or path.cid.codec not in {DAG_PB, RAW}:
        yield path.cid
    else:
        yield from _entity(store, path.cid, byte_range or ByteRange())


def _everything(store: Blockstore, root: CID) -> Iterator[CID]:
    stack: list[Iterator[CID]] = [iter((root,))]
    while stack:
        cid = next(stack[-1], None)
        if cid is None:
            stack.pop()
            continue
        yield cid
        if cid.codec != RAW:
            if len(stack) > MAX_DEPTH:
                raise LimitExceeded(f"a DAG deeper than {MAX_DEPTH} levels")
            stack.append(iter(dag.children(cid, dag.get(store, cid))))


def _entity(store: Blockstore, cid: CID, byte_range: ByteRange) -> Iterator[CID]:
    yield cid
    if cid.codec == RAW:
        return
    entry = dag.load(store, cid)
    if entry.kind is Kind.HAMT:
        yield from _shards(store, entry, 0)
    elif entry.kind is Kind.FILE:
        start, stop = byte_range.within(entry.size)
        yield from _covering(store, entry, start, stop, 0)


def _shards(store: Blockstore, entry: unixfs.Entry, depth: int) -> Iterator[CID]:
    if depth > NESTED:
        raise LimitExceeded("directory shards nested too deep")
    for link in entry.links:
        if len(link.name) == 2:
            yield link.cid
            yield from _shards(store, dag.load(store, link.cid), depth + 1)


def _covering(
    store: Blockstore, entry: unixfs.Entry, start: int, stop: int, depth: int
) -> Iterator[CID]:
    """Yield the blocks below a file's node that hold bytes from `start` up to `stop`."""
    if depth > NESTED:
        raise LimitExceeded("a file nested too deep")
    at = len(entry.data.data or b"")
    for link, size in zip(entry.links, entry.data.blocksizes, strict=True):
        if at < stop and at + size > start:
            yield link.cid
            if link.cid.codec != RAW:
                child = dag.load(store, link.cid)
                yield from _covering(store, child, start - at, stop - at, depth + 1)
        at += size
