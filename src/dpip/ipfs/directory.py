"""UnixFS directories: made, changed entry by entry, sharded where the profile says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import dagpb, hamt, unixfs, varint
from .blockstore import Block, SizedAtOnce
from .dagpb import Link, Node
from .errors import InvalidBlock, InvalidPath
from .hamt import Shard
from .profiles import UNIXFS_V1_2025, Profile
from .unixfs import Kind

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from .blockstore import Blockstore
    from .cid import CID


class Directory:
    """A directory in hand. Changes cost what they touch; `write` puts the changed blocks.

    Which form it takes, plain or sharded, depends on its entries and the profile alone, not
    on the order of changes, so equal directories have equal CIDs.
    """

    def __init__(self, store: Blockstore, profile: Profile = UNIXFS_V1_2025) -> None:
        self._store = store
        self._profile = profile
        self._plain: dict[str, Link] = {}
        self._shard: Shard | None = None
        self._shrunk = False

    @classmethod
    def load(
        cls, store: Blockstore, cid: CID, profile: Profile = UNIXFS_V1_2025, tsize: int = 0
    ) -> Directory:
        """Return a stored directory for changing. Raises NotFound, or InvalidBlock if none."""
        directory = cls(store, profile)
        entry = directory._load(cid)
        if entry.kind is Kind.HAMT:
            directory._shard = Shard.of(entry, Link(cid, "", tsize))
        elif entry.kind is Kind.DIRECTORY:
            directory._plain = {link.name: link for link in entry.links}
        else:
            raise InvalidBlock(f"{cid} is no directory")
        return directory

    def get(self, name: str) -> Link | None:
        """Return the entry of that name, or None."""
        if self._shard is None:
            return self._plain.get(name)
        return self._shard.get(self._load, name)

    def set(self, name: str, cid: CID, tsize: int) -> None:
        """Add or replace an entry; `tsize` is the bytes of all blocks below it."""
        if not name or "/" in name or name in {".", ".."}:
            raise InvalidPath(f"{name!r} cannot be a directory entry's name")
        link = Link(cid, name, tsize)
        if self._shard is None:
            self._plain[name] = link
        else:
            replaced = self._shard.set(self._load, link)
            if replaced is not None:
                self._shrunk |= self._cost(*_lengths(replaced)) > self._cost(*_lengths(link))

    def remove(self, name: str) -> None:
        """Take an entry out. Raises InvalidPath if there is none of that name."""
        if self._shard is None:
            removed = self._plain.pop(name, None)
        else:
            removed = self._shard.remove(self._load, name)
            self._shrunk = True
        if removed is None:
            raise InvalidPath(f"no entry {name!r} in the directory")

    def entries(self) -> Iterator[Link]:
        """Yield the entries: by name if plain, in the order of the trie if sharded."""
        if self._shard is not None:
            return self._shard.entries(self._load)
        return iter(sorted(self._plain.values(), key=lambda link: link.name_bytes))

    def write(self) -> Link:
        """Put what changed into the store and return the link to the directory."""
        self._choose_form()
        blocks: list[Block] = []
        if self._shard is not None:
            link = self._shard.write(self._profile.cid_version, blocks)
        else:
            block = dagpb.encode(Node(tuple(self._plain.values()), unixfs.DIRECTORY))
            cid = dagpb.cid_of(block, self._profile.cid_version)
            blocks.append(Block(cid, block))
            link = Link(cid, "", len(block) + sum(ln.tsize for ln in self._plain.values()))
        self._store.put(blocks)
        return link

    def _choose_form(self) -> None:
        if self._shard is None:
            if self._exceeds(map(_lengths, self._plain.values())):
                self._shard = hamt.build(self._plain.values(), self._load)
                self._plain = {}
        elif self._shrunk and not self._stays(self._shard):
            self._plain = {link.name: link for link in self._shard.entries(self._load)}
            self._shard = None
        self._shrunk = False

    def _stays(self, shard: Shard) -> bool:
        """Say whether a sharded directory is still too large to be plain."""
        if self._profile.hamt_size_rule != "links":
            total = 0.0
            for least in shard.least(self._sizes):
                total += least
                if total > self._profile.hamt_threshold:
                    return True
        return self._exceeds(shard.lengths(self._store.get))

    def _sizes(self, cids: Sequence[CID]) -> list[int]:
        if isinstance(self._store, SizedAtOnce):
            return self._store.sizes(cids)
        return [self._store.size(cid) for cid in cids]

    def _exceeds(self, lengths: Iterable[tuple[int, int, int]]) -> bool:
        """Say whether a plain directory of such links is too large; stops as soon as it is."""
        total = 0 if self._profile.hamt_size_rule == "links" else len(unixfs.DIRECTORY) + 2
        for name, cid, tsize in lengths:
            total += self._cost(name, cid, tsize)
            if total > self._profile.hamt_threshold:
                return True
        return False

    def _cost(self, name: int, cid: int, tsize: int) -> int:
        if self._profile.hamt_size_rule == "links":
            return name + cid
        return dagpb.link_size(name, cid, tsize)

    def _load(self, cid: CID) -> unixfs.Entry:
        return unixfs.read(cid, self._store.get(cid))


def _lengths(link: Link) -> tuple[int, int, int]:
    return len(link.name_bytes), len(link.cid.raw), varint.length(link.tsize)
