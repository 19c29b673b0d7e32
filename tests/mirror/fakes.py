"""An index in memory, with the faults that real ones have."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from dpip.simple.model import File, Project, ProjectEntry
from dpip.simple.repository import (
    FileNotFound,
    ProjectNotFound,
    UpstreamInvalid,
    UpstreamUnavailable,
)
from dpip.simple.upstream import Fetched, FileStream, Range, Validators

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

BASE = "http://index.invalid/files/"
PIECE = 64 * 1024


@dataclass
class FakeIndex:
    """Pages and files by name. `break_after` cuts each transfer after so many bytes."""

    pages: dict[str, Project] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    down: bool = False
    ranges: bool = True
    says_size: bool = True
    break_after: int | None = None
    delay: float = 0.0
    asked: Counter[str] = field(default_factory=Counter)
    gate: asyncio.Event | None = None
    broke: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, project: str, filename: str, data: bytes, **changes: Any) -> File:
        """List a file with its right hash; `changes` override what the page says of it."""
        url = BASE + filename
        self.files[url] = data
        hashes = {"sha256": hashlib.sha256(data).hexdigest()}
        file = replace(File(filename, url, hashes, size=len(data)), **changes)
        page = self.pages.get(project, Project(project))
        self.pages[project] = replace(page, files=(*page.files, file))
        return file

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        self.asked[name] += 1
        await asyncio.sleep(self.delay)
        if self.gate is not None:
            await self.gate.wait()
        if self.down:
            raise UpstreamUnavailable("the index is down")
        if name not in self.pages:
            raise ProjectNotFound(name)
        page = self.pages[name]
        validators = Validators(etag=f'"{hash(repr(page))}"')
        return Fetched(None if known == validators else page, validators)

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        self.asked["/"] += 1
        if self.down:
            raise UpstreamUnavailable("the index is down")
        for name in sorted(self.pages):
            yield ProjectEntry(name, self.pages[name].last_serial)

    @contextlib.asynccontextmanager
    async def open_file(
        self, url: str, *, offset: int = 0, known: Validators | None = None
    ) -> AsyncIterator[FileStream]:
        self.asked[url] += 1
        await asyncio.sleep(self.delay)
        data = self._data(url)
        if offset > len(data) and self.ranges:
            raise UpstreamInvalid("no such range")
        start = offset if self.ranges else 0
        size = len(data) if self.says_size else None
        yield FileStream(self._chunks(data, start), start, size, Validators(etag='"1"'))

    async def read(self, url: str, limit: int) -> bytes:
        self.asked[url] += 1
        return self._data(url)[:limit]

    async def read_tail(self, url: str, length: int) -> Range:
        data = self._data(url)
        return await self.read_range(url, max(0, len(data) - length), length)

    async def read_range(self, url: str, offset: int, length: int) -> Range:
        self.asked["range " + url] += 1
        if not self.ranges:
            raise UpstreamInvalid("no ranges here")
        data = self._data(url)
        return Range(data[offset : offset + length], offset, len(data))

    def _data(self, url: str) -> bytes:
        if self.down:
            raise UpstreamUnavailable("the index is down")
        if url not in self.files:
            raise FileNotFound(url)
        return self.files[url]

    async def _chunks(self, data: bytes, start: int) -> AsyncIterator[bytes]:
        sent = 0
        for at in range(start, len(data), PIECE):
            if self.gate is not None and at:
                await self.gate.wait()
            chunk = data[at : at + PIECE]
            if self.break_after is not None and sent + len(chunk) > self.break_after:
                yield chunk[: self.break_after - sent]
                self.broke.set()
                raise UpstreamUnavailable("the line broke")
            sent += len(chunk)
            yield chunk


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = 1_000_000.0

    def __call__(self) -> float:
        return self.time
