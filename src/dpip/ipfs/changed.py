"""What differs between two directories, at the cost of what differs.

Equal parts have equal CIDs, so only shards that differ are loaded. Of two shards that divide
their names in different ways more is named than has changed, and never less.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import dag, hamt
from .errors import InvalidBlock
from .unixfs import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from . import unixfs
    from .blockstore import Blockstore
    from .cid import CID
    from .dagpb import Link


def changed_entries(store: Blockstore, old: CID, new: CID, depth: int = 0) -> Iterator[str]:
    """Yield the names that may lead elsewhere below `new` than below `old`; some come twice.

    Raises NotFound, InvalidBlock, and InvalidPath for what is no directory.
    """
    if old.multihash == new.multihash:
        return
    if depth > hamt.HASH_BITS // 3:
        raise InvalidBlock("directory shards deeper than the hash of a name")
    before, after = dag.load(store, old), dag.load(store, new)
    if before.kind is after.kind is Kind.HAMT and hamt.width(before) == hamt.width(after):
        yield from _shards(store, before, after, depth)
        return
    mine = {link.name: link.cid for link in dag.entries(store, before)}
    theirs = {link.name: link.cid for link in dag.entries(store, after)}
    yield from (name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))


def _shards(store: Blockstore, old: unixfs.Entry, new: unixfs.Entry, depth: int) -> Iterator[str]:
    prefix = hamt.digits(hamt.width(old))
    mine = {link.name: link for link in old.links}
    theirs = {link.name: link for link in new.links}
    for name in mine.keys() | theirs.keys():
        before, after = mine.get(name), theirs.get(name)
        if before is not None and after is not None:
            if before.cid == after.cid:
                continue
            if len(name) == prefix:
                yield from changed_entries(store, before.cid, after.cid, depth + 1)
                continue
        for link in (before, after):
            if link is not None:
                yield from _names(store, link, prefix)


def _names(store: Blockstore, link: Link, prefix: int) -> Iterator[str]:
    """Yield the name of an entry of a shard, or all that are below a shard in its place."""
    if len(link.name) > prefix:
        yield link.name[prefix:]
        return
    yield from (below.name for below in dag.entries(store, dag.load(store, link.cid)))
