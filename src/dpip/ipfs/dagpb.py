"""DAG-PB: a node with named links and some bytes (https://ipld.io/specs/codecs/dag-pb/spec/).

The binary form is strict: links come before data on writing, sorted by the bytes of their
names (stable, so that the unnamed links of a file keep their order).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import varint
from .cid import CID, DAG_PB, SHA2_256, multihash_of
from .errors import InvalidBlock, InvalidCid
from .protobuf import BYTES, VARINT, blob, fields

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_BLOCK = 2 * 2**20
"""Largest block that travels between IPFS implementations, in bytes."""


_USUAL = frozenset({b"\x12\x20", b"\x01\x55\x12\x20", b"\x01\x70\x12\x20"})
"""How most CIDs begin: a CIDv0, and CIDv1 of raw and DAG-PB, by sha2-256."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link: the child's CID, its name in this node, the bytes of all blocks below it.

    A name is text; bytes in it that are not UTF-8 are kept as lone surrogates.
    """

    cid: CID
    name: str = ""
    tsize: int = 0

    @property
    def name_bytes(self) -> bytes:
        """The name as it is written and sorted."""
        return self.name.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Node:
    """A DAG-PB node; `data` None and empty are different nodes."""

    links: tuple[Link, ...] = ()
    data: bytes | None = None


def encode(node: Node) -> bytes:
    """Return the one binary form of a node."""
    links = node.links
    if any(link.name for link in links):
        links = tuple(sorted(links, key=lambda link: link.name_bytes))
    parts = [encode_link(link) for link in links]
    if node.data is not None:
        parts.append(blob(1, node.data))
    return b"".join(parts)


def encode_link(link: Link) -> bytes:
    """Return one link as it stands in a node, field header included."""
    raw, name = link.cid.raw, link.name_bytes
    body = b"".join((
        b"\x0a", varint.encode(len(raw)), raw,
        b"\x12", varint.encode(len(name)), name,
        b"\x18", varint.encode(link.tsize),
    ))  # fmt: skip
    return b"\x12" + varint.encode(len(body)) + body


def decode(block: bytes) -> Node:
    """Return the node that a block holds. Raises InvalidBlock."""
    links: list[Link] = []
    data: bytes | None = None
    links_over = False
    for field, wire, value in fields(block):
        if wire != BYTES or not isinstance(value, bytes) or field not in {1, 2}:
            raise InvalidBlock(f"DAG-PB has no field {field} of wire type {wire}")
        if field == 1:
            if data is not None:
                raise InvalidBlock("DAG-PB node with two Data fields")
            data, links_over = value, bool(links)
        elif links_over:
            raise InvalidBlock("DAG-PB node with links on both sides of its data")
        else:
            links.append(_usual_link(value) or _decode_link(value))
    return Node(tuple(links), data)


def measured(block: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield (CID, length of the name, length of the Tsize) of each link of an encoded node.

    Makes no objects, so it costs a tenth of `decode`. Raises InvalidBlock for links that are
    not in the form that `encode_link` gives.
    """
    at, end = 0, len(block)
    try:
        while at < end and block[at] == 0x12:
            size, at = varint.decode_protobuf(block, at + 1)
            stop = at + size
            cid_at = at + 2
            name_field = cid_at + block[at + 1]
            name, name_at = block[name_field + 1], name_field + 2
            if name >= 0x80:
                name, name_at = varint.decode_protobuf(block, name_field + 1)
            tsize = name_at + name + 1
            if block[at] != 0x0A or block[name_field] != 0x12 or block[tsize - 1] != 0x18:
                raise InvalidBlock("DAG-PB link in an unusual form")
            yield block[cid_at:name_field], name, stop - tsize
            at = stop
    except IndexError:
        raise InvalidBlock("DAG-PB link is cut off") from None


def _usual_link(body: bytes) -> Link | None:
    """Return a link in the form that nearly all have, found without a general parser."""
    end = 2 + body[1] if len(body) > 2 else 0
    if end not in {36, 38} or len(body) < end + 4 or body[0] != 0x0A or body[end] != 0x12:
        return None
    raw = body[2:end]
    at = end + 2 + body[end + 1]
    if raw[: end - 34] not in _USUAL or body[end + 1] > 0x7F or body[at : at + 1] != b"\x18":
        return None
    tsize, stop = varint.decode_protobuf(body, at + 1)
    if stop != len(body):
        return None
    return Link(CID(raw), body[end + 2 : at].decode("utf-8", "surrogateescape"), tsize)


def _decode_link(body: bytes) -> Link:
    cid: CID | None = None
    name, tsize, last = b"", 0, 0
    for field, wire, value in fields(body):
        if field <= last:
            raise InvalidBlock("DAG-PB link with a field twice or out of order")
        last = field
        if field == 1 and wire == BYTES and isinstance(value, bytes):
            cid = _link_cid(value)
        elif field == 2 and wire == BYTES and isinstance(value, bytes):
            name = value
        elif field == 3 and wire == VARINT and isinstance(value, int):
            tsize = value
        else:
            raise InvalidBlock(f"DAG-PB link has no field {field} of wire type {wire}")
    if cid is None:
        raise InvalidBlock("DAG-PB link without a CID")
    return Link(cid, name.decode("utf-8", "surrogateescape"), tsize)


def _link_cid(raw: bytes) -> CID:
    try:
        return CID.from_bytes(raw)
    except InvalidCid as error:
        raise InvalidBlock(f"DAG-PB link: {error}") from None


def cid_of(block: bytes, version: int = 1) -> CID:
    """Return the CID of an encoded node in the given CID version."""
    multihash = multihash_of(block, SHA2_256)
    return CID(multihash) if version == 0 else CID.v1(DAG_PB, multihash)


def encoded_size(links: Iterable[Link], data: bytes | None) -> int:
    """Return the size in bytes that `encode` would give, links in any order."""
    size = 0 if data is None else len(blob(1, data))
    return size + sum(
        link_size(len(ln.name_bytes), len(ln.cid.raw), varint.length(ln.tsize)) for ln in links
    )


def link_size(name: int, cid: int, tsize: int) -> int:
    """Return the size of an encoded link from the lengths of name, CID and encoded Tsize."""
    body = 3 + varint.length(name) + varint.length(cid) + name + cid + tsize
    return 1 + varint.length(body) + body
