"""--find-links: directories, archives and flat HTML pages beside the indexes."""

from __future__ import annotations

import threading
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from msgspec.structs import replace

from dpip.errors import UsageError
from dpip.resolve import html_pages, pages
from dpip.resolve.file_rows import FileRow
from dpip.resolve.names import sdist_version, wheel_name
from dpip.resolve.transport import get, without_secrets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpip.resolve.facts import CandidateFile
    from dpip.resolve.pages import PageRecord
    from dpip.resolve.resolution import Solution
    from dpip.resolve.transport import Transport


class FindLinks:
    """Files listed apart from any index; each place is read once a run, when first needed."""

    def __init__(self, places: Iterable[str], transport: Transport) -> None:
        self._places = tuple(places)
        self._transport = transport
        self._lock = threading.Lock()
        self._rows: list[FileRow] | None = None

    def added_to(self, page: PageRecord | None, name: str) -> PageRecord | None:
        """Return `page` with the files for `name` that lie here; None if there are none at all.

        A file that the index lists too (same name) is the index's.
        """
        ours = [row for row in self._all() if _is_of(row.filename, name)]
        if not ours:
            return page
        if page is None:
            return pages.group(ours, name, "", "")
        listed = list(pages.rows(page))
        known = {row.filename for row in listed}
        absolute = [pages.absolute(row, page.base) for row in listed]
        added = [row for row in ours if row.filename not in known]
        return pages.group(absolute + added, name, page.base, page.index)

    def _all(self) -> list[FileRow]:
        with self._lock:
            if self._rows is None:
                self._rows = [row for place in self._places for row in self._read(place)]
            return self._rows

    def _read(self, place: str) -> list[FileRow]:
        if place.startswith(("http://", "https://")):
            return self._read_page(place)
        path = local_path(place)
        if path.is_dir():
            files = sorted(entry for entry in path.iterdir() if entry.is_file())
            return [FileRow(file.name, file.as_uri()) for file in files]
        if path.suffix in {".html", ".htm"} and path.is_file():
            return _from_html(path.read_bytes(), path.as_uri())
        if path.is_file():
            return [FileRow(path.name, path.as_uri())]
        raise UsageError(f"--find-links {place}: no such file or directory")

    def _read_page(self, url: str) -> list[FileRow]:
        name = unquote(urlsplit(url).path.rpartition("/")[2])
        if name.endswith((".whl", ".tar.gz", ".zip")):
            return [FileRow(name, url)]
        accepted = {"Accept": "text/html", "Accept-Encoding": "gzip"}
        return _from_html(get(self._transport, url, accepted, pages.MAX_PAGE), without_secrets(url))


def hashed(solution: Solution) -> Solution:
    """Return the solution with hash and size of the local files in it: nobody listed them."""
    if not any(_is_unlisted(file) for pin in solution.pins for file in pin.files):
        return solution
    pins = []
    for pin in solution.pins:
        files = tuple(_hashed(file) if _is_unlisted(file) else file for file in pin.files)
        pins.append(replace(pin, files=files, file=files[pin.files.index(pin.file)]))
    return replace(solution, pins=tuple(pins))


def _is_unlisted(file: CandidateFile) -> bool:
    return file.sha256 is None and file.url.startswith("file:") and local_path(file.url).is_file()


def _hashed(file: CandidateFile) -> CandidateFile:
    path = local_path(file.url)
    with path.open("rb") as opened:
        return replace(
            file, sha256=file_digest(opened, "sha256").hexdigest(), size=path.stat().st_size
        )


def local_path(place: str) -> Path:
    """Return the path that a file URL, or a plain path, names."""
    if not place.startswith("file:"):
        return Path(place).expanduser().absolute()
    from urllib.request import url2pathname

    return Path(url2pathname(urlsplit(place).path))


def _from_html(body: bytes, url: str) -> list[FileRow]:
    return [
        pages.absolute(row, url)
        for row in html_pages.rows(body.decode("utf-8", "replace"))
        if row.filename
    ]


def _is_of(filename: str, name: str) -> bool:
    wheel = wheel_name(filename)
    return wheel.name == name if wheel else sdist_version(filename, name) is not None
