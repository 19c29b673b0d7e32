"""What a file probably is: by its name, else by how it begins."""

from __future__ import annotations

import mimetypes

SNIFFED = 512
"""Bytes looked at."""

# Not the machine's own tables: the same file has the same type everywhere.
_BY_NAME = mimetypes.MimeTypes(filenames=())
_BY_NAME.add_type("text/markdown", ".md")
_BY_NAME.add_type("application/wasm", ".wasm")

_MAGIC = (
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"GIF8", "image/gif"),
    (b"%PDF-", "application/pdf"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
    (b"BZh", "application/x-bzip2"),
    (b"\xfd7zXZ\0", "application/x-xz"),
    (b"\x28\xb5\x2f\xfd", "application/zstd"),
    (b"\x7fELF", "application/x-elf"),
    (b"\0asm", "application/wasm"),
    (b"OggS", "application/ogg"),
    (b"ID3", "audio/mpeg"),
)
_BINARY = bytes(set(range(32)) - set(b"\t\n\f\r\x1b"))


def by_name(name: str) -> str | None:
    """Return the media type that a file name stands for, or None."""
    found, encoding = _BY_NAME.guess_type(name.rpartition("/")[2], strict=True)
    if encoding is not None:
        return f"application/{'gzip' if encoding == 'gzip' else 'x-' + encoding}"
    return _with_charset(found) if found else None


def by_content(start: bytes) -> str:
    """Return the media type that the first bytes of a file look like."""
    for magic, media_type in _MAGIC:
        if start.startswith(magic):
            return media_type
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    if not _is_text(start):
        return "application/octet-stream"
    head = start.lstrip().lower()
    if head.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return "text/html"
    if head.startswith(b"<svg"):
        return "image/svg+xml"
    if head.startswith(b"<?xml"):
        return "image/svg+xml" if b"<svg" in head else "text/xml; charset=utf-8"
    return "text/plain; charset=utf-8"


def _is_text(start: bytes) -> bool:
    if start.translate(None, _BINARY) != start:
        return False
    try:
        start.decode()
    except UnicodeDecodeError as error:
        # A character cut in two at the end of what was looked at is still text.
        return error.start >= len(start) - 3 and len(start) >= SNIFFED
    return True


def _with_charset(media_type: str) -> str:
    if media_type == "text/html" or not media_type.startswith("text/"):
        return media_type
    return f"{media_type}; charset=utf-8"
