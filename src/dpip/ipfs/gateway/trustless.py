"""Answers that the client checks for itself: blocks, CARs and IPNS records."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import TYPE_CHECKING

from .. import car, dag, ipns
from ..blockstore import Block, Located
from ..cid import CID, inline
from ..errors import IpfsError, NoLink, NotFound
from ..keys import parse_name
from ..selection import select
from ..wrappers import Passing
from .answer import Answer, disposition, etag_matches, failure, gathered, not_modified
from .content import Asked, Source, Unresolvable, roots_header
from .formats import CAR, IPNS_RECORD, RAW, CarOptions, car_options
from .ranges import requested

if TYPE_CHECKING:
    from ..blockstore import Blockstore
    from .request import ContentPath, Request

NOTHING = CID.parse("bafkqaaa")
"""The empty identity CID: the root of a CAR whose path leads nowhere."""
LOCATED = 64 * 1024
"""Blocks from this size on are sent from the disk if they lie there plainly."""


def block(source: Source, asked: Asked) -> Answer:
    """Return the block at the end of the path, or the first range asked for of it."""
    resolved = dag.resolve(source.store, asked.root, asked.segments)
    cid = resolved.cid
    headers = _common(asked, f"{cid}.bin")
    headers["etag"] = f'"{cid}.raw"'
    headers["x-ipfs-roots"] = roots_header(resolved)
    if etag_matches(asked.request.header("if-none-match"), headers["etag"]):
        return not_modified(headers)
    data = inline(cid)
    size = source.store.size(cid) if data is None else len(data)
    wanted = requested(asked.request.header("range"), size)
    if isinstance(wanted, Answer):
        return wanted
    headers |= {"content-type": RAW, "accept-ranges": "bytes"}
    start, stop = wanted or (0, size)
    if wanted is not None:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    status = HTTPStatus.OK if wanted is None else HTTPStatus.PARTIAL_CONTENT
    if asked.request.method == "HEAD":
        return Answer(status, headers, b"", stop - start)
    if wanted is None and size >= LOCATED and isinstance(source.store, Located):
        place = source.store.location(cid)
        if place is not None:
            return Answer(status, headers, (place,), size)
    return Answer(status, headers, dag.get(source.store, cid)[start:stop])


def archive(source: Source, asked: Asked) -> Answer:
    """Return a CAR of the path and of what `dag-scope` and `entity-bytes` select at its end.

    If the DAG has no such path, the blocks that prove it. Raises NotFound if the root is
    missing; a block missing later breaks the stream off.
    """
    options = car_options(asked.request, asked.format)
    name = f"{asked.root}_{asked.segments[-1]}.car" if asked.segments else f"{asked.root}.car"
    headers = _common(asked, name)
    headers["etag"] = _car_etag(asked, options)
    if etag_matches(asked.request.header("if-none-match"), headers["etag"]):
        return not_modified(headers)
    recorded, settled = Recorded(source.store), True
    try:
        resolved = dag.resolve(recorded, asked.root, asked.segments)
        if inline(resolved.cid) is None and not source.store.has(resolved.cid):
            raise NotFound(f"no block {resolved.cid}")
    except NoLink:
        resolved = None
    except NotFound:
        if not recorded.blocks:
            raise
        resolved, settled = None, False
    roots = (asked.root,) if resolved is None else resolved.roots
    headers |= {
        "content-type": options.content_type,
        "accept-ranges": "none",
        "x-ipfs-roots": ",".join(map(str, roots)),
    }
    if asked.request.method == "HEAD":
        return Answer(HTTPStatus.OK, headers, settled=settled)
    if resolved is None:
        proof = b"".join(car.write([NOTHING], recorded.blocks))
        return Answer(HTTPStatus.OK, headers, proof, settled=settled)
    found = select(
        source.store, resolved, options.scope, options.byte_range, duplicates=options.duplicates
    )
    return Answer(HTTPStatus.OK, headers, gathered(car.write([resolved.cid], found)))


def record(source: Source, request: Request, path: ContentPath) -> Answer:
    """Return the signed IPNS record of a name. Raises Unresolvable or InvalidCid."""
    if not path.mutable or path.segments:
        return failure(HTTPStatus.BAD_REQUEST, f"{path} is not the name of an IPNS record")
    name = parse_name(path.root)
    now = source.clock()
    try:
        kept = ipns.verify(source.records.get(name).raw, name, now)
    except IpfsError as error:
        raise Unresolvable(f"no valid IPNS record: {error}") from None
    headers = {
        "etag": f'"{hashlib.blake2b(kept.raw, digest_size=8).hexdigest()}"',
        "cache-control": f"public, max-age={min(kept.ttl, kept.expires - now) // ipns.SECOND}",
    }
    if etag_matches(request.header("if-none-match"), headers["etag"]):
        return not_modified(headers)
    filename = request.query.get("filename") or f"{path.root}.ipns-record"
    headers |= {
        "content-type": IPNS_RECORD,
        "content-disposition": disposition("attachment", filename),
        "x-content-type-options": "nosniff",
    }
    return Answer(HTTPStatus.OK, headers, kept.raw)


class Recorded(Passing):
    """Remembers the blocks that were read, each once, in order."""

    def __init__(self, inner: Blockstore) -> None:
        super().__init__(inner)
        self.blocks: list[Block] = []

    def get(self, cid: CID) -> bytes:
        """Return the block's bytes."""
        data = self.inner.get(cid)
        self.blocks.append(Block(cid, data))
        return data


def _common(asked: Asked, filename: str) -> dict[str, str]:
    name = asked.request.query.get("filename") or filename
    headers = {
        "content-disposition": disposition("attachment", name),
        "x-content-type-options": "nosniff",
    }
    if asked.freshness.cache_control:
        headers["cache-control"] = asked.freshness.cache_control
    if asked.freshness.last_modified:
        headers["last-modified"] = asked.freshness.last_modified
    return headers


def _car_etag(asked: Asked, options: CarOptions) -> str:
    """Return a weak etag over all that shapes the stream; the scope stands in front."""
    path = "/".join((str(asked.root), *asked.segments)).encode("utf-8", "surrogateescape")
    what = f"{options.content_type} {options.byte_range}".encode()
    digest = hashlib.blake2b(path + b"\0" + what, digest_size=6).hexdigest()
    return f'W/"{options.scope}-{asked.root}.{CAR.rpartition(".")[2]}.{digest}"'
