"""Answers for clients that trust the gateway: files, directories and symlinks as they are."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from .. import dag, files, unixfs
from ..blockstore import Located, Location
from ..cid import CBOR, CID, DAG_CBOR, DAG_JSON, DAG_PB, JSON, RAW
from ..errors import NoLink
from . import codecs, listing, sniff
from .answer import Answer, disposition, etag_matches, failure, gathered, not_modified, with_slash
from .content import Asked, Source, roots_header
from .ranges import requested

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..blockstore import Blockstore
    from ..files import Extent

SMALL = 256 * 1024
"""Files up to this size are read at once and can be kept ready to send."""
_DATA_CODECS = frozenset({JSON, CBOR, DAG_JSON, DAG_CBOR})


def deserialized(source: Source, asked: Asked) -> Answer:
    """Return the file, page or data at the end of the path."""
    resolved = dag.resolve(source.store, asked.root, asked.segments)
    headers = _common(asked, resolved)
    cid = resolved.cid
    if cid.codec in _DATA_CODECS:
        return codecs.data(source, asked, resolved, headers)
    if cid.codec == RAW:
        return _file(source, asked, cid, headers, asked.path.filename)
    if cid.codec != DAG_PB:
        return failure(HTTPStatus.NOT_IMPLEMENTED, f"cannot show {cid.codec_name}")
    entry = dag.load(source.store, cid)
    if entry.is_directory:
        return _directory(source, asked, cid, entry, headers)
    if entry.kind is unixfs.Kind.SYMLINK:
        return _symlink(asked, entry, headers)
    return _file(source, asked, cid, headers, asked.path.filename)


def as_data(source: Source, asked: Asked) -> Answer:
    """Return the block at the end of the path as DAG-JSON or DAG-CBOR."""
    resolved = dag.resolve(source.store, asked.root, asked.segments)
    if resolved.cid.codec not in _DATA_CODECS:
        name = resolved.cid.codec_name
        return failure(HTTPStatus.NOT_ACCEPTABLE, f"{name} is not turned into other formats")
    return codecs.data(source, asked, resolved, _common(asked, resolved))


def _common(asked: Asked, resolved: dag.Resolved) -> dict[str, str]:
    headers = {
        "etag": f'"{resolved.cid}"',
        "x-ipfs-roots": roots_header(resolved),
    }
    if asked.freshness.cache_control:
        headers["cache-control"] = asked.freshness.cache_control
    if asked.freshness.last_modified:
        headers["last-modified"] = asked.freshness.last_modified
    return headers


def _symlink(asked: Asked, entry: unixfs.Entry, headers: dict[str, str]) -> Answer:
    """Return a symlink's target as content: it may lead anywhere, so it is not followed."""
    if etag_matches(asked.request.header("if-none-match"), headers["etag"]):
        return not_modified(headers)
    headers |= {"content-type": "inode/symlink", "accept-ranges": "bytes"}
    return Answer(HTTPStatus.OK, headers, entry.data.data or b"")


def _file(source: Source, asked: Asked, cid: CID, headers: dict[str, str], name: str) -> Answer:
    request = asked.request
    if etag_matches(request.header("if-none-match"), headers["etag"]):
        return not_modified(headers)
    filename = request.query.get("filename", "")
    if filename:
        kind = "attachment" if request.query.get("download") == "true" else "inline"
        headers["content-disposition"] = disposition(kind, filename)
    size = files.size(source.store, cid)
    headers["content-type"] = _content_type(source.store, cid, filename or name)
    headers["accept-ranges"] = "bytes"
    if_range = request.header("if-range")
    skip = bool(if_range) and if_range != headers["etag"]
    wanted = None if skip else requested(request.header("range"), size)
    if isinstance(wanted, Answer):
        return wanted
    start, stop = wanted or (0, size)
    if wanted is not None:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    status = HTTPStatus.OK if wanted is None else HTTPStatus.PARTIAL_CONTENT
    if request.method == "HEAD":
        return Answer(status, headers, b"", stop - start)
    return Answer(status, headers, _body(source.store, cid, start, stop), stop - start)


def _content_type(store: Blockstore, cid: CID, name: str) -> str:
    found = sniff.by_name(name) if name else None
    if found is None:
        found = sniff.by_content(b"".join(files.read(store, cid, 0, sniff.SNIFFED)))
    return found


def _body(
    store: Blockstore, cid: CID, start: int, stop: int
) -> bytes | Iterator[bytes] | tuple[Location, ...]:
    """Return a file's bytes: at once if few, from the disk if they lie there, else streamed."""
    if stop - start <= SMALL:
        return b"".join(files.read(store, cid, start, stop))
    pieces = list(files.extents(store, cid, start, stop))
    spans = _spans(store, pieces) if isinstance(store, Located) else None
    return spans or (files.content(store, piece) for piece in pieces)


def _spans(store: Located, pieces: Sequence[Extent]) -> tuple[Location, ...] | None:
    """Return where the bytes lie, neighbours joined; None unless all of them are on disk."""
    spans: list[Location] = []
    for piece in pieces:
        place = store.location(piece.cid) if piece.data is None else None
        if place is None:
            return None
        begin = place.offset + piece.offset
        last = spans[-1] if spans else None
        if last and last.path == place.path and last.offset + last.length == begin:
            spans[-1] = Location(last.path, last.offset, last.length + piece.length)
        else:
            spans.append(Location(place.path, begin, piece.length))
    return tuple(spans)


def _directory(
    source: Source, asked: Asked, cid: CID, entry: unixfs.Entry, headers: dict[str, str]
) -> Answer:
    request = asked.request
    if not request.path.endswith("/") and request.query.get("go-get") != "1":
        found = with_slash(request)
        found.headers["x-ipfs-roots"] = headers["x-ipfs-roots"]
        return found
    try:
        index = dag.resolve(source.store, cid, ["index.html"]).cid
    except NoLink:
        return _listing(source, asked, cid, entry, headers)
    return _file(source, asked, index, headers, "index.html")


def _listing(
    source: Source, asked: Asked, cid: CID, entry: unixfs.Entry, headers: dict[str, str]
) -> Answer:
    # A client may know the directory by its CID alone; its page changes with neither.
    known = asked.request.header("if-none-match")
    if etag_matches(known, headers["etag"]) and known.strip() != "*":
        return not_modified(headers)
    headers.pop("cache-control", None)
    headers["etag"] = f'"DirIndex-{listing.VERSION}_CID-{cid}"'
    if asked.freshness.listing_cache_control:
        headers["cache-control"] = asked.freshness.listing_cache_control
    if etag_matches(known, headers["etag"]):
        return not_modified(headers)
    headers["content-type"] = "text/html"
    if asked.request.method == "HEAD":
        return Answer(HTTPStatus.OK, headers)
    links = dag.entries(source.store, entry)
    page = listing.page(asked.path, asked.request.path, cid, links)
    return Answer(HTTPStatus.OK, headers, gathered(page))
