"""A project page rendered once: both encodings, plain and gzipped, with a validator.

Served URLs are relative to the page, `../../files/<key>/<filename>`, so that a node can stand
behind any host name. The key of a file is its SHA-256; where the source gives none, the key
is made from the URL (`url-<sha256 of the URL>`) and whoever serves the file maps it back.
"""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from dpip.simple import html_codec, json_codec
from dpip.simple.repository import StoredPage

if TYPE_CHECKING:
    from dpip.simple.model import File, Project

GZIP_LEVEL = 3
"""Half the time of level 5, for pages a fourteenth larger: every page is packed twice."""

_SHA256 = re.compile(r"[0-9a-f]{64}")
_KEY = re.compile(r"(?:url-)?[0-9a-f]{64}")


def file_key(file: File) -> str:
    """Return the path component that addresses the file, as named in its upstream page."""
    sha256 = file.sha256
    if sha256 is not None and _SHA256.fullmatch(sha256):
        return sha256
    return f"url-{hashlib.sha256(file.url.encode()).hexdigest()}"


def is_file_key(text: str) -> bool:
    """Say whether `text` may be a file's key."""
    return _KEY.fullmatch(text) is not None


def served_url(file: File) -> str:
    """Return where a node serves the file, relative to the project page."""
    return f"../../files/{file_key(file)}/{quote(file.filename)}"


def as_served(project: Project, *, wheel_metadata: bool = True) -> Project:
    """Return the page that a node shows for an upstream page.

    With `wheel_metadata` every wheel offers its METADATA (PEP 658), because a node can read
    it from the wheel where the upstream has none. A quarantined project offers no files.
    """
    if project.status == "quarantined":
        return replace(project, files=())
    return replace(project, files=tuple(_file(file, wheel_metadata) for file in project.files))


def _file(file: File, wheel_metadata: bool) -> File:
    metadata = file.core_metadata
    if wheel_metadata and metadata is None and file.is_wheel:
        metadata = {}
    return replace(file, url=served_url(file), core_metadata=metadata)


def render(project: Project, *, wheel_metadata: bool = True, stale: bool = False) -> StoredPage:
    """Return the stored page of an upstream page.

    Costs milliseconds for thousands of files: call it in a thread, once per change.
    """
    served = as_served(project, wheel_metadata=wheel_metadata)
    html = html_codec.encode_project(served)
    json = json_codec.encode_project(served)
    return StoredPage(
        name=project.name,
        html=html,
        html_gzip=_compress(html),
        json=json,
        json_gzip=_compress(json),
        etag=f'"{hashlib.blake2b(html + json, digest_size=12).hexdigest()}"',
        last_serial=project.last_serial,
        stale=stale,
    )


def _compress(body: bytes) -> bytes:
    return gzip.compress(body, GZIP_LEVEL, mtime=0)
