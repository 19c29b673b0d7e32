"""HTML pages (PEP 503), scanned for anchors in time proportional to their length."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from dpip.resolve.file_rows import FileRow, sha256_of, url_on

if TYPE_CHECKING:
    from collections.abc import Iterator

_TAG_TAIL = re.compile(r"""((?:[^"'>]++|"[^"]*+"|'[^']*+')*+)>""")
_ANCHOR = re.compile(r"<a\b", re.IGNORECASE)
_BASE = re.compile(r"<base\b", re.IGNORECASE)
_CONTENT = re.compile(r"[^<]*+(?:<(?!/?a\b)[^<]*+)*+", re.IGNORECASE)
_ATTRIBUTE = re.compile(r"""([^\s"'>/=]+)(?:\s*+=\s*+(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?""")
_MARKUP = re.compile(r"<[^<>]*>")


def _attributes(text: str) -> dict[str, str]:
    return {
        m[1].lower(): html.unescape(m[2] or m[3] or m[4] or "") for m in _ATTRIBUTE.finditer(text)
    }


def base(text: str, url: str) -> str:
    """Return what relative addresses of a page stand on: its own, or what it names."""
    begun = _BASE.search(text)
    found = _TAG_TAIL.match(text, begun.end()) if begun else None
    href = _attributes(found[1]).get("href") if found else None
    return url_on(url, href) if href else url


def _anchors(text: str) -> Iterator[tuple[str, str]]:
    """Yield (attributes, content) of each anchor; a tag that does not end is the page's last.

    Every character is looked at a fixed number of times, whatever the page is made of.
    """
    place = 0
    while begun := _ANCHOR.search(text, place):
        tag = _TAG_TAIL.match(text, begun.end())
        if tag is None:
            return
        content = _CONTENT.match(text, tag.end())
        assert content is not None
        yield tag[1], content[0]
        place = content.end()


def _without_comments(text: str) -> str:
    """Leave comments out; one that does not end goes to the end of the page."""
    if "<!--" not in text:
        return text
    first, *rest = text.split("<!--")
    return first + "".join(part.partition("-->")[2] for part in rest)


def rows(text: str) -> Iterator[FileRow]:
    """Yield a row for each anchor of an HTML page."""
    for written, content in _anchors(_without_comments(text)):
        attributes = _attributes(written)
        href, _, fragment = attributes.get("href", "").partition("#")
        if not href:
            continue
        filename = unquote(href.partition("?")[0].rstrip("/").rpartition("/")[2])
        if not filename.endswith((".whl", ".gz", ".zip", ".bz2", ".xz", ".tgz")):
            filename = html.unescape(_MARKUP.sub("", content)).strip()
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
