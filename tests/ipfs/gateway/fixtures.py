"""The gateway fixtures that are handed in, and what is made beside them, by name.

A name is a fixture and a path in it (`mixed/subdir/ascii.txt`). Behind it may stand `#2` or
`#2:4`, some of the links of a file; `#shards`, the shards below a sharded directory, depth
first; `#>entry`, the shards between a sharded directory and one of its entries.
"""

from __future__ import annotations

import io
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tests import peers

from dpip.ipfs import car, dag, dagpb, ipns, unixfs
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID, DAG_PB
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.protobuf import blob

if TYPE_CHECKING:
    from pathlib import Path

CARS = {
    "block": "car/gateway-raw-block",
    "two": "car/subdir-with-two-single-block-files",
    "mixed": "car/subdir-with-mixed-block-files",
    "hamt": "car/single-layer-hamt-with-multi-block-files",
    "cbor": "car/dir-with-dag-cbor-with-links",
    "holed": "car/file-3k-and-3-blocks-missing-block",
    "dup": "car/dir-with-duplicate-files",
    "cache": "path/cache",
    "listing": "path/dir-listing",
    "files": "path/dir-with-files",
    "percent": "path/dir-with-percent-encoded-filename",
    "symlink": "path/symlink",
}
CENTURY = 876_600 * 3600 * ipns.SECOND
"""Lifetime and TTL of a record that caches may keep for a hundred years."""
BROKEN = ("_v1", "-broken-v1-value", "-broken-signature-v2")
"""How the names of records end that nobody may accept."""


@dataclass
class Fixtures:
    """CAR files, the roots in them, IPNS records by name, and those that must be refused."""

    cars: list[bytes] = field(default_factory=list)
    roots: dict[str, CID] = field(default_factory=dict)
    store: MemoryBlockstore = field(default_factory=MemoryBlockstore)
    records: dict[str, bytes] = field(default_factory=dict)
    refused: dict[str, bytes] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)

    def add_car(self, name: str, data: bytes) -> None:
        """Add a CAR; `name` stands for its root."""
        reader = car.read(io.BytesIO(data))
        self.store.put(list(reader))
        self.cars.append(data)
        self.roots[name] = reader.roots[0]

    def add_node(self, name: str, links: bytes, data: bytes, *, data_first: bool = False) -> None:
        """Add a DAG-PB node in either order of its fields, and a CAR of it alone."""
        raw = blob(1, data) + links if data_first else links + blob(1, data)
        block = Block(CID.of(raw, DAG_PB), raw)
        self.add_car(name, b"".join(car.write([block.cid], [block])))

    def cid(self, name: str) -> CID:
        """Return the CID of a fixture, or of what lies on a path in it."""
        root, *path = name.split("/")
        return dag.resolve(self.store, self.roots[root], path).cid

    def cids(self, names: str) -> list[str]:
        """Return the CIDs that names separated by blanks stand for, as text."""
        return [str(cid) for name in names.split() for cid in self._cids(name)]

    def _cids(self, name: str) -> list[CID]:
        where, hash_sign, which = name.partition("#")
        cid = self.cid(where)
        if not hash_sign:
            return [cid]
        if which == "shards":
            return self._shards(cid)
        if which.startswith(">"):
            return self._way(cid, which[1:])
        links = [link.cid for link in dagpb.decode(self.store.get(cid)).links]
        first, colon, last = which.partition(":")
        if not colon:
            return [links[int(first)]]
        return links[int(first or 0) : int(last) if last else None]

    def _shards(self, cid: CID) -> list[CID]:
        links = dagpb.decode(self.store.get(cid)).links
        below = [link.cid for link in links if len(link.name) == 2]
        return [found for shard in below for found in (shard, *self._shards(shard))]

    def _way(self, cid: CID, entry: str) -> list[CID]:
        for link in dagpb.decode(self.store.get(cid)).links:
            if len(link.name) == 2 and any(
                other.name[2:] == entry
                for shard in (link.cid, *self._shards(link.cid))
                for other in dagpb.decode(self.store.get(shard)).links
            ):
                return [link.cid, *self._way(link.cid, entry)]
        return []


def load() -> Fixtures:
    """Read the fixtures, and make those that are not among them."""
    found, folder = Fixtures(), peers.bench_data("gateway")
    for name, path in CARS.items():
        found.add_car(name, (folder / f"{path}.car").read_bytes())
    for record in sorted(folder.glob("*/*.ipns-record")):
        _add_record(found, record)
    _add_century(found)
    _add_orders(found)
    _add_tars(found)
    return found


def _add_record(found: Fixtures, path: Path) -> None:
    name, _, kind = path.stem.partition("_")
    label = f"_{kind}".removeprefix("_v1-v2-") if kind else path.stem[-8:]
    broken = f"_{kind}".endswith(BROKEN)
    found.names[label.lstrip("_")] = name
    (found.refused if broken else found.records)[name] = path.read_bytes()


def _add_century(found: Fixtures) -> None:
    """Add a file and a record of it that holds for a century, just signed."""
    block = Block(CID.of(b"Hello IPFS\n"), b"Hello IPFS\n")
    found.add_car("hello", b"".join(car.write([block.cid], [block])))
    key, expires = PrivateKey.from_seed(b"century ".ljust(32)), time.time_ns() + CENTURY
    made = ipns.create(key, f"/ipfs/{block.cid}", sequence=0, expires=expires, ttl=CENTURY)
    found.names["century"] = key.name.encode("k")
    found.records[found.names["century"]] = made.raw


def _add_orders(found: Fixtures) -> None:
    """Add a directory and a shard of one entry, each in both orders of its fields (IPIP-550)."""
    leaf = Block(CID.of(b"hello\n"), b"hello\n")
    bitfield = b"\x80" + bytes(27)
    shard = unixfs.Data(unixfs.Kind.HAMT, bitfield, hash_type=0x22, fanout=256)
    for name, prefix, data in (
        ("directory", "", unixfs.DIRECTORY),
        ("shard", "DF", unixfs.encode(shard)),
    ):
        links = dagpb.encode(dagpb.Node((dagpb.Link(leaf.cid, f"{prefix}hello.txt", 6),)))
        for order in ("data-first", "links-first"):
            found.add_node(f"{name}-{order}", links, data, data_first=order == "data-first")


def _add_tars(found: Fixtures) -> None:
    """Add directories whose entries' names lead out of them, and only seem to."""
    leaf = found.cid("hello")
    for name, entry in (("outside", "../../file"), ("inside", "foobar/x/../file")):
        links = dagpb.encode(dagpb.Node((dagpb.Link(leaf, entry, 11),)))
        found.add_node(name, links, unixfs.DIRECTORY)
