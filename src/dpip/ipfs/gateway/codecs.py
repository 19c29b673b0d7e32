"""Data blocks: JSON, CBOR, DAG-JSON and DAG-CBOR, as they are or turned into each other."""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from .. import dag, dagcbor
from ..cid import CBOR, CID, DAG_CBOR, DAG_JSON, JSON
from ..errors import InvalidBlock
from . import preview
from .answer import Answer, disposition, etag_matches, failure, not_modified, with_slash
from .formats import FORMATS
from .ranges import requested

if TYPE_CHECKING:
    from .content import Asked, Source

_OWN = {
    JSON: FORMATS["json"],
    CBOR: FORMATS["cbor"],
    DAG_JSON: FORMATS["dag-json"],
    DAG_CBOR: FORMATS["dag-cbor"],
}
_SAME = {FORMATS["json"]: DAG_JSON, FORMATS["cbor"]: DAG_CBOR}


def data(source: Source, asked: Asked, resolved: dag.Resolved, headers: dict[str, str]) -> Answer:
    """Return a data block in the format asked for, converted if need be."""
    if resolved.remainder:
        inside = "/".join(resolved.remainder)
        return failure(HTTPStatus.NOT_IMPLEMENTED, f"{inside!r} lies inside {resolved.cid}")
    cid = resolved.cid
    if not asked.format.media_type and "text/html" in asked.request.header("accept"):
        return _page(source, asked, cid, headers)
    media_type = asked.format.media_type or _OWN[cid.codec]
    short = media_type.rpartition("/")[2].rpartition(".")[2]
    headers["etag"] = f'"{cid}.{short}"'
    if etag_matches(asked.request.header("if-none-match"), headers["etag"]):
        return not_modified(headers)
    block = dag.get(source.store, cid)
    if media_type != _OWN[cid.codec] and _SAME.get(media_type) != cid.codec:
        block = _converted(cid, block, media_type)
    filename = asked.request.query.get("filename") or f"{cid}.{short.removeprefix('dag-')}"
    headers |= {
        "content-type": media_type,
        "content-disposition": disposition("attachment" if "cbor" in short else "inline", filename),
        "x-content-type-options": "nosniff",
        "accept-ranges": "bytes",
    }
    wanted = requested(asked.request.header("range"), len(block))
    if isinstance(wanted, Answer):
        return wanted
    if wanted is None:
        return Answer(HTTPStatus.OK, headers, block)
    headers["content-range"] = f"bytes {wanted[0]}-{wanted[1] - 1}/{len(block)}"
    return Answer(HTTPStatus.PARTIAL_CONTENT, headers, block[wanted[0] : wanted[1]])


def _page(source: Source, asked: Asked, cid: CID, headers: dict[str, str]) -> Answer:
    """Return a page that shows a block to a browser, at a path that ends with a slash."""
    if not asked.request.path.endswith("/"):
        found = with_slash(asked.request)
        found.headers["x-ipfs-roots"] = headers["x-ipfs-roots"]
        return found
    # The page may look different in another version, so only its etag lets it be kept.
    headers.pop("cache-control", None)
    headers["etag"] = f'"DagIndex-{preview.VERSION}_CID-{cid}"'
    if etag_matches(asked.request.header("if-none-match"), headers["etag"]):
        return not_modified(headers)
    value = _value(cid, dag.get(source.store, cid))
    headers |= {"content-type": "text/html", "x-content-type-options": "nosniff"}
    return Answer(HTTPStatus.OK, headers, preview.page(cid, value))


def _converted(cid: CID, block: bytes, media_type: str) -> bytes:
    value = _value(cid, block)
    if media_type.endswith("cbor"):
        return dagcbor.encode(value)
    return json.dumps(_plain(value), ensure_ascii=False, separators=(",", ":")).encode()


def _value(cid: CID, block: bytes) -> Any:
    """Return what a data block says. Raises InvalidBlock."""
    if cid.codec in {JSON, DAG_JSON}:
        return dag.read_json(block)
    if cid.codec in {CBOR, DAG_CBOR}:
        return dagcbor.decode(block)
    raise InvalidBlock(f"cannot read {cid.codec_name}")


def _plain(value: Any) -> Any:
    if isinstance(value, CID):
        return {"/": str(value)}
    if isinstance(value, bytes):
        return {"/": {"bytes": base64.b64encode(value).decode().rstrip("=")}}
    if isinstance(value, dict):
        return {key: _plain(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_plain(child) for child in value]
    return value
