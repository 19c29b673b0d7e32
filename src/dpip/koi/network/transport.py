"""Carrying one request to another node: the Protocol, and the one that uses HTTP."""

from __future__ import annotations

import asyncio
import importlib
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from ..errors import ForbiddenAddress, UnreachablePeer, UnusableAnswer
from .address import AddressPolicy, literal

DEFAULT_TIMEOUT = 10.0
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
    """Kept-alive HTTP connections, many at once; follows no redirects, uses no proxy."""

    def __init__(self, policy: AddressPolicy) -> None:
        self.policy = policy
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

            resolver: Any = _Resolver(self.policy)
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


class _Resolver:
    """Looks names up and refuses what the policy refuses, at the moment of connecting."""

    def __init__(self, policy: AddressPolicy) -> None:
        self._policy = policy

    async def resolve(self, host: str, port: int = 0, _family: int = 0) -> list[dict[str, Any]]:
        loop = asyncio.get_running_loop()
        infos = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, family=socket.AF_UNSPEC)
        found = []
        for kind, _, proto, _, address in infos:
            resolved = literal(str(address[0]))
            if resolved is None:
                continue
            self._policy.check_address(resolved, host, port)
            found.append(
                {
                    "hostname": host,
                    "host": str(address[0]),
                    "port": port,
                    "family": kind,
                    "proto": proto,
                    "flags": socket.AI_NUMERICHOST,
                }
            )
        return found

    async def close(self) -> None:
        return None


async def _read(response: Any) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in response.content.iter_any():
        size += len(part)
        if size > LARGEST_ANSWER:
            raise UnusableAnswer(f"{response.url}: the answer is too large")
        parts.append(part)
    return b"".join(parts)
