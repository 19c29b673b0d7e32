"""Directories too large for one block: a hash array mapped trie of DAG-PB nodes.

https://specs.ipfs.tech/unixfs/#dag-pb-hamtdirectory. The hash of a name (murmur3, 64 bits, most
significant first) is eaten eight bits a level; they choose one of 256 slots. A slot holds
nothing, an entry (link named by the slot in two hexadecimal digits, then the entry's name)
or, where two names want it, a shard of the next level (link named by the digits alone). So
the shape depends on the set of names alone, and changing one entry rewrites only the shards
on its path, two or three for a million entries.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from . import dagpb, unixfs, varint
from .cid import CID
from .dagpb import Link
from .errors import InvalidBlock, LimitExceeded
from .unixfs import MURMUR3_X64_64, Kind

try:
    from ._rolling import murmur3
except ImportError:  # built without a compiler
    from .rolling import murmur3  # type: ignore[assignment]

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from .blockstore import Block

    Load = Callable[[CID], unixfs.Entry]

HASH_BITS = 64
MAX_FANOUT = 1024
SHARD_DATA = 50
"""Bytes of a shard 256 wide that are not links, at the most."""
ASKED = 64
"""Sizes of shards that are asked for at a time."""


def width(entry: unixfs.Entry) -> int:
    """Return the fan-out of a shard. Raises InvalidBlock unless it is a sane power of two."""
    fanout = entry.data.fanout or 0
    if not 8 <= fanout <= MAX_FANOUT or fanout & fanout - 1:
        raise InvalidBlock(f"directory shard with a fan-out of {fanout}")
    if entry.data.hash_type != MURMUR3_X64_64:
        raise InvalidBlock(f"directory shard hashed by {entry.data.hash_type}, not murmur3")
    return fanout


def digits(fanout: int) -> int:
    """Return how many hexadecimal digits before a link's name are its slot."""
    return len(f"{fanout - 1:X}")


def key(name: str) -> int:
    """Return the 64 bits that choose a name's slots."""
    return murmur3(name.encode("utf-8", "surrogateescape"))


def lookup(
    load: Load, entry: unixfs.Entry, name: str, used: int = 0
) -> tuple[Link | None, list[CID]]:
    """Return the entry of that name, or None, and the shards gone through below `entry`."""
    hashed = key(name)
    through: list[CID] = []
    while True:
        fanout = width(entry)
        used += fanout.bit_length() - 1
        if used > HASH_BITS:
            raise InvalidBlock("directory shards deeper than the hash of a name")
        slot = f"{hashed >> HASH_BITS - used & fanout - 1:0{digits(fanout)}X}"
        link = next((ln for ln in entry.links if ln.name.startswith(slot)), None)
        if link is None or len(link.name) > len(slot):
            found = link is not None and link.name[len(slot) :] == name
            return (Link(link.cid, name, link.tsize) if link and found else None), through
        through.append(link.cid)
        entry = load(link.cid)


def entries(load: Load, entry: unixfs.Entry, depth: int = 0) -> Iterator[Link]:
    """Yield every entry below a shard, in the order of the trie."""
    if depth > HASH_BITS // 3:
        raise InvalidBlock("directory shards deeper than the hash of a name")
    prefix = digits(width(entry))
    for link in entry.links:
        if len(link.name) > prefix:
            yield Link(link.cid, link.name[prefix:], link.tsize)
        else:
            yield from entries(load, load(link.cid), depth + 1)


@dataclass(slots=True)
class Shard:
    """A shard being changed: slots to entries, to shards in hand, or to stored shards.

    A stored shard is a link without a name. `stored` is this shard's own link while nothing
    below it has changed since it was written.
    """

    slots: dict[int, Link | Shard] = field(default_factory=dict)
    stored: Link | None = None

    @classmethod
    def of(cls, entry: unixfs.Entry, link: Link) -> Shard:
        """Return a stored shard for changing. Raises InvalidBlock unless 256 wide."""
        if width(entry) != 256:
            raise InvalidBlock("only directory shards with a fan-out of 256 can be changed")
        slots: dict[int, Link | Shard] = {}
        for ln in entry.links:
            try:
                slots[int(ln.name[:2], 16)] = Link(ln.cid, ln.name[2:], ln.tsize)
            except ValueError:
                raise InvalidBlock(f"directory shard with a link named {ln.name!r}") from None
        return cls(slots, link)

    def get(self, load: Load, name: str, used: int = 0) -> Link | None:
        """Return the entry of that name, or None; changes nothing."""
        there = self.slots.get(_slot(key(name), used))
        if isinstance(there, Shard):
            return there.get(load, name, used + 8)
        if there is not None and not there.name:
            return lookup(load, load(there.cid), name, used + 8)[0]
        return there if there is not None and there.name == name else None

    def write(self, cid_version: int, blocks: list[Block]) -> Link:
        """Return this shard's link after appending the blocks of all that changed below it."""
        if self.stored is not None:
            return self.stored
        links = []
        for slot in sorted(self.slots):
            child = self.slots[slot]
            link = child.write(cid_version, blocks) if isinstance(child, Shard) else child
            links.append(Link(link.cid, f"{slot:02X}{link.name}", link.tsize))
        self.stored = _encoded(links, self.slots, cid_version, blocks)
        return self.stored

    def entries(self, load: Load) -> Iterator[Link]:
        """Yield every entry, in the order of the trie."""
        for slot in sorted(self.slots):
            child = self.slots[slot]
            if isinstance(child, Shard):
                yield from child.entries(load)
            elif child.name:
                yield child
            else:
                yield from entries(load, load(child.cid))

    def least(self, sizes: Callable[[Sequence[CID]], list[int]]) -> Iterator[float]:
        """Yield lower bounds of how long the links in a plain directory would be, in bytes.

        One for each stored shard below this one, from nothing but its size. They are asked
        for some dozens at a time. An entry's link
        has at least 13 bytes, and in a shard two digits more; a link to a shard has at most
        55 bytes, and two entries or more below it. So two fifths are there at the least.
        """
        stored = [
            child.cid for child in self.slots.values() if isinstance(child, Link) and not child.name
        ]
        for at in range(0, len(stored), ASKED):
            for size in sizes(stored[at : at + ASKED]):
                yield 0.4 * (size - SHARD_DATA)

    def lengths(self, get: Callable[[CID], bytes]) -> Iterator[tuple[int, int, int]]:
        """Yield the lengths of name, CID and Tsize of every entry, the shallowest first.

        For finding out how large a plain directory would be: who stops when it is large
        enough has read the few shards that hold many entries, and none of the many that
        hold two. Blocks are measured, not decoded.
        """
        waiting: deque[Shard | CID] = deque([self])
        while waiting:
            shard = waiting.popleft()
            if isinstance(shard, CID):
                for cid, name, tsize in dagpb.measured(get(shard)):
                    if name > 2:
                        yield name - 2, len(cid), tsize
                    else:
                        waiting.append(CID(cid))
                continue
            for child in shard.slots.values():
                if isinstance(child, Shard):
                    waiting.append(child)
                elif child.name:
                    yield len(child.name_bytes), len(child.cid.raw), varint.length(child.tsize)
                else:
                    waiting.append(child.cid)

    def set(self, load: Load, entry: Link, used: int = 0) -> Link | None:
        """Add or replace an entry; return the one replaced. `used` bits led to this shard."""
        self.stored = None
        slot = _slot(key(entry.name), used)
        there = self.slots.get(slot)
        if there is None or (isinstance(there, Link) and there.name == entry.name):
            self.slots[slot] = entry
            return there
        shard = self._child(load, slot, used)
        return shard.set(load, entry, used + 8)

    def remove(self, load: Load, name: str, used: int = 0) -> Link | None:
        """Take an entry out and return it, or None if there is none of that name."""
        slot = _slot(key(name), used)
        there = self.slots.get(slot)
        if there is None or (isinstance(there, Link) and there.name not in {"", name}):
            return None
        if isinstance(there, Link) and there.name:
            removed: Link | None = self.slots.pop(slot)  # type: ignore[assignment]
        else:
            shard = self._child(load, slot, used)
            removed = shard.remove(load, name, used + 8)
            left = list(shard.slots.values())
            if len(left) == 1 and isinstance(left[0], Link) and left[0].name:
                self.slots[slot] = left[0]
        if removed is not None:
            self.stored = None
        return removed

    def _child(self, load: Load, slot: int, used: int) -> Shard:
        """Return the shard in a slot: the one there, loaded, or made around the entry there."""
        there = self.slots[slot]
        if isinstance(there, Link):
            if there.name:
                shard = Shard()
                shard.set(load, there, used + 8)
            else:
                shard = Shard.of(load(there.cid), there)
            self.slots[slot] = there = shard
        return there


def build(links: Iterable[Link], load: Load) -> Shard:
    """Return a trie of these entries."""
    shard = Shard()
    for link in links:
        shard.set(load, link)
    return shard


def _slot(hashed: int, used: int) -> int:
    if used >= HASH_BITS:
        raise LimitExceeded("two names of one directory have the same 64-bit hash")
    return hashed >> HASH_BITS - 8 - used & 0xFF


def _encoded(
    links: list[Link], slots: Iterable[int], cid_version: int, blocks: list[Block]
) -> Link:
    from .blockstore import Block

    bits = sum(1 << slot for slot in slots)
    bitfield = bits.to_bytes((bits.bit_length() + 7) // 8, "big")
    data = unixfs.encode(unixfs.Data(Kind.HAMT, bitfield, hash_type=MURMUR3_X64_64, fanout=256))
    # The digits come first in every name, so the links are in order as they are.
    block = b"".join([*map(dagpb.encode_link, links), dagpb.encode(dagpb.Node((), data))])
    cid = dagpb.cid_of(block, cid_version)
    blocks.append(Block(cid, block))
    return Link(cid, "", len(block) + sum(link.tsize for link in links))
