"""`/pypi/<name>/json` and `/packages/…`: what programs that mirror an index still ask for.

The form is that of the index's old JSON API, as far as a mirror knows it: names, versions,
files with hashes, sizes, times and yanks, and the serial. What only the metadata of a release
tells (summary, author, classifiers) is left out. File URLs begin with `/packages/`, because
bandersnatch refuses others; behind it are the same files as under `/files/`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec
from packaging.version import InvalidVersion, Version

from dpip.simple import json_codec
from dpip.simple.asgi import header, send_error, send_whole
from dpip.simple.model import is_valid_name, version_in
from dpip.simple.names import normalize
from dpip.simple.repository import FileNotFound, ProjectNotFound

if TYPE_CHECKING:
    from dpip.simple.asgi import Receive, Scope, Send
    from dpip.simple.model import File, Project
    from dpip.simple.repository import PageSource
    from dpip.simple.server import SimpleApplication

UNKNOWN_TIME = "1970-01-01T00:00:00Z"
"""Stands for an upload time that the source does not tell; the readers insist on one."""


class LegacyJson:
    """ASGI app for `/pypi/`, over pages that are rendered already."""

    def __init__(self, pages: PageSource) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; raises as PageSource.page does."""
        del receive
        parts = scope["path"].split("/")
        if len(parts) != 4 or parts[3] != "json" or not is_valid_name(parts[2]):
            await send_error(send, FileNotFound("this is at /pypi/<name>/json"))
            return
        page = await self._pages.page(normalize(parts[2]))
        project = json_codec.decode_project(page.json)
        if project.status == "quarantined":
            raise ProjectNotFound(f"{parts[2]!r} is in quarantine")
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"max-age=10")]
        if page.last_serial is not None:
            headers.append((b"x-pypi-last-serial", b"%d" % page.last_serial))
        body = msgspec.json.encode(legacy(project, _origin(scope), page.last_serial))
        headers.append((b"content-length", b"%d" % len(body)))
        await send_whole(send, 200, headers, body if scope["method"] != "HEAD" else b"")


class Packages:
    """ASGI app for `/packages/<key>/<filename>`: the same as `/files/<key>/<filename>`."""

    def __init__(self, files: SimpleApplication) -> None:
        self._files = files

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = "/files" + scope["path"].removeprefix("/packages")
        await self._files({**scope, "path": path}, receive, send)


def legacy(project: Project, origin: str, serial: int | None) -> dict[str, Any]:
    """Return a page in the old form; `origin` is such as "https://host", for file URLs."""
    releases: dict[str, list[dict[str, Any]]] = {version: [] for version in project.versions}
    for file in project.files:
        version = version_in(file.filename)
        if version is not None and file.sha256 is not None:
            releases.setdefault(version, []).append(_file(file, origin))
    newest = _newest(version for version, files in releases.items() if files)
    return {
        "info": {"name": project.name, "version": newest, "yanked": False},
        "last_serial": serial or 0,
        "releases": releases,
        "urls": releases.get(newest, []),
    }


def _file(file: File, origin: str) -> dict[str, Any]:
    time = file.upload_time or UNKNOWN_TIME
    return {
        "filename": file.filename,
        "url": f"{origin}/packages/{file.sha256}/{quote(file.filename)}",
        "digests": dict(file.hashes),
        "packagetype": "bdist_wheel" if file.is_wheel else "sdist",
        "size": file.size,
        "upload_time": time.partition(".")[0].removesuffix("Z"),
        "upload_time_iso_8601": time,
        "requires_python": file.requires_python,
        "yanked": file.yanked is not None,
        "yanked_reason": file.yanked or None,
    }


def _newest(versions: Any) -> str:
    def order(text: str) -> tuple[bool, bool, Version]:
        try:
            version = Version(text)
        except InvalidVersion:
            return (False, False, Version("0"))
        return (True, not version.is_prerelease, version)

    return max(versions, key=order, default="")


def _origin(scope: Scope) -> str:
    host = header(scope, b"host") or "127.0.0.1"
    return f"{scope.get('scheme', 'http')}://{host}"
