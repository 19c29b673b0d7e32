"""What a mirror needs of an index: `simple.upstream.Upstream` is one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from dpip.simple.model import ProjectEntry
    from dpip.simple.upstream import Fetched, FileStream, Range, Validators


class PageSource(Protocol):
    """An index with conditional pages.

    UpstreamUnavailable may pass, UpstreamInvalid is the source's fault, ProjectNotFound is
    final. File URLs in pages are absolute.
    """

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        """Return a page, or that it has not changed since `known`."""
        ...

    def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the root list."""
        ...


@runtime_checkable
class Narrowing(Protocol):
    """A PageSource that shows only a part of the pages of another."""

    async def narrowed(self, name: str, told: Fetched) -> Fetched:
        """Return what it would show of a page. Raises ProjectNotFound if nothing at all."""
        ...

    def is_current(self, etag: str | None) -> bool:
        """Say whether a page that was stored with this validator shows what it would show now."""
        ...


class FileSource(Protocol):
    """Files by URL. Errors as above; FileNotFound is final."""

    def open_file(
        self, url: str, *, offset: int = 0, known: Validators | None = None
    ) -> AbstractAsyncContextManager[FileStream]:
        """Open a file from `offset` on, or from 0 where that cannot be had."""
        ...

    async def read(self, url: str, limit: int) -> bytes:
        """Return a small resource whole."""
        ...

    async def read_tail(self, url: str, length: int) -> Range:
        """Return a file's last bytes; UpstreamInvalid where there are no ranges."""
        ...

    async def read_range(self, url: str, offset: int, length: int) -> Range:
        """Return bytes of a file; UpstreamInvalid where there are no ranges."""
        ...
