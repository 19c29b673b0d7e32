"""A small upstream index on loopback, with a switch for everything that upstreams do wrong.

    with FixtureIndex() as index:
        index.add("demo", wheel("demo", "1.0"))
        index.switches.json = False
        ... index.url, index.requests ...

It runs in a thread, so that synchronous tests, event loops and real clients can all use it.
Archives are made here, byte for byte the same on every machine.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
import threading
import time
import xmlrpc.client
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Archive:
    """One distribution file; `metadata` is its METADATA (wheels only)."""

    filename: str
    content: bytes
    metadata: bytes | None = None
    requires_python: str | None = None
    yanked: str | None = None

    @property
    def version(self) -> str:
        return self.filename.removesuffix(".tar.gz").split("-")[1]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def wheel(
    name: str,
    version: str,
    *,
    requires: Sequence[str] = (),
    requires_python: str | None = None,
    files: dict[str, bytes] | None = None,
    size: int = 0,
    yanked: str | None = None,
) -> Archive:
    """Make a wheel that installs; `size` adds a member of that many incompressible bytes."""
    escaped = re.sub(r"[-_.]+", "_", name)
    info = f"{escaped}-{version}.dist-info"
    metadata = _metadata(name, version, requires, requires_python)
    members = {f"{escaped}/__init__.py": f"__version__ = {version!r}\n".encode(), **(files or {})}
    if size:
        members[f"{escaped}/data.bin"] = noise(size)
    members[f"{info}/METADATA"] = metadata
    members[f"{info}/WHEEL"] = (
        b"Wheel-Version: 1.0\nGenerator: fixture\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    )
    record = "".join(f"{path},{_record_hash(data)},{len(data)}\n" for path, data in members.items())
    members[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    content = zip_bytes(members)
    filename = f"{escaped}-{version}-py3-none-any.whl"
    return Archive(filename, content, metadata, requires_python, yanked)


def sdist(name: str, version: str, *, requires: Sequence[str] = ()) -> Archive:
    """Make a source distribution with a PKG-INFO that tells its dependencies."""
    escaped = re.sub(r"[-_.]+", "_", name)
    base = f"{escaped}-{version}"
    project = (
        f'[project]\nname = "{name}"\nversion = "{version}"\ndependencies = {list(requires)}\n'
    )
    members = {
        f"{base}/PKG-INFO": _metadata(name, version, requires, None),
        f"{base}/pyproject.toml": project.encode(),
        f"{base}/{escaped}/__init__.py": b"",
    }
    return Archive(f"{base}.tar.gz", _tar_bytes(members))


def noise(size: int, seed: bytes = b"dpip") -> bytes:
    """Return `size` bytes that do not compress, always the same."""
    return hashlib.shake_128(seed).digest(size)


def zip_bytes(members: dict[str, bytes]) -> bytes:
    """Return a zip of these members, without a clock in it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, data in members.items():
            archive.writestr(zipfile.ZipInfo(path, EPOCH), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _tar_bytes(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, data in members.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)


def _metadata(
    name: str, version: str, requires: Sequence[str], requires_python: str | None
) -> bytes:
    lines = ["Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}"]
    if requires_python:
        lines.append(f"Requires-Python: {requires_python}")
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    return ("\n".join(lines) + "\n").encode()


def _record_hash(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=")
    return f"sha256={digest.decode()}"


@dataclass
class Switches:
    """How the upstream behaves; everything is right by default."""

    json: bool = True
    serial: int | None = 1000
    sizes: bool = True
    upload_times: bool = True
    hashes: bool = True
    metadata: bool = True
    etag: bool = True
    max_age: int | None = None
    """Seconds that pages may be reused unasked."""
    ranges: bool = True
    status: int | None = None
    """Answer everything with this status."""
    delay: float = 0.0
    """Seconds before every answer."""
    truncate: int | None = None
    """Break off every file after this many bytes, though Content-Length promises all."""
    truncate_times: int = -1
    """How many transfers are broken off; negative: all."""
    wrong_bytes: bool = False
    """Files are not what their hash says."""
    garbage_pages: bool = False
    slow_piece: float = 0.0
    """Seconds between pieces of 64 kB of a file."""
    credentials: tuple[str, str] | None = None
    absolute_urls: bool = False
    changelog: list[tuple[Any, ...]] | None = None
    """Events (name, version, time, action, serial) that XML-RPC tells; None: it is not offered."""
    changelog_page: int = 50_000
    """Events in one answer."""
    changelog_answer: bytes | None = None
    """Sent instead of any XML-RPC answer."""
    metadata_lies: bool = False
    """Sidecars do not have the hash that the page gives."""


@dataclass(frozen=True)
class Seen:
    """One request that the upstream got."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class FixtureIndex:
    """An upstream index; use it as a context manager."""

    switches: Switches = field(default_factory=Switches)
    projects: dict[str, list[Archive]] = field(default_factory=dict)
    status: dict[str, tuple[str, str | None]] = field(default_factory=dict)
    requests: list[Seen] = field(default_factory=list)
    provenance: dict[str, bytes] = field(default_factory=dict)
    """Provenance objects (PEP 740) by file name."""

    def add(self, name: str, *archives: Archive) -> None:
        """Release files of a project (or create it without files)."""
        self.projects.setdefault(name, []).extend(archives)

    def __enter__(self) -> FixtureIndex:
        index = self

        class Handler(_Handler):
            fixture = index

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        )
        self._thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Go down: further connections are refused."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def url(self) -> str:
        """The index URL, with credentials where they are asked for."""
        if self.switches.credentials is None:
            return f"{self.origin}/simple/"
        user, password = self.switches.credentials
        return f"{self.origin.replace('http://', f'http://{user}:{password}@')}/simple/"

    def count(self, prefix: str) -> int:
        """Say how many requests had a path that begins so."""
        return sum(seen.path.startswith(prefix) for seen in list(self.requests))

    def file(self, filename: str) -> Archive | None:
        for archives in self.projects.values():
            for archive in archives:
                if archive.filename == filename:
                    return archive
        return None

    def page(self, name: str) -> tuple[str, bytes]:
        """Return the content type and body of a project page."""
        if self.switches.garbage_pages:
            return "application/vnd.pypi.simple.v1+json", b'{"name": "demo", "files": [{"file'
        return self._json(name) if self.switches.json else self._html(name)

    def _file_url(self, archive: Archive) -> str:
        base = self.origin if self.switches.absolute_urls else "../.."
        return f"{base}/packages/{archive.filename}"

    def _json(self, name: str) -> tuple[str, bytes]:
        page: dict[str, Any] = {
            "meta": {"api-version": "1.4"},
            "name": name,
            "versions": sorted({a.version for a in self.projects[name]}),
            "files": [self._row(archive) for archive in self.projects[name]],
        }
        if self.switches.serial is not None:
            page["meta"]["_last-serial"] = self.switches.serial
        if name in self.status:
            status, why = self.status[name]
            page["project-status"] = {"status": status} | ({"reason": why} if why else {})
        return "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()

    def _row(self, archive: Archive) -> dict[str, Any]:
        row: dict[str, Any] = {
            "filename": archive.filename,
            "url": self._file_url(archive),
            "hashes": {"sha256": archive.sha256} if self.switches.hashes else {},
            "requires-python": archive.requires_python,
            "yanked": False if archive.yanked is None else archive.yanked or True,
        }
        if archive.filename in self.provenance:
            row["provenance"] = f"{self.origin}/integrity/{archive.filename}"
        if self.switches.sizes:
            row["size"] = len(archive.content)
        if self.switches.upload_times:
            row["upload-time"] = "2026-01-02T03:04:05.678901Z"
        if self.switches.metadata and archive.metadata is not None:
            row["core-metadata"] = {"sha256": hashlib.sha256(archive.metadata).hexdigest()}
        return row

    def _html(self, name: str) -> tuple[str, bytes]:
        lines = []
        for archive in self.projects[name]:
            fragment = f"#sha256={archive.sha256}" if self.switches.hashes else ""
            extra = ""
            if archive.requires_python:
                extra += f' data-requires-python="{archive.requires_python.replace(">", "&gt;")}"'
            if archive.yanked is not None:
                extra += f' data-yanked="{archive.yanked}"'
            if self.switches.metadata and archive.metadata is not None:
                digest = hashlib.sha256(archive.metadata).hexdigest()
                extra += f' data-core-metadata="sha256={digest}"'
            url = self._file_url(archive) + fragment
            lines.append(f'<a href="{url}"{extra}>{archive.filename}</a><br/>')
        return "text/html", f"<!DOCTYPE html><html><body>{''.join(lines)}</body></html>".encode()

    def root(self) -> tuple[str, bytes]:
        """Return the content type and body of the root list."""
        names = sorted(self.projects)
        if not self.switches.json:
            rows = "".join(f'<a href="/simple/{name}/">{name}</a>' for name in names)
            return "text/html", f"<!DOCTYPE html><html><body>{rows}</body></html>".encode()
        serial = {} if self.switches.serial is None else {"_last-serial": self.switches.serial}
        page = {
            "meta": {"api-version": "1.4", **serial},
            "projects": [{"name": name, **serial} for name in names],
        }
        return "application/vnd.pypi.simple.v1+json", json.dumps(page).encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *args: Any) -> None:
        """A client that goes away in the middle is part of the play."""


class _Handler(BaseHTTPRequestHandler):
    fixture: FixtureIndex
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args: Any) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        switches = self.fixture.switches
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        self.fixture.requests.append(Seen("POST", self.path, {}))
        if switches.changelog_answer is not None:
            return self._send(200, "text/xml", switches.changelog_answer)
        if switches.changelog is None or self.path != "/pypi":
            return self._send(405, "text/plain", b"no XML-RPC here")
        params, method = xmlrpc.client.loads(asked)
        newest = max((event[4] for event in switches.changelog), default=0)
        found: Any = newest
        if method == "list_packages_with_serial":
            found = {event[0]: event[4] for event in switches.changelog}
        if method == "changelog_since_serial":
            after = [event for event in switches.changelog if event[4] > params[0]]
            found = after[: switches.changelog_page]
        body = xmlrpc.client.dumps((found,), methodresponse=True, allow_none=True)
        return self._send(200, "text/xml", body.encode())

    def _answer(self) -> None:
        fixture, switches = self.fixture, self.fixture.switches
        path = unquote(urlsplit(self.path).path)
        headers = {key.lower(): value for key, value in self.headers.items()}
        fixture.requests.append(Seen(self.command, path, headers))
        if switches.delay:
            time.sleep(switches.delay)
        if switches.status is not None:
            return self._send(switches.status, "text/plain", b"switched")
        if switches.credentials is not None and not self._authorized(switches.credentials):
            return self._send(401, "text/plain", b"who are you")
        if path == "/simple/":
            return self._send(200, *fixture.root())
        if path.startswith("/simple/"):
            return self._page(path.split("/")[2])
        if path.startswith("/integrity/"):
            found = fixture.provenance[path.rpartition("/")[2]]
            return self._send(200, "application/vnd.pypi.integrity.v1+json", found)
        return self._file(path.rpartition("/")[2])

    def _authorized(self, expected: tuple[str, str]) -> bool:
        token = base64.b64encode(":".join(expected).encode()).decode()
        return self.headers.get("Authorization") == f"Basic {token}"

    def _page(self, name: str) -> None:
        if name not in self.fixture.projects:
            return self._send(404, "text/plain", b"no such project")
        kind, body = self.fixture.page(name)
        headers = {}
        if self.fixture.switches.serial is not None:
            headers["X-PyPI-Last-Serial"] = str(self.fixture.switches.serial)
        if self.fixture.switches.max_age is not None:
            headers["Cache-Control"] = f"max-age={self.fixture.switches.max_age}"
        if self.fixture.switches.etag:
            headers["ETag"] = f'"{hashlib.md5(body).hexdigest()}"'
            if self.headers.get("If-None-Match") == headers["ETag"]:
                return self._send(304, kind, b"", headers)
        return self._send(200, kind, body, headers)

    def _file(self, filename: str) -> None:
        switches = self.fixture.switches
        archive = self.fixture.file(filename.removesuffix(".metadata"))
        if archive is None:
            return self._send(404, "text/plain", b"no such file")
        if filename.endswith(".metadata"):
            if archive.metadata is None or not switches.metadata:
                return self._send(404, "text/plain", b"no metadata")
            lie = b"lie" if switches.metadata_lies else b""
            return self._send(200, "application/octet-stream", archive.metadata + lie)
        content = noise(len(archive.content), b"wrong") if switches.wrong_bytes else archive.content
        headers = {"ETag": f'"{archive.sha256[:16]}"'} if switches.etag else {}
        status, start, end = 200, 0, len(content)
        wanted = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", ""))
        condition = self.headers.get("If-Range")
        if switches.ranges and wanted and condition in {None, headers.get("ETag")}:
            start, end = _bounds(wanted.group(1), wanted.group(2), len(content))
            if start >= end:
                return self._send(416, "text/plain", b"")
            status = 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{len(content)}"
        if switches.ranges:
            headers["Accept-Ranges"] = "bytes"
        return self._send(status, "application/octet-stream", content[start:end], headers)

    def _send(
        self, status: int, kind: str, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status != 304:
            self.send_header("Content-Length", str(len(body)))
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD" or status == 304:
            return
        try:
            for piece in self._pieces(body, is_file=kind == "application/octet-stream"):
                self.wfile.write(piece)
        except OSError:
            self.close_connection = True

    def _pieces(self, body: bytes, *, is_file: bool) -> Iterator[bytes]:
        switches = self.fixture.switches
        if is_file and switches.truncate is not None and switches.truncate_times != 0:
            switches.truncate_times -= 1
            self.close_connection = True
            yield body[: switches.truncate]
            return
        if not is_file or not switches.slow_piece:
            yield body
            return
        for start in range(0, len(body), 65536):
            time.sleep(switches.slow_piece)
            yield body[start : start + 65536]


def _bounds(first: str, last: str, size: int) -> tuple[int, int]:
    if not first:
        return max(0, size - int(last or 0)), size
    return int(first), min(size, int(last) + 1) if last else size
