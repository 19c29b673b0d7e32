"""Files as index pages list them, of either kind: what a resolve needs and not a field more."""

from __future__ import annotations

import msgspec

from dpip.simple.urls import joined


class FileRow(msgspec.Struct, frozen=True, array_like=True, gc=False, omit_defaults=True):
    """A file as it is stored: `upload_time` stays text until a cut-off asks for it."""

    filename: str
    url: str
    sha256: str | None = None
    size: int | None = None
    requires_python: str = ""
    yanked: str | None = None
    upload_time: str | None = None
    metadata_sha256: str | None = None


def url_on(base: str, url: str) -> str:
    """Return a URL as it stands on another; what cannot be read as one stays as it is."""
    try:
        return joined(base, url)
    except ValueError:
        return url


def sha256_of(digest: str | None) -> str | None:
    """Return a SHA-256 in lower case, or None for what is none."""
    if digest is None or len(digest) != 64:
        return None
    return digest if digest.islower() or digest.isdigit() else digest.lower()
