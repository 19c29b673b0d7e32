"""From a request to its answer: redirections, the path, the format, then who answers it."""

from __future__ import annotations

import dataclasses
import posixpath
import re
import urllib.parse
from http import HTTPStatus
from typing import TYPE_CHECKING

from .. import dag
from ..cid import CID, inline
from ..errors import InvalidCid, IpfsError
from ..keys import parse_name
from . import tar, trustless, unixfs
from .answer import Answer, failure, redirect, refusal
from .content import Asked, Source, immutable
from .formats import CAR, FORMATS, IPNS_RECORD, RAW, TAR, Format, content_location, negotiate
from .request import ContentPath, quoted

if TYPE_CHECKING:
    from .request import Request

_UNTIDY = re.compile(r"//|/\.{1,2}(/|$)")
_BARE_ROOT = re.compile(r"/ip[fn]s/[^/]+")


def answer(source: Source, request: Request) -> Answer:
    """Return the answer to a GET or HEAD; every error of content is an answer too."""
    try:
        return _early(request) or _answer(source, request, ContentPath.parse(request.path))
    except IpfsError as error:
        return refusal(error)


def _early(request: Request) -> Answer | None:
    """Return the answer to requests that are decided by their URL and headers alone."""
    if request.query.get("uri"):
        return _protocol_handler(request.query["uri"])
    tidy = _tidied(request.raw_path)
    if tidy is not None:
        query = f"?{request.raw_query}" if request.raw_query else ""
        return redirect(HTTPStatus.TEMPORARY_REDIRECT, tidy + query)
    if request.header("service-worker") == "script" and _BARE_ROOT.fullmatch(request.path):
        return failure(HTTPStatus.BAD_REQUEST, "service workers need a path that ends with /")
    if request.path.startswith(("/ipfs/ipfs/", "/ipfs/ipns/")):
        intended = request.path.removeprefix("/ipfs")
        ContentPath.parse(intended)
        return redirect(HTTPStatus.MOVED_PERMANENTLY, _with_query(intended, request))
    if request.path.startswith("/ipns/"):
        return _canonical_name(request)
    return None


def _tidied(raw_path: str) -> str | None:
    """Return a path without `//`, `.` and `..`, if it has any and does not lead out of /ipfs/."""
    if not _UNTIDY.search(raw_path):
        return None
    cleaned = posixpath.normpath("/" + raw_path.lstrip("/"))
    if cleaned.count("/") < 2:
        return None
    return cleaned + "/" if raw_path.endswith("/") else cleaned


def _protocol_handler(uri: str) -> Answer:
    """Send `ipfs://…` and `ipns://…` of navigator.registerProtocolHandler to their paths."""
    found = urllib.parse.urlsplit(uri)
    if found.scheme not in {"ipfs", "ipns"}:
        return failure(HTTPStatus.BAD_REQUEST, "uri is neither ipfs:// nor ipns://")
    query = f"?{found.query}" if found.query else ""
    path = f"/{found.scheme}/{found.netloc}{found.path}{query}"
    return redirect(HTTPStatus.MOVED_PERMANENTLY, path)


def _canonical_name(request: Request) -> Answer | None:
    """Send every other spelling of a key's name to the base36 one."""
    _, _, name, *rest = request.path.split("/")
    try:
        spelled = parse_name(name).encode("k")
    except InvalidCid:
        return None
    if spelled == name:
        return None
    path = "/".join(("/ipns", spelled, *rest))
    return redirect(HTTPStatus.FOUND, _with_query(path, request))


def _with_query(path: str, request: Request) -> str:
    return quoted(path) + (f"?{request.raw_query}" if request.raw_query else "")


def _answer(source: Source, request: Request, path: ContentPath) -> Answer:
    if request.header("cache-control") == "only-if-cached":
        cached = _cached(source, path)
        if not cached or request.method == "HEAD":
            return Answer(HTTPStatus.OK if cached else HTTPStatus.PRECONDITION_FAILED, {})
    chosen = negotiate(request)
    extra = {"x-ipfs-path": _shown(path, request)}
    location = content_location(request, chosen)
    if location is not None:
        extra["content-location"] = location
    try:
        found = _by_format(source, request, path, chosen)
    except IpfsError as error:
        found = refusal(error)
    return dataclasses.replace(found, headers={**extra, **found.headers})


def _shown(path: ContentPath, request: Request) -> str:
    """Return the path as it was asked, decoded, without what a header cannot hold."""
    tail = "/" if request.path.endswith("/") else ""
    return "".join(" " if ord(letter) < 32 else letter for letter in f"{path}{tail}")


def _by_format(source: Source, request: Request, path: ContentPath, chosen: Format) -> Answer:
    if chosen.media_type == IPNS_RECORD:
        return trustless.record(source, request, path)
    root, segments, freshness = immutable(source, path)
    asked = Asked(request, path, root, segments, chosen, freshness)
    match chosen.media_type:
        case "" | "application/json" | "application/cbor":
            return unixfs.deserialized(source, asked)
        case media_type if media_type in {FORMATS["dag-json"], FORMATS["dag-cbor"]}:
            return unixfs.as_data(source, asked)
        case media_type if media_type == RAW:
            return trustless.block(source, asked)
        case media_type if media_type == CAR:
            return trustless.archive(source, asked)
        case media_type if media_type == TAR:
            return tar.tree(source, asked)
    return failure(HTTPStatus.BAD_REQUEST, f"unsupported format {chosen.media_type!r}")


def _cached(source: Source, path: ContentPath) -> bool:
    """Say whether what a path means is here: its last block, nothing below it."""
    try:
        root, segments, _ = immutable(source, path)
        cid: CID = dag.resolve(source.store, root, segments).cid
    except InvalidCid:
        raise
    except IpfsError:
        return False
    return inline(cid) is not None or source.store.has(cid)
