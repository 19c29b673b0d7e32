"""Sources for the server, in memory, and a client that calls the application directly."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dpip.simple.model import Project, ProjectEntry
from dpip.simple.render import render
from dpip.simple.repository import (
    ArrivingFile,
    FileNotFound,
    ProjectNotFound,
    StoredPage,
    WholeFile,
)
from dpip.simple.server import SimpleApplication


@dataclass
class FakePages:
    """Pages that are there; `slow` holds those that are not in memory."""

    stored: dict[str, StoredPage] = field(default_factory=dict)
    slow: dict[str, StoredPage] = field(default_factory=dict)
    error: Exception | None = None
    entries: int = 0
    break_after: int | None = None

    def add(self, project: Project) -> StoredPage:
        page = self.stored[project.name] = render(project)
        return page

    def cached(self, name: str) -> StoredPage | None:
        return self.stored.get(name)

    async def page(self, name: str) -> StoredPage:
        if self.error is not None:
            raise self.error
        if name in self.slow:
            return self.slow[name]
        raise ProjectNotFound(f"no project {name!r}")

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        if self.error is not None and self.break_after is None:
            raise self.error
        for number in range(self.entries):
            if number == self.break_after and self.error is not None:
                raise self.error
            yield ProjectEntry(f"project-{number:06}", number)


@dataclass
class FakeFiles:
    """Whole files by key in a folder; arriving ones as lists of chunks."""

    folder: Path
    stored: dict[str, Path] = field(default_factory=dict)
    arriving: dict[str, tuple[list[bytes], int | None, Exception | None]] = field(
        default_factory=dict
    )
    sidecars: dict[str, bytes] = field(default_factory=dict)
    error: Exception | None = None

    def add(self, content: bytes) -> str:
        key = hashlib.sha256(content).hexdigest()
        path = self.folder / key
        path.write_bytes(content)
        self.stored[key] = path
        return key

    def whole(self, sha256: str, filename: str) -> WholeFile | None:
        path = self.stored.get(sha256)
        return WholeFile(path, path.stat().st_size, sha256) if path else None

    async def open(self, sha256: str, filename: str) -> WholeFile | ArrivingFile:
        if self.error is not None:
            raise self.error
        if sha256 not in self.arriving:
            raise FileNotFound(f"no file {filename!r}")
        chunks, size, error = self.arriving[sha256]
        return ArrivingFile(_arrive(chunks, error), size, sha256)

    async def metadata(self, sha256: str, filename: str) -> bytes:
        if sha256 not in self.sidecars:
            raise FileNotFound(f"no metadata for {filename!r}")
        return self.sidecars[sha256]


async def _arrive(chunks: list[bytes], error: Exception | None) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk
    if error is not None:
        raise error


@dataclass(frozen=True)
class Answer:
    """What an application sent; `broken` says that it did not end properly."""

    status: int
    headers: dict[str, str]
    body: bytes
    broken: bool = False
    pieces: int = 1


async def ask(
    application: Any,
    path: str,
    headers: Mapping[str, str] | None = None,
    *,
    method: str = "GET",
    query: str = "",
) -> Answer:
    """Call an ASGI application with one request and collect its answer."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(k.lower().encode(), v.encode("latin-1")) for k, v in (headers or {}).items()],
        "extensions": {},
    }
    broken = False
    try:
        await application(scope, receive, send)
    except Exception:  # noqa: BLE001 - what a server would break the connection off for
        broken = True
    start, bodies = sent[0], sent[1:]
    return Answer(
        status=start["status"],
        headers={key.decode(): value.decode() for key, value in start["headers"]},
        body=b"".join(message.get("body", b"") for message in bodies),
        broken=broken or bodies[-1].get("more_body", False) if bodies else True,
        pieces=len(bodies),
    )


def application(pages: FakePages, files: FakeFiles) -> SimpleApplication:
    """Build the application under test."""
    return SimpleApplication(pages=pages, files=files)
