"""From a CID and a path to the block that it means, and from a block to its children."""

from __future__ import annotations

import json
import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import dagcbor, dagpb, hamt, unixfs
from .cid import CBOR, CID, DAG_CBOR, DAG_JSON, DAG_PB, JSON, RAW, inline
from .errors import InvalidBlock, InvalidCid, InvalidPath, LimitExceeded, NoLink

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .blockstore import Blockstore

MAX_SEGMENTS = 512
_LEAF_CODECS = frozenset({RAW, CBOR, JSON})


@dataclass(frozen=True, slots=True)
class Resolved:
    """Where a path ends.

    `roots` are the blocks that its segments stand for, first to last; `before` are all blocks
    that must be read to get to `cid`, shards of directories included; `remainder` are the
    segments that lead on inside that block.
    """

    cid: CID
    roots: tuple[CID, ...]
    before: tuple[CID, ...] = ()
    remainder: tuple[str, ...] = ()


def get(store: Blockstore, cid: CID) -> bytes:
    """Return a block, taken from the CID itself if that carries it."""
    data = inline(cid)
    return store.get(cid) if data is None else data


def load(store: Blockstore, cid: CID) -> unixfs.Entry:
    """Return a block as a UnixFS entry. Raises NotFound or InvalidBlock."""
    return unixfs.read(cid, get(store, cid))


def children(cid: CID, block: bytes) -> list[CID]:
    """Return the CIDs that a block links to, in its order."""
    codec = cid.codec
    if codec == DAG_PB:
        return [link.cid for link in dagpb.decode(block).links]
    if codec == DAG_CBOR:
        return list(dagcbor.links(dagcbor.decode(block)))
    if codec == DAG_JSON:
        return list(dagcbor.links(read_json(block)))
    if codec in _LEAF_CODECS:
        return []
    raise InvalidBlock(f"{cid}: cannot read {cid.codec_name}")


def read_json(block: bytes) -> Any:
    """Return a DAG-JSON block's value, links as CIDs. Raises InvalidBlock."""
    try:
        return json.loads(block, object_hook=_linked)
    except (ValueError, RecursionError):
        raise InvalidBlock("not DAG-JSON") from None


def _linked(value: dict[str, Any]) -> Any:
    if value.keys() == {"/"} and isinstance(value["/"], str):
        try:
            return CID.parse(value["/"])
        except InvalidCid as error:
            raise InvalidBlock(f"DAG-JSON link: {error}") from None
    return value


def entries(store: Blockstore, entry: unixfs.Entry) -> Iterator[dagpb.Link]:
    """Yield the entries of a directory, plain or sharded. Raises InvalidPath for other nodes."""
    if entry.kind is unixfs.Kind.HAMT:
        return hamt.entries(lambda child: load(store, child), entry)
    if entry.kind is not unixfs.Kind.DIRECTORY:
        raise InvalidPath(f"a {entry.kind.name.lower()} is no directory")
    return iter(entry.links)


def split(path: str) -> tuple[CID, tuple[str, ...]]:
    """Return the root and segments of `/ipfs/<cid>/…` or `<cid>/…`. Raises InvalidPath.

    The path is plain text, not percent-encoded; empty segments are dropped.
    """
    parts = path.removeprefix("/ipfs/").split("/")
    try:
        root = CID.parse(parts[0])
    except InvalidCid as error:
        raise InvalidPath(f"{path!r}: {error}") from None
    segments = tuple(part for part in parts[1:] if part)
    if len(segments) > MAX_SEGMENTS:
        raise LimitExceeded(f"a path of {len(segments)} segments")
    return root, segments


def resolve(store: Blockstore, root: CID, segments: Sequence[str]) -> Resolved:
    """Follow a path through UnixFS, DAG-CBOR and DAG-JSON.

    Raises NoLink where the DAG has no such name, NotFound where a block is missing.
    """
    cid, roots = root, [root]
    before: list[CID] = []
    left = list(segments)
    while left:
        block = get(store, cid)
        if cid.codec in {DAG_CBOR, DAG_JSON}:
            value = dagcbor.decode(block) if cid.codec == DAG_CBOR else read_json(block)
            target, used = _walk(cid, value, left)
            if target is None:
                return Resolved(cid, tuple(roots), tuple(before), tuple(left))
            before.append(cid)
        else:
            target, through = _child(store, cid, block, left[0])
            before += [cid, *through]
            used = 1
        cid, left = target, left[used:]
        roots.append(cid)
    return Resolved(cid, tuple(roots), tuple(before))


def _child(store: Blockstore, cid: CID, block: bytes, name: str) -> tuple[CID, list[CID]]:
    """Return what a UnixFS directory's entry points to, and the shards on the way."""
    entry = unixfs.read(cid, block)
    link: dagpb.Link | None = None
    through: list[CID] = []
    if entry.kind is unixfs.Kind.HAMT:
        link, through = hamt.lookup(lambda child: load(store, child), entry, name)
    elif entry.kind is unixfs.Kind.DIRECTORY:
        link = next((ln for ln in entry.links if ln.name == name), None)
    if link is None:
        shown = urllib.parse.quote(name, errors="surrogateescape")
        raise NoLink(f'no link named "{shown}" under {cid}')
    return link.cid, through


def _walk(cid: CID, value: Any, segments: Sequence[str]) -> tuple[CID | None, int]:
    """Follow segments inside a value up to its first link; None if they end before one."""
    for used, segment in enumerate(segments, 1):
        if isinstance(value, dict) and segment in value:
            value = value[segment]
        elif isinstance(value, list) and segment.isdigit() and int(segment) < len(value):
            value = value[int(segment)]
        else:
            raise NoLink(f'no link named "{segment}" under {cid}')
        if isinstance(value, CID):
            return value, used
    return None, 0
