"""HTTP to an index: one client session, and the one border where its errors become ours.

TLS trusts the system's certificates and those that SSL_CERT_FILE, PIP_CERT or
REQUESTS_CA_BUNDLE add. Proxies and `.netrc` come from the environment; credentials in an
index URL go to that host only and never into a message. The HTTP library is imported when the
first request is made, so that a node starts without it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import os
import ssl
import sys
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from dpip import __version__
from dpip.simple.repository import UpstreamInvalid, UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    import aiohttp

USER_AGENT = f"dpip/{__version__} python/{sys.version_info.major}.{sys.version_info.minor}"
CONNECTIONS = 32
MOST_REDIRECTS = 10
PIECE = 2**18
_EXTRA_CERTIFICATES = ("SSL_CERT_FILE", "PIP_CERT", "REQUESTS_CA_BUNDLE")


def without_credentials(url: str) -> str:
    """Return the URL with user and password left out, fit for messages and logs."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


def credentials(url: str) -> tuple[str, str] | None:
    """Return the user and password in the URL, decoded, if it has any."""
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")


@functools.cache
def from_netrc(host: str) -> tuple[str, str] | None:
    """Return the user and password for a host in the user's netrc file, read once."""
    import netrc

    path = os.environ.get("NETRC") or os.path.expanduser("~/.netrc")  # noqa: PTH111
    try:
        found = netrc.netrc(path).authenticators(host)
    except (OSError, netrc.NetrcParseError):
        return None
    return (found[0], found[2]) if found else None


def proxy_for(url: str) -> str | None:
    """Return the proxy that the environment names for the URL, or None (NO_PROXY counts)."""
    from urllib.request import getproxies, proxy_bypass

    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    return None if proxy is None or proxy_bypass(parts.netloc.rpartition("@")[2]) else proxy


class Transport:
    """Requests with limits on time; closed with `aclose`.

    `index_url` lends its credentials to every URL of its own origin. `timeout` is seconds
    without a byte; a whole transfer may take as long as it moves.
    """

    def __init__(self, index_url: str, *, timeout: float = 30.0) -> None:
        self._origin = urlsplit(without_credentials(index_url))[:2]
        self._credentials = credentials(index_url)
        self._timeout = timeout
        self._pages: aiohttp.ClientSession | None = None
        self._files: aiohttp.ClientSession | None = None

    @contextlib.asynccontextmanager
    async def get(
        self, url: str, headers: Mapping[str, str], *, encoded: bool = False
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Open a GET; read its body with `body`. With `encoded` bytes come as they are stored.

        Raises UpstreamUnavailable for everything that keeps an answer from arriving, and
        UpstreamInvalid where https was redirected to plain http. What the caller raises
        between goes through untouched.
        """
        session = self._session(encoded=encoded)
        with mapped_errors(url):
            response = await session.get(
                without_credentials(url),
                headers={**headers, **self._authorization(url)},
                proxy=proxy_for(url),
                max_redirects=MOST_REDIRECTS,
            )
        async with response:
            if url.startswith("https:") and response.url.scheme != "https":
                raise UpstreamInvalid(f"{without_credentials(url)} redirects to plain http")
            yield response

    @contextlib.asynccontextmanager
    async def post(self, url: str, data: bytes) -> AsyncIterator[aiohttp.ClientResponse]:
        """Send XML and open the answer; a redirect is an answer. Raises as `get` does."""
        session = self._session(encoded=False)
        with mapped_errors(url):
            response = await session.post(
                without_credentials(url),
                data=data,
                headers={"Content-Type": "text/xml", **self._authorization(url)},
                proxy=proxy_for(url),
                allow_redirects=False,
            )
        async with response:
            yield response

    async def prepare(self) -> None:
        """Import and read now, in a thread, what the first request would wait for."""
        await asyncio.to_thread(_import_library)

    async def aclose(self) -> None:
        """Close all connections."""
        for session in (self._pages, self._files):
            if session is not None:
                await session.close()
        self._pages = self._files = None

    def _authorization(self, url: str) -> dict[str, str]:
        found = credentials(url)
        if found is None and urlsplit(url)[:2] == self._origin:
            found = self._credentials
        if found is None:
            found = from_netrc(urlsplit(url).hostname or "")
        if found is None:
            return {}
        # The HTTP library drops this header when a redirect leads to another origin.
        token = base64.b64encode(":".join(found).encode()).decode()
        return {"Authorization": f"Basic {token}"}

    def _session(self, *, encoded: bool) -> aiohttp.ClientSession:
        if self._pages is None or self._files is None:
            self._pages, self._files = self._open_sessions()
        return self._files if encoded else self._pages

    def _open_sessions(self) -> tuple[aiohttp.ClientSession, aiohttp.ClientSession]:
        import aiohttp

        context = tls_context()

        def session(*, decompress: bool) -> aiohttp.ClientSession:
            return aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=context, limit_per_host=CONNECTIONS),
                timeout=aiohttp.ClientTimeout(
                    total=None, sock_connect=self._timeout, sock_read=self._timeout
                ),
                headers={"User-Agent": USER_AGENT},
                auto_decompress=decompress,
                cookie_jar=aiohttp.DummyCookieJar(),
                read_bufsize=2**18,
            )

        return session(decompress=True), session(decompress=False)


async def body(response: aiohttp.ClientResponse, url: str) -> AsyncIterator[bytes]:
    """Yield the body in pieces. Raises UpstreamUnavailable where it breaks off."""
    with mapped_errors(url):
        async for piece in response.content.iter_chunked(PIECE):
            yield piece


def _import_library() -> None:
    import aiohttp
    import truststore

    _ = aiohttp, truststore


def tls_context() -> ssl.SSLContext:
    """Return a context that trusts what the system and the environment trust.

    Raises UpstreamUnavailable where a file of certificates cannot be read.
    """
    import truststore

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for variable in _EXTRA_CERTIFICATES:
        path = os.environ.get(variable)
        if not path:
            continue
        try:
            context.load_verify_locations(**{"capath" if os.path.isdir(path) else "cafile": path})  # noqa: PTH112
        except (OSError, ssl.SSLError) as error:
            raise UpstreamUnavailable(f"{variable}={path} holds no certificates: {error}") from None
    return context


@contextlib.contextmanager
def mapped_errors(url: str) -> Iterator[None]:
    """Turn the HTTP library's and the system's errors into UpstreamUnavailable."""
    import aiohttp

    shown = without_credentials(url)
    try:
        yield
    except TimeoutError:
        raise UpstreamUnavailable(f"{shown} did not answer in time") from None
    except (aiohttp.InvalidURL, ValueError) as error:
        raise UpstreamInvalid(f"{shown} is not a URL that can be fetched: {error}") from None
    except (aiohttp.ClientError, OSError) as error:
        raise UpstreamUnavailable(f"{shown} cannot be fetched: {reason(error)}") from None


def reason(error: BaseException) -> str:
    """Return what an error says, or its name where it says nothing."""
    text: Any = str(error) or type(error).__name__
    return str(text)
