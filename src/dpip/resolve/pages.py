"""Index pages to lean records: what a resolve needs of a project, and not a field more.

A page lists every file that was ever uploaded, so it is by far the most of what a resolve
reads. JSON pages (PEP 691) are decoded straight into structs of the needed fields; HTML pages
(PEP 503) are read by `html_pages.py`. Either way the files end up grouped by version, the
versions sorted once, and the files of a version stay encoded until somebody looks at it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from dpip.resolve.by_version import FilesByVersion
from dpip.resolve.errors import BadAnswer
from dpip.resolve.facts import CandidateFile, Project
from dpip.resolve.file_rows import FileRow, sha256_of, url_on
from dpip.resolve.names import file_version, normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from packaging.version import Version

MAX_PAGE = 256 * 2**20
"""Bytes of a decoded page that are still read; the largest real ones stay below 100 MB."""


class PageRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A project page: `files[i]` are the encoded rows of `versions[i]`, newest first."""

    name: str
    base: str
    """URL that the rows' relative URLs stand on; without secrets."""
    index: str
    versions: list[str]
    files: list[msgspec.Raw]


class _Hashes(msgspec.Struct, gc=False):
    sha256: str | None = None


class _JsonFile(msgspec.Struct, rename="kebab", gc=False):
    filename: str
    url: str
    hashes: _Hashes
    requires_python: str | None = None
    size: int | None = None
    upload_time: str | None = None
    yanked: bool | str = False
    core_metadata: bool | _Hashes | None = None
    data_dist_info_metadata: bool | _Hashes | None = msgspec.field(
        default=None, name="data-dist-info-metadata"
    )
    dist_info_metadata: bool | _Hashes | None = None


class _JsonPage(msgspec.Struct, gc=False):
    files: list[_JsonFile]
    meta: dict[str, msgspec.Raw] = {}


_decode_json = msgspec.json.Decoder(_JsonPage).decode
_encode = msgspec.msgpack.Encoder().encode
_decode_rows = msgspec.msgpack.Decoder(list[FileRow]).decode
_decode_page = msgspec.msgpack.Decoder(PageRecord).decode


def parse(body: bytes, content_type: str, name: str, url: str, index: str) -> PageRecord:
    """Read a page of either kind. Raises BadAnswer for what is neither."""
    if "json" in content_type.lower():
        return group(_json_rows(body, url), name, url, index)
    if not body.lstrip()[:1] == b"<" and b"<a" not in body:
        raise BadAnswer(f"{url}: the project page is neither JSON nor HTML")
    from dpip.resolve import html_pages

    text = body.decode("utf-8", "replace")
    return group(html_pages.rows(text), name, html_pages.base(text, url), index)


def encode(page: PageRecord) -> bytes:
    """Return the stored form."""
    return _encode(page)


def decode(data: bytes) -> PageRecord:
    """Read the stored form; raises msgspec.DecodeError."""
    return _decode_page(data)


def project(page: PageRecord) -> Project:
    """Return the fact that the solver reads."""
    return Project(page.name, tuple(page.versions), PageFiles(page))


class PageFiles(FilesByVersion):
    """The files of a page's versions, decoded one version at a time."""

    __slots__ = ("_page",)

    def __init__(self, page: PageRecord) -> None:
        super().__init__(len(page.files))
        self._page = page

    def read(self, number: int) -> tuple[CandidateFile, ...]:
        """Decode the rows of one version."""
        rows = _decode_rows(self._page.files[number])
        return tuple(candidate(row, self._page) for row in rows)


def candidate(row: FileRow, page: PageRecord) -> CandidateFile:
    """Return a stored row as the solver reads it."""
    return CandidateFile(
        filename=row.filename,
        url=url_on(page.base, row.url),
        kind="wheel" if row.filename.endswith(".whl") else "sdist",
        sha256=row.sha256,
        size=row.size,
        requires_python=row.requires_python,
        yanked=row.yanked,
        upload_time=_seconds(row.upload_time),
        metadata_sha256=row.metadata_sha256,
        index=page.index,
    )


def rows(page: PageRecord) -> Iterator[FileRow]:
    """Yield all rows of a page."""
    for same in page.files:
        yield from _decode_rows(same)


def absolute(row: FileRow, base: str) -> FileRow:
    """Return the row with an absolute URL."""
    return msgspec.structs.replace(row, url=url_on(base, row.url))


def _seconds(text: str | None) -> float | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def moment(seconds: float) -> str:
    """Return an upload time as a page writes it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def group(rows: Iterable[FileRow], name: str, base: str, index: str) -> PageRecord:
    """Sort the rows by version, newest first; names that do not parse are left out.

    A version is parsed once for all its files: pages have tens of files a version.
    """
    by_text: dict[str, list[FileRow]] = {}
    for row in rows:
        by_text.setdefault(_version_key(row.filename, name), []).append(row)
    by_version: dict[Version, list[FileRow]] = {}
    for same in by_text.values():
        version = file_version(same[0].filename, name)
        if version is not None:
            by_version.setdefault(version, []).extend(same)
    newest_first = sorted(by_version, reverse=True)
    versions = [str(version) for version in newest_first]
    files = [msgspec.Raw(_encode(by_version[version])) for version in newest_first]
    return PageRecord(name, base, index, versions, files)


def _version_key(filename: str, name: str) -> str:
    """Return text that files share only if the same version would be parsed from them."""
    if filename.endswith(".whl"):
        parts = filename.split("-", 2)
        if len(parts) == 3 and filename.count("-") in {4, 5} and normalize(parts[0]) == name:
            return "wheel " + parts[1]
    return filename


def _json_rows(body: bytes, url: str) -> Iterator[FileRow]:
    try:
        page = _decode_json(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadAnswer(f"{url}: not a project page in JSON: {error}") from None
    version = bytes(page.meta.get("api-version", b'"1.0"')).decode("utf-8", "replace")
    if not version.startswith('"1.'):
        raise BadAnswer(f"{url}: Simple API {version} is not understood")
    for file in page.files:
        yanked = file.yanked
        yield FileRow(
            file.filename,
            file.url,
            sha256_of(file.hashes.sha256),
            file.size,
            file.requires_python or "",
            (yanked if isinstance(yanked, str) else "") if yanked else None,
            file.upload_time,
            _json_metadata(file),
        )


def _json_metadata(file: _JsonFile) -> str | None:
    """Return the metadata file's hash, "" for one without a hash, None for no such file."""
    told = file.core_metadata
    if told is None:
        told = file.data_dist_info_metadata
    if told is None:
        told = file.dist_info_metadata
    if isinstance(told, _Hashes):
        return sha256_of(told.sha256) or ""
    return "" if told else None
