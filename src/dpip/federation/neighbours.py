"""Files from other nodes: asked first, briefly, and believed only by their hash.

At most three neighbours are asked whether they hold a file, for at most a tenth of a second.
One that does is used: by recipe where most blocks are here already, else for the plain file.
Nothing that comes reaches anybody before its SHA-256 is right, so a neighbour that lies,
breaks off or stalls costs time, and upstream is asked as if it had not been there.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote

from dpip.federation.holdings import ONLY_STORED, RECIPE

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
    from pathlib import Path

    import aiohttp

    from dpip.mirror.catalog import FileRecord

log = logging.getLogger(__name__)
PATIENCE = 0.1
"""Seconds until upstream is asked in place of neighbours that have not answered."""
MOST_ASKED = 3
STALL = 2.0
"""Seconds without a byte after which a neighbour is given up."""
PIECE = 2**18
_HEADERS = {"Cache-Control": ONLY_STORED, "Accept-Encoding": "identity", "User-Agent": "dpip"}


@dataclass(slots=True)
class Savings:
    """What neighbours gave since start: `size` bytes of files, for which `moved` bytes came."""

    files: int = 0
    size: int = 0
    moved: int = 0
    refused: int = 0
    """Files that neighbours offered and that were not what they must be."""


class Directory(Protocol):
    """Who is there to be asked."""

    def near(self, record: FileRecord) -> Sequence[str]:
        """Return base URLs of nodes, the likeliest to hold the file first."""
        ...


@dataclass(frozen=True, slots=True)
class Offer:
    """A neighbour that says that it holds a file, and by which recipe."""

    url: str
    recipe: str | None


@dataclass(slots=True)
class Neighbours:
    """Obtains files. `assemble` makes a file of its recipe from blocks here and there.

    It is given the neighbour's URL, the recipe's CID, the file's record and where to write;
    it returns the bytes that came over the network, or None where the plain file is cheaper.
    With `insistent` there is no upstream to turn to: every neighbour is asked, and waited for.
    """

    directory: Directory
    assemble: Callable[[str, str, FileRecord, Path], Awaitable[int | None]]
    insistent: bool = False
    savings: Savings = field(default_factory=Savings)
    _session: aiohttp.ClientSession | None = None

    async def obtain(self, record: FileRecord, part: Path) -> bool:
        """Put the whole file at `part`, checked; say whether some neighbour had it."""
        urls = list(self.directory.near(record))
        urls = urls if self.insistent else urls[:MOST_ASKED]
        for start in range(0, len(urls), MOST_ASKED):
            offers = self._offers(urls[start : start + MOST_ASKED], record)
            async with contextlib.aclosing(offers):
                async for offer in offers:
                    if await self._take(offer, record, part):
                        return True
        return False

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _offers(self, urls: Sequence[str], record: FileRecord) -> AsyncGenerator[Offer, None]:
        """Yield offers as they come; neighbours that take too long are not waited for."""
        asking = [asyncio.create_task(self._ask(url, record)) for url in urls]
        patience = STALL if self.insistent else PATIENCE
        try:
            for answer in asyncio.as_completed(asking, timeout=patience):
                with contextlib.suppress(TimeoutError):
                    offer = await answer
                    if offer is not None:
                        yield offer
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def _ask(self, url: str, record: FileRecord) -> Offer | None:
        with _given_up(url):
            async with self._client().head(_address(url, record), headers=_HEADERS) as response:
                if response.status == 200:
                    return Offer(url, response.headers.get(RECIPE))
        return None

    async def _take(self, offer: Offer, record: FileRecord, part: Path) -> bool:
        moved = None
        if offer.recipe is not None:
            moved = await self.assemble(offer.url, offer.recipe, record, part)
        if moved is None:
            with _given_up(offer.url):
                moved = await self._download(offer.url, record, part)
        if moved is None or await asyncio.to_thread(_sha256, part) != record.sha256:
            self.savings.refused += 1
            log.warning("%s from %s is not what it must be", record.filename, offer.url)
            part.unlink(missing_ok=True)
            return False
        self.savings.files += 1
        self.savings.size += part.stat().st_size
        self.savings.moved += moved
        return True

    async def _download(self, url: str, record: FileRecord, part: Path) -> int | None:
        """Write the plain file; return its size, or None where it is larger than it must be."""
        size = 0
        async with self._client().get(_address(url, record), headers=_HEADERS) as response:
            if response.status != 200:
                return None
            with part.open("wb") as file:
                async for piece in response.content.iter_chunked(PIECE):
                    size += len(piece)
                    if record.size is not None and size > record.size:
                        return None
                    await asyncio.to_thread(file.write, piece)
        return size

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=STALL, sock_read=STALL),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=PIECE,
            )
        return self._session


@contextlib.contextmanager
def _given_up(url: str) -> Any:
    """Let a neighbour that fails be one that has nothing."""
    import aiohttp

    try:
        yield
    except (aiohttp.ClientError, OSError, ValueError) as error:
        log.info("%s: %s", url, error)


def _address(url: str, record: FileRecord) -> str:
    return f"{url}/files/{record.sha256}/{quote(record.filename)}"


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
