"""What the server asks of an index: pages, files, the root list; and how they fail.

An index is an expression: each feature is one wrapper around a source of pages. The server
knows nothing but these protocols.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from dpip.errors import DpipError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dpip.simple.model import ProjectEntry


class ProjectNotFound(DpipError):
    """No source has a project of that name."""

    slug = "project-not-found"
    side = "theirs"


class FileNotFound(DpipError):
    """The project lists no such file."""

    slug = "file-not-found"
    side = "theirs"


class UpstreamUnavailable(DpipError):
    """The upstream index cannot be reached, or answers with an error, and nothing is stored."""

    slug = "upstream-unavailable"
    side = "theirs"
    default_hint = "check the network and `dpip doctor`; stored packages still install"


class UpstreamInvalid(DpipError):
    """The upstream's answer is not what it must be: garbage, truncated, too large, wrong hash."""

    slug = "upstream-invalid"
    side = "theirs"


@dataclass(frozen=True, slots=True)
class StoredPage:
    """A project page rendered once: bodies with their headers ready to send.

    `etag` is the quoted validator; both encodings share it, with a suffix each. `stale` says
    that upstream could not be asked and that the page is the last one known.
    """

    name: str
    html: bytes
    html_gzip: bytes
    json: bytes
    json_gzip: bytes
    etag: str
    last_serial: int | None = None
    stale: bool = False


class PageSource(Protocol):
    """Rendered pages for the server: the hot path is `cached`, which never waits."""

    def cached(self, name: str) -> StoredPage | None:
        """Return a page that is fresh and in memory, else None. Never blocks, never raises."""
        ...

    async def page(self, name: str) -> StoredPage:
        """Return a page, asking upstream if it is due.

        Raises ProjectNotFound (final), UpstreamUnavailable (may pass), and UpstreamInvalid
        (the source's fault).
        """
        ...

    def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the root list in name order."""
        ...


@dataclass(frozen=True, slots=True)
class WholeFile:
    """A file that is complete on disk, checked, and may be sent with sendfile."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ArrivingFile:
    """A file that is being fetched: chunks in order as they arrive.

    `size` is None where the source did not say. Iterating ends normally only when the whole
    file arrived and its hash is right; it raises UpstreamInvalid otherwise, and the server
    then breaks the response off so that no client takes it for complete.
    """

    chunks: AsyncIterator[bytes]
    size: int | None
    sha256: str


class FileSource(Protocol):
    """Distribution files for the server, addressed by their SHA-256."""

    def whole(self, sha256: str, filename: str) -> WholeFile | None:
        """Return the file if it is complete on disk. Never blocks for long, never raises."""
        ...

    async def open(self, sha256: str, filename: str) -> WholeFile | ArrivingFile:
        """Return the file, fetching it if need be; many callers share one fetch."""
        ...

    async def metadata(self, sha256: str, filename: str) -> bytes:
        """Return the wheel's METADATA bytes exactly (PEP 658), without fetching the wheel."""
        ...
