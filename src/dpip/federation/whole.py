"""Asking a neighbour whether it holds a file, and taking the file as it is, over HTTP."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from dpip.federation.holdings import ONLY_STORED, RECIPE, ROOT, SIDECAR
from dpip.federation.offers import STALL, NeighbourFailed, Offer, unsigned
from dpip.koi import KoiError
from dpip.koi.network.transport import CheckedResolver

if TYPE_CHECKING:
    from collections.abc import Callable

    import aiohttp

    from dpip.federation.offers import Attempt, Sign
    from dpip.koi.network.transport import Addresses
    from dpip.mirror.catalog import FileRecord
    from dpip.mirror.hedge import Way

PIECE = 2**18
LARGEST_METADATA = 16 * 2**20
_HEADERS = {"Cache-Control": ONLY_STORED, "Accept-Encoding": "identity", "User-Agent": "dpip"}


class WholeFiles:
    """Neighbours' `/files/<sha256>/<filename>`; the connections are kept until `aclose`.

    `addresses` are the rules about what is called: a neighbour gives its own address, and that
    may be a name that leads into this node's own network. No redirect is followed either. `sign`
    returns, for a neighbour and a file, what signs the requests for it.
    """

    way: Way = "whole"

    def __init__(
        self,
        addresses: Addresses | None = None,
        sign: Callable[[str, FileRecord], Sign] = lambda _url, _record: unsigned,
    ) -> None:
        self._addresses = addresses
        self._sign = sign
        self._session: aiohttp.ClientSession | None = None

    def close(self) -> None:
        """Nothing goes on by itself: `aclose` ends all."""

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def ask(self, url: str, record: FileRecord) -> Offer | None:
        """Return what a neighbour offers. Raises NeighbourFailed for one that is not there."""
        import aiohttp

        sign = self._sign(url, record)
        try:
            request = self._client().head(_address(url, record), **_ask(record, sign))
            async with request as response:
                if response.status != 200:
                    return None
                return Offer(url, response.headers.get(RECIPE), response.headers.get(ROOT), sign)
        except (aiohttp.ClientError, KoiError, OSError, ValueError) as error:
            raise NeighbourFailed(f"{url}: {error or type(error).__name__}") from None

    async def metadata(self, url: str, record: FileRecord) -> bytes | None:
        """Return the metadata file of a wheel that a neighbour holds, unchecked; None if not.

        Raises NeighbourFailed.
        """
        import aiohttp

        asked = _ask(record, self._sign(url, record), SIDECAR)
        try:
            async with self._client().get(f"{_address(url, record)}{SIDECAR}", **asked) as response:
                if response.status != 200 or (response.content_length or 0) > LARGEST_METADATA:
                    return None
                body = bytearray()
                async for piece in response.content.iter_chunked(PIECE):
                    body += piece
                    if len(body) > LARGEST_METADATA:
                        return None
                return bytes(body)
        except (aiohttp.ClientError, KoiError, OSError, ValueError) as error:
            raise NeighbourFailed(f"{url}: {error or type(error).__name__}") from None

    async def bring(self, offer: Offer, attempt: Attempt) -> bool:
        """Write the file as it is. Raises NeighbourFailed, also where it is too long."""
        import aiohttp

        attempt.discard()
        address, asked = _address(offer.url, attempt.record), _ask(attempt.record, offer.sign)
        try:
            async with self._client().get(address, **asked) as response:
                if response.status != 200:
                    return False
                await _write(response, attempt)
        except (aiohttp.ClientError, KoiError, OSError, ValueError) as error:
            raise NeighbourFailed(f"{offer.url}: {error or type(error).__name__}") from None
        return True

    def _client(self) -> aiohttp.ClientSession:
        import aiohttp

        if self._session is None:
            resolver: Any = self._addresses and CheckedResolver(self._addresses)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(resolver=resolver),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=STALL, sock_read=STALL),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=PIECE,
            )
        return self._session


async def _write(response: aiohttp.ClientResponse, attempt: Attempt) -> None:
    size, most = 0, attempt.most
    with attempt.place.open("wb") as file:
        async for piece in response.content.iter_chunked(PIECE):
            size += len(piece)
            attempt.progress.came += len(piece)
            if most is not None:
                attempt.progress.share = size / max(most, 1)
                if size > most:
                    raise NeighbourFailed(f"{response.host}: more than {most} bytes")
            await asyncio.to_thread(file.write, piece)


def _ask(record: FileRecord, sign: Sign, suffix: str = "") -> Any:
    """Return how a file, or what belongs to it, is asked for."""
    path = f"/files/{record.sha256}/{record.filename}{suffix}"
    return {"headers": {**_HEADERS, **sign(path)}, "allow_redirects": False}


def _address(url: str, record: FileRecord) -> str:
    return f"{url}/files/{record.sha256}/{quote(record.filename)}"
