"""A file source made of several, chosen by the URL of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractAsyncContextManager

    from dpip.mirror.source import FileSource
    from dpip.simple.upstream import FileStream, Range, Validators


class ByUrl:
    """A FileSource that hands each URL to the source that `source_of` chooses."""

    def source_of(self, url: str) -> FileSource:
        """Return the source to ask for a URL."""
        raise NotImplementedError

    def open_file(
        self, url: str, *, offset: int = 0, known: Validators | None = None
    ) -> AbstractAsyncContextManager[FileStream]:
        """Open a file from `offset` on."""
        return self.source_of(url).open_file(url, offset=offset, known=known)

    async def read(self, url: str, limit: int) -> bytes:
        """Return a small resource whole."""
        return await self.source_of(url).read(url, limit)

    async def read_tail(self, url: str, length: int) -> Range:
        """Return a file's last bytes."""
        return await self.source_of(url).read_tail(url, length)

    async def read_range(self, url: str, offset: int, length: int) -> Range:
        """Return bytes of a file."""
        return await self.source_of(url).read_range(url, offset, length)


class ByHost(ByUrl):
    """Asks the index whose host a URL names, with its credentials; else the default one.

    `indexes` maps index URLs to sources; it may grow while this is in use.
    """

    def __init__(self, default: FileSource, indexes: Mapping[str, FileSource]) -> None:
        self._default = default
        self._indexes = indexes

    def source_of(self, url: str) -> FileSource:
        """Return the index on the URL's host."""
        host = urlsplit(url).netloc
        for index_url, source in self._indexes.items():
            if urlsplit(index_url).netloc.rpartition("@")[2] == host:
                return source
        return self._default


class ByScheme(ByUrl):
    """Reads URLs of one scheme from `content`, and all others from `default`."""

    def __init__(self, default: FileSource, scheme: str, content: FileSource) -> None:
        self._default = default
        self._scheme = scheme
        self._content = content

    def source_of(self, url: str) -> FileSource:
        """Return the source of the URL's scheme."""
        return self._content if url.startswith(self._scheme) else self._default
