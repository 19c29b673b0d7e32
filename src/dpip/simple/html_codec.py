"""Project pages and the root list as HTML (PEP 503; attributes of PEPs 592, 629, 714, 740, 792).

HTML pages of other servers differ in everything but their anchors, so a real parser reads
them and nothing but anchors, `base` and `meta` is looked at. The last path component of an
anchor's URL is the file name; its fragment is the hash.
"""

from __future__ import annotations

import re
from html import escape
from html.parser import HTMLParser
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from dpip.simple.json_codec import absolute, check_version
from dpip.simple.model import File, Project, ProjectEntry, is_valid_filename, versions_of
from dpip.simple.names import normalize
from dpip.simple.repository import UpstreamInvalid

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HASHES = frozenset({"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "blake2b"})

_SERIAL = re.compile(r"\s*SERIAL\s+(\d{1,18})\s*")


class _Page(HTMLParser):
    """Collects anchors with their text, the base URL, the meta table and the serial."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.base: str | None = None
        self.meta: dict[str, str] = {}
        self.serial: int | None = None
        self.anchors: list[tuple[dict[str, str | None], str]] = []
        self._open: dict[str, str | None] | None = None
        self._text: list[str] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._close()
            self._open = dict(attrs)
        elif tag == "base" and self.base is None:
            self.base = dict(attrs).get("href")
        elif tag == "meta":
            values = dict(attrs)
            self.meta[values.get("name") or ""] = values.get("content") or ""

    def handle_data(self, data: str) -> None:
        if self._open is not None:
            self._text.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._close()

    def handle_comment(self, data: str) -> None:
        match = _SERIAL.fullmatch(data)
        if match:
            self.serial = int(match.group(1))

    def close(self) -> None:
        super().close()
        self._close()

    def _close(self) -> None:
        if self._open is not None:
            self.anchors.append((self._open, "".join(self._text).strip()))
        self._open, self._text = None, []


def decode_project(raw: bytes, *, name: str, base_url: str = "") -> Project:
    """Return the page that `raw` holds; `name` is the project that was asked for.

    Raises UpstreamInvalid for bytes that are not text, or another major version.
    """
    page = _parse(raw)
    check_version(page.meta.get("pypi:repository-version") or "1.0")
    base = absolute(base_url, page.base) if page.base else base_url
    files = tuple(_files(page, base))
    return Project(
        name=name,
        files=files,
        versions=versions_of(files),
        status=page.meta.get("pypi:project-status") or "active",
        status_reason=page.meta.get("pypi:project-status-reason"),
        last_serial=page.serial,
    )


def _parse(raw: bytes) -> _Page:
    page = _Page()
    try:
        page.feed(raw.decode("utf-8"))
        page.close()
    except (UnicodeDecodeError, AssertionError) as error:
        raise UpstreamInvalid(f"the project page is not valid HTML: {error}") from None
    return page


def _files(page: _Page, base: str) -> Iterator[File]:
    for attributes, _ in page.anchors:
        href = (attributes.get("href") or "").strip()
        if not href or href.startswith("#"):
            continue
        url, _, fragment = absolute(base, href).partition("#")
        filename = _filename(url)
        if is_valid_filename(filename):
            yield _to_file(filename, url, fragment, attributes)


def _filename(url: str) -> str:
    try:
        return unquote(urlsplit(url).path.rpartition("/")[2])
    except ValueError:
        return ""


def _to_file(filename: str, url: str, fragment: str, attributes: Mapping[str, str | None]) -> File:
    gpg = attributes.get("data-gpg-sig")
    return File(
        filename=filename,
        url=url,
        hashes=dict(_hash(fragment)),
        requires_python=attributes.get("data-requires-python") or None,
        # Presence is what counts: `data-yanked` without a value is a yank without a reason.
        yanked=(attributes["data-yanked"] or "") if "data-yanked" in attributes else None,
        core_metadata=_metadata(attributes),
        gpg_sig=None if gpg is None else gpg == "true",
        provenance=attributes.get("data-provenance") or None,
    )


def _hash(fragment: str) -> Iterator[tuple[str, str]]:
    for part in fragment.split("&"):
        algorithm, _, digest = part.partition("=")
        if algorithm.lower() in HASHES and digest:
            yield algorithm.lower(), digest.lower()


def _metadata(attributes: Mapping[str, str | None]) -> Mapping[str, str] | None:
    for key in ("data-core-metadata", "data-dist-info-metadata"):
        if key in attributes:
            value = attributes[key] or ""
            return None if value == "false" else dict(_hash(value))
    return None


def encode_project(project: Project) -> bytes:
    """Return the page as HTML5, with a line for each file."""
    name = escape(project.name)
    meta = [("pypi:repository-version", project.api_version)]
    if project.status != "active" or project.status_reason is not None:
        meta.append(("pypi:project-status", project.status))
    if project.status_reason is not None:
        meta.append(("pypi:project-status-reason", project.status_reason))
    lines = [
        "<!DOCTYPE html>\n<html>\n  <head>",
        *(f'    <meta name="{key}" content="{escape(value)}">' for key, value in meta),
        f"    <title>Links for {name}</title>\n  </head>\n  <body>\n    <h1>Links for {name}</h1>",
        *(_anchor(file) for file in project.files),
        "  </body>\n</html>",
    ]
    if project.last_serial is not None:
        lines.append(f"<!--SERIAL {project.last_serial}-->")
    return "\n".join([*lines, ""]).encode()


def _anchor(file: File) -> str:
    attributes = "".join(
        f' {key}="{escape(value)}"' for key, value in _attributes(file) if value is not None
    )
    return f"    <a{attributes}>{escape(file.filename)}</a><br>"


def _attributes(file: File) -> Iterator[tuple[str, str | None]]:
    yield "href", file.url + _fragment(file.hashes)
    yield "data-requires-python", file.requires_python
    yield "data-yanked", file.yanked
    if file.core_metadata is not None:
        value = _fragment(file.core_metadata)[1:] or "true"
        yield "data-core-metadata", value
        yield "data-dist-info-metadata", value
    yield "data-gpg-sig", None if file.gpg_sig is None else str(file.gpg_sig).lower()
    yield "data-provenance", file.provenance


def _fragment(hashes: Mapping[str, str]) -> str:
    """Return one hash, as PEP 503 has room for one only: sha256 where it is known."""
    for algorithm in ("sha256", *sorted(hashes)):
        if algorithm in hashes:
            return f"#{algorithm}={hashes[algorithm]}"
    return ""


def encode_entry(entry: ProjectEntry) -> bytes:
    """Return one row of the root list."""
    return f'    <a href="{normalize(entry.name)}/">{escape(entry.name)}</a><br>\n'.encode()
