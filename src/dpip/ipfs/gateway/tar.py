"""A UnixFS tree as a tar stream (https://specs.ipfs.tech/ipips/ipip-0288/)."""

from __future__ import annotations

import posixpath
import tarfile
from http import HTTPStatus
from typing import TYPE_CHECKING

from .. import dag, files, unixfs
from ..cid import DAG_PB, RAW
from ..errors import InvalidPath, IpfsError, LimitExceeded
from .answer import Answer, disposition, etag_matches, failure, gathered, not_modified
from .content import Asked, Source, roots_header
from .formats import TAR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..blockstore import Blockstore
    from ..cid import CID

MAX_DEPTH = 256
_END = bytes(2 * tarfile.BLOCKSIZE)


def tree(source: Source, asked: Asked) -> Answer:
    """Return the tree at the end of the path under its CID's name."""
    resolved = dag.resolve(source.store, asked.root, asked.segments)
    cid = resolved.cid
    headers = {
        "etag": f'W/"{cid}.x-tar"',
        "content-disposition": disposition(
            "attachment", asked.request.query.get("filename") or f"{cid}.tar"
        ),
        "x-content-type-options": "nosniff",
        "x-ipfs-roots": roots_header(resolved),
        "content-type": TAR,
    }
    if asked.freshness.cache_control:
        headers["cache-control"] = asked.freshness.cache_control
    if etag_matches(asked.request.header("if-none-match"), headers["etag"]):
        return not_modified(headers)
    if cid.codec not in {DAG_PB, RAW}:
        return failure(HTTPStatus.BAD_REQUEST, f"{cid} is {cid.codec_name}, not UnixFS")
    first = dag.load(source.store, cid)
    if asked.request.method == "HEAD":
        return Answer(HTTPStatus.OK, headers)
    return Answer(HTTPStatus.OK, headers, gathered(_stream(source.store, cid, first)))


def _stream(store: Blockstore, cid: CID, entry: unixfs.Entry) -> Iterator[bytes]:
    """Yield the tar; an error ends it with its message, where no header can follow."""
    base = str(cid)
    try:
        yield from members(store, cid, entry, base)
    except IpfsError as error:
        yield str(error).encode()
        return
    yield _END


def members(
    store: Blockstore, cid: CID, entry: unixfs.Entry, path: str, base: str | None = None
) -> Iterator[bytes]:
    """Yield the tar members of an entry and all below it, without the end of the archive.

    Raises InvalidPath where an entry's name leads out of the tree.
    """
    base = path if base is None else base
    clean = posixpath.normpath(path)
    if clean != base and not clean.startswith(base + "/"):
        raise InvalidPath("relative UnixFS paths outside the root are not allowed, use CAR instead")
    if path.count("/") > MAX_DEPTH:
        raise LimitExceeded(f"a tree deeper than {MAX_DEPTH} levels")
    yield _header(clean, entry)
    if entry.is_directory:
        for link in dag.entries(store, entry):
            child = dag.load(store, link.cid)
            yield from members(store, link.cid, child, f"{path}/{link.name}", base)
    elif entry.is_file:
        yield from files.read(store, cid)
        yield bytes(-entry.size % tarfile.BLOCKSIZE)


def _header(path: str, entry: unixfs.Entry) -> bytes:
    member = tarfile.TarInfo(path)
    member.mtime = entry.data.mtime[0] if entry.data.mtime else 0
    if entry.is_directory:
        member.type, member.mode = tarfile.DIRTYPE, entry.data.mode or 0o755
    elif entry.kind is unixfs.Kind.SYMLINK:
        member.type, member.mode = tarfile.SYMTYPE, 0o777
        member.linkname = (entry.data.data or b"").decode("utf-8", "surrogateescape")
    else:
        member.size, member.mode = entry.size, entry.data.mode or 0o644
    return member.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
