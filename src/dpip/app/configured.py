"""The upstream index, found out when it is first needed.

Asking pip takes a second, and a node must answer within half of one. So the question is put
in the background at start, and whoever needs upstream before that waits for the answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING

from dpip.errors import DpipError
from dpip.simple.repository import UpstreamUnavailable
from dpip.simple.transport import without_credentials
from dpip.simple.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from dpip.simple.changelog import Changelog
    from dpip.simple.model import ProjectEntry
    from dpip.simple.upstream import Fetched, FileStream, Range, Validators

log = logging.getLogger(__name__)


class ConfiguredUpstream:
    """A Source whose URL comes from `find_url`, which may take its time in a thread."""

    def __init__(self, find_url: Callable[[], str], *, timeout: float, max_page_size: int) -> None:
        self._find_url = find_url
        self._timeout = timeout
        self._max_page_size = max_page_size
        self._asked: asyncio.Task[Upstream] | None = None

    async def upstream(self) -> Upstream:
        """Return the upstream; raises UpstreamUnavailable if nobody knows which it is."""
        if self._asked is None or _failed(self._asked):
            self._asked = asyncio.create_task(self._open())
        return await asyncio.shield(self._asked)

    async def aclose(self) -> None:
        """Close all connections."""
        if self._asked is not None:
            self._asked.cancel()
            with contextlib.suppress(asyncio.CancelledError, DpipError):
                await (await self._asked).aclose()

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        """Return a page, or that it has not changed."""
        return await (await self.upstream()).fetch(name, known)

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the root list."""
        async for entry in (await self.upstream()).projects():
            yield entry

    async def changelog(self) -> Changelog | None:
        """Return the changelog that upstream would have."""
        return (await self.upstream()).changelog()

    @contextlib.asynccontextmanager
    async def open_file(
        self, url: str, *, offset: int = 0, known: Validators | None = None
    ) -> AsyncIterator[FileStream]:
        """Open a file from `offset` on."""
        upstream = await self.upstream()
        async with upstream.open_file(url, offset=offset, known=known) as stream:
            yield stream

    async def read(self, url: str, limit: int) -> bytes:
        """Return a small resource whole."""
        return await (await self.upstream()).read(url, limit)

    async def read_tail(self, url: str, length: int) -> Range:
        """Return a file's last bytes."""
        return await (await self.upstream()).read_tail(url, length)

    async def read_range(self, url: str, offset: int, length: int) -> Range:
        """Return bytes of a file."""
        return await (await self.upstream()).read_range(url, offset, length)

    async def _open(self) -> Upstream:
        try:
            url = await asyncio.to_thread(self._find_url)
        except DpipError as error:
            raise UpstreamUnavailable(
                f"no upstream index: {error.message}", hint=error.hint
            ) from None
        log.info("upstream is %s", without_credentials(url))
        upstream = Upstream(url, timeout=self._timeout, max_page_size=self._max_page_size)
        await upstream.prepare()
        return upstream


def _failed(task: asyncio.Task[Upstream]) -> bool:
    return task.done() and (task.cancelled() or task.exception() is not None)
