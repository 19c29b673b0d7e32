"""Carrying one request to another node: the Protocol, and the one that uses HTTP."""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import ForbiddenAddress, UnreachablePeer, UnusableAnswer
from .address import Address, AddressPolicy, literal

DEFAULT_TIMEOUT = 10.0
LookUp = Callable[[str, int], Awaitable[list[str]]]
LARGEST_ANSWER = 512 << 20


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: HTTP status, body and headers (names in lower case)."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport(Protocol):
    """Sends a request and waits for the answer, whatever its status.

    Raises UnreachablePeer when there is none (in time), ForbiddenAddress when the URL is
    not one to call, UnusableAnswer when it is too large.
    """

    async def send(
        self, url: str, body: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> Answer:
        """POST the body, or GET if it is None; `seconds` bounds everything."""
        ...

    async def prepare(self) -> None:
        """Load what the first request would otherwise wait for."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


class HttpTransport:
    """Kept-alive HTTP connections, many at once; follows no redirects, uses no proxy.

    `look_up` returns the addresses of a name; by default, what the system says.
    """

    def __init__(self, policy: AddressPolicy, look_up: LookUp | None = None) -> None:
        self.policy = policy
        self._look_up = look_up or system_look_up
        self._session: Any = None

    async def send(
        self, url: str, body: bytes | None, headers: Mapping[str, str], seconds: float
    ) -> Answer:
        """POST the body, or GET if it is None."""
        import aiohttp

        self.policy.check_url(url)
        session = self._opened()
        try:
            async with session.request(
                "GET" if body is None else "POST",
                url,
                data=body,
                headers=headers,
                allow_redirects=False,
                timeout=aiohttp.ClientTimeout(total=seconds),
            ) as response:
                return Answer(
                    response.status,
                    await _read(response),
                    {name.lower(): value for name, value in response.headers.items()},
                )
        except ForbiddenAddress:
            raise
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            cause = str(error) or type(error).__name__
            raise UnreachablePeer(f"{url}: {cause}") from None

    async def prepare(self) -> None:
        """Import the HTTP client."""
        importlib.import_module("aiohttp")

    def _opened(self) -> Any:
        if self._session is None:
            import aiohttp

            resolver: Any = CheckedResolver(self.policy, self._look_up)
            connector = aiohttp.TCPConnector(
                limit=0, limit_per_host=16, keepalive_timeout=60, resolver=resolver
            )
            self._session = aiohttp.ClientSession(
                connector=connector, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            )
        return self._session

    async def close(self) -> None:
        """Let go of all connections."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


class Addresses(Protocol):
    """Rules about which addresses are called."""

    def check_address(self, address: Address, host: str, port: int) -> None:
        """Raise ForbiddenAddress if `host` resolved to an address that is not called."""
        ...


class CheckedResolver:
    """Looks names up and refuses what the rules refuse, at the moment of connecting.

    For aiohttp's connectors, also of programs around a node that call its peers.
    """

    def __init__(self, policy: Addresses, look_up: LookUp | None = None) -> None:
        self._policy = policy
        self._look_up = look_up or system_look_up

    async def resolve(self, host: str, port: int = 0, family: int = 0) -> list[dict[str, Any]]:
        """Return the addresses of a host, all of them allowed; raise ForbiddenAddress."""
        del family  # by this name the client gives it; every family is looked up
        found = []
        for text in await self._look_up(host, port):
            address = literal(text)
            if address is None:
                continue
            self._policy.check_address(address, host, port)
            found.append(
                {
                    "hostname": host,
                    "host": text,
                    "port": port,
                    "family": socket.AF_INET if address.version == 4 else socket.AF_INET6,
                    "proto": socket.IPPROTO_TCP,
                    "flags": socket.AI_NUMERICHOST,
                }
            )
        return found

    async def close(self) -> None:
        """Nothing is open."""


async def system_look_up(host: str, port: int) -> list[str]:
    """Return the addresses of a name as the system resolves it; raises OSError."""
    loop = asyncio.get_running_loop()
    infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=socket.AF_UNSPEC)
    return [str(address[0]) for *_, address in infos]


async def _read(response: Any) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise UnusableAnswer(f"{response.url}: the answer is too large")
        parts.append(part)
    return b"".join(parts)
