"""HTML pages (PEP 503), scanned for anchors with one expression."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote, urljoin

from dpip.resolve.pages import FileRow, sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_TAG_TAIL = r"""((?:[^"'>]|"[^"]*"|'[^']*')*)>"""
_ANCHOR = re.compile(rf"<a\b{_TAG_TAIL}(.*?)</a\s*>", re.IGNORECASE | re.DOTALL)
_BASE = re.compile(rf"<base\b{_TAG_TAIL}", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_MARKUP = re.compile(r"<[^>]*>")


def _attributes(text: str) -> dict[str, str]:
    return {
        m[1].lower(): html.unescape(m[2] or m[3] or m[4] or "") for m in _ATTRIBUTE.finditer(text)
    }


def base(text: str, url: str) -> str:
    """Return what relative addresses of a page stand on: its own, or what it names."""
    found = _BASE.search(text)
    href = _attributes(found[1]).get("href") if found else None
    return urljoin(url, href) if href else url


def rows(text: str) -> Iterator[FileRow]:
    """Yield a row for each anchor of an HTML page."""
    for found in _ANCHOR.finditer(_COMMENT.sub("", text)):
        attributes = _attributes(found[1])
        href, _, fragment = attributes.get("href", "").partition("#")
        if not href:
            continue
        filename = unquote(href.partition("?")[0].rstrip("/").rpartition("/")[2])
        if not filename.endswith((".whl", ".gz", ".zip", ".bz2", ".xz", ".tgz")):
            filename = html.unescape(_MARKUP.sub("", found[2])).strip()
        yield FileRow(
            filename,
            href,
            _sha256(fragment),
            None,
            attributes.get("data-requires-python", ""),
            attributes.get("data-yanked"),
            None,
            _metadata(attributes),
        )


def _sha256(fragment: str) -> str | None:
    algorithm, _, digest = fragment.partition("=")
    return sha256_of(digest.partition("&")[0]) if algorithm == "sha256" else None


def _metadata(attributes: dict[str, str]) -> str | None:
    told = attributes.get("data-core-metadata", attributes.get("data-dist-info-metadata"))
    if told is None or told.lower() == "false":
        return None
    return _sha256(told) or ""
