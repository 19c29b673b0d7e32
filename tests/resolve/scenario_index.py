"""A scenario in packse's format as an index over HTTP: pages and metadata, no archives but sdists.

Wheels are named with their metadata file (PEP 658); source archives have static metadata.
"""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import threading
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.resolve.random_scenarios import Scenario

JSON = "application/vnd.pypi.simple.v1+json"
PROJECT = b"[build-system]\nrequires = []\nbuild-backend = 'none'\n"


class ScenarioIndex:
    """Serves one scenario after the other on loopback."""

    def __init__(self) -> None:
        self._round = 0
        self._bodies: dict[str, bytes] = {}
        index = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                body = index._bodies.get(self.path)
                self.send_response(200 if body is not None else 404)
                kind = JSON if "/simple/" in self.path else "application/octet-stream"
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))

    def __enter__(self) -> ScenarioIndex:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """The index of the scenario that is served now: no two have the same."""
        return f"http://127.0.0.1:{self._server.server_port}/{self._round}/simple"

    def serve(self, scenario: Scenario) -> None:
        """Serve this scenario from now on."""
        self._round += 1
        self._bodies = {}
        for name, project in scenario["packages"].items():
            rows: list[dict[str, Any]] = []
            for version, release in project["versions"].items():
                rows += self._release(name, version, release)
            page = {"meta": {"api-version": "1.1"}, "name": name, "files": rows}
            page["versions"] = list(project["versions"])
            self._bodies[f"/{self._round}/simple/{name}/"] = json.dumps(page).encode()

    def _release(self, name: str, version: str, release: Scenario) -> Iterator[dict[str, Any]]:
        metadata = metadata_of(name, version, release)
        told = {
            "requires-python": release.get("requires_python", ">=3.12"),
            "yanked": bool(release.get("yanked")),
            "upload-time": "2024-03-24T00:00:00Z",
        }
        if release.get("wheel", True):
            for tag in release.get("wheel_tags", ["py3-none-any"]):
                filename = f"{name}-{version}-{tag}.whl"
                self._bodies[f"/{self._round}/files/{filename}.metadata"] = metadata
                core = {"sha256": sha256(metadata).hexdigest()}
                yield {**told, **_file(filename, filename.encode()), "core-metadata": core}
        if release.get("sdist", True):
            filename, body = f"{name}-{version}.tar.gz", sdist_of(f"{name}-{version}", metadata)
            self._bodies[f"/{self._round}/files/{filename}"] = body
            yield {**told, **_file(filename, body)}


def _file(filename: str, body: bytes) -> dict[str, Any]:
    digest = sha256(body).hexdigest()
    return {"filename": filename, "url": f"../../files/{filename}", "hashes": {"sha256": digest}}


def metadata_of(name: str, version: str, release: Scenario) -> bytes:
    """Return the core metadata of a release."""
    lines = ["Metadata-Version: 2.2", f"Name: {name}", f"Version: {version}"]
    if python := release.get("requires_python", ">=3.12"):
        lines.append(f"Requires-Python: {python}")
    lines += [f"Requires-Dist: {each}" for each in release.get("requires", ())]
    for extra, wanted in release.get("extras", {}).items():
        lines.append(f"Provides-Extra: {extra}")
        for each in wanted:
            requirement, _, marker = each.partition(";")
            when = f"({marker.strip()}) and extra == '{extra}'" if marker else f"extra == '{extra}'"
            lines.append(f"Requires-Dist: {requirement.strip()} ; {when}")
    return ("\n".join(lines) + "\n").encode()


def sdist_of(stem: str, metadata: bytes) -> bytes:
    """Return a source archive whose metadata is static."""
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0, compresslevel=1) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for path, body in (("PKG-INFO", metadata), ("pyproject.toml", PROJECT)):
            member = tarfile.TarInfo(f"{stem}/{path}")
            member.size = len(body)
            archive.addfile(member, io.BytesIO(body))
    return out.getvalue()
