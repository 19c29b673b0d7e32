"""One question over HTTP, and the small wrappers that make it polite.

`Transport` has one method. `connections.py` puts it on sockets; each wrapper here adds one
thing: redirects, credentials, retries. `open_transport`, beside the sockets, stacks them.
A transport may be used by many threads at once.
"""

from __future__ import annotations

import time
import zlib
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urljoin, urlsplit

import msgspec
from msgspec.structs import replace

from dpip.resolve.errors import BadAnswer, HttpFailure, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from dpip.resolve.credentials import Credentials

CHUNK = 256 * 1024
XZ_MEMORY = 32 * 2**20
"""Bytes that unpacking may take: our own nodes' answers take 9 MiB."""
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PASSING = frozenset({408, 429, 500, 502, 503, 504})
"""Statuses that may be gone a moment later."""


class Request(msgspec.Struct, frozen=True):
    """What is asked: headers are as they go out; `body` makes it a POST by convention."""

    url: str
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    method: str = "GET"
    body: bytes | None = None


class Body(Protocol):
    """The raw bytes of a response, and what to do with its connection afterwards."""

    def read(self, amount: int = -1, /) -> bytes:
        """Return up to `amount` bytes, b"" at the end."""
        ...

    def close(self) -> None:
        """Give the connection back if the body was read to its end, else drop it."""
        ...


class Response:
    """A response whose body is still on the wire; close it, or use it in a `with`.

    `headers` has lower-case names. `url` is where the answer came from, after redirects.
    """

    __slots__ = ("_body", "headers", "status", "url")

    def __init__(self, url: str, status: int, headers: Mapping[str, str], body: Body) -> None:
        self.url = url
        self.status = status
        self.headers = headers
        self._body = body

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the connection."""
        self._body.close()

    def chunks(self) -> Iterator[bytes]:
        """Yield the body as it arrives, with any Content-Encoding undone."""
        encoding = self.headers.get("content-encoding", "identity").strip().lower()
        if encoding in {"", "identity"}:
            while chunk := self._body.read(CHUNK):
                yield chunk
            return
        if encoding not in {"gzip", "x-gzip", "deflate", "xz"}:
            raise BadAnswer(f"{self.url}: unknown Content-Encoding {encoding!r}")
        yield from (_unpacked if encoding == "xz" else _inflated)(self.url, self._body)

    def read(self, limit: int | None = None) -> bytes:
        """Return the whole decoded body; raises BadAnswer beyond `limit` bytes."""
        parts: list[bytes] = []
        size = 0
        for chunk in self.chunks():
            size += len(chunk)
            if limit is not None and size > limit:
                raise BadAnswer(f"{self.url}: the answer is larger than {limit:,} bytes")
            parts.append(chunk)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflated(url: str, body: Body) -> Iterator[bytes]:
    """Undo gzip or zlib framing (`wbits=47` tells them apart); bounded output per step."""
    inflate = zlib.decompressobj(wbits=47)
    try:
        while raw := body.read(CHUNK):
            while raw and not inflate.eof:
                yield inflate.decompress(raw, CHUNK)
                raw = inflate.unconsumed_tail
        yield inflate.flush()
    except zlib.error as error:
        raise BadAnswer(f"{url}: broken compression: {error}") from None
    if not inflate.eof:
        raise BadAnswer(f"{url}: the compressed answer breaks off")


def _unpacked(url: str, body: Body) -> Iterator[bytes]:
    """Undo xz; bounded output per step, and bounded memory."""
    import lzma

    unpack = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=XZ_MEMORY)
    try:
        while not unpack.eof:
            raw = body.read(CHUNK) if unpack.needs_input else b""
            if unpack.needs_input and not raw:
                raise BadAnswer(f"{url}: the compressed answer breaks off")
            yield unpack.decompress(raw, CHUNK)
    except lzma.LZMAError as error:
        raise BadAnswer(f"{url}: broken compression: {error}") from None
    while body.read(CHUNK):
        """What follows is not ours, but the connection is to be used again."""


class Transport(Protocol):
    """Something that answers requests.

    Raises Unreachable where no answer came at all (refused, timed out, TLS). Any status is
    an answer: it is returned, not raised.
    """

    def send(self, request: Request) -> Response:
        """Send one request and return its response with the body unread."""
        ...

    def close(self) -> None:
        """Close idle connections."""
        ...


class Following:
    """Follow redirects, at most `limit`; credentials never cross to another origin."""

    def __init__(self, inner: Transport, limit: int = 10) -> None:
        self._inner = inner
        self._limit = limit

    def send(self, request: Request) -> Response:
        """Send, and send again where the answer points elsewhere."""
        for _ in range(self._limit):
            response = self._inner.send(request)
            target = response.headers.get("location")
            if response.status not in REDIRECTS or not target:
                return response
            response.close()
            try:
                request = _redirected(request, urljoin(response.url, target), response.status)
            except ValueError:
                where = without_secrets(request.url)
                raise BadAnswer(f"{where}: redirects to what is no address") from None
        raise BadAnswer(f"{without_secrets(request.url)}: more than {self._limit} redirects")

    def close(self) -> None:
        """Close what is below."""
        self._inner.close()


def _redirected(request: Request, url: str, status: int) -> Request:
    if urlsplit(url).scheme not in {"http", "https"}:
        raise BadAnswer(f"redirect to {without_secrets(url)!r}: not an HTTP address")
    headers = dict(request.headers)
    if origin(url) != origin(request.url):
        headers.pop("Authorization", None)
    if status in {301, 302, 303} and request.method == "POST":
        return Request(url, headers)
    return replace(request, url=url, headers=headers)


class Authenticated:
    """Add credentials: from the URL or netrc at once, from the keyring after a 401."""

    def __init__(self, inner: Transport, credentials: Credentials) -> None:
        self._inner = inner
        self._credentials = credentials

    def send(self, request: Request) -> Response:
        """Send with what is known; on 401 ask the keyring once and send again."""
        bare, known = self._credentials.split(request.url)
        request = replace(request, url=bare)
        response = self._inner.send(_authorized(request, known))
        if response.status != 401:
            return response
        asked = self._credentials.ask_keyring(bare)
        if asked is None or asked == known:
            return response
        response.close()
        return self._inner.send(_authorized(request, asked))

    def close(self) -> None:
        """Close what is below."""
        self._inner.close()


def _authorized(request: Request, secret: str | None) -> Request:
    if secret is None or "Authorization" in request.headers:
        return request
    return replace(request, headers={**request.headers, "Authorization": secret})


class Retrying:
    """Try again what may pass: lost connections and 408, 429, 5xx but 501; waits double.

    `Retry-After` in seconds is honoured up to `patience` seconds.
    """

    def __init__(
        self,
        inner: Transport,
        attempts: int = 4,
        pause: float = 0.25,
        patience: float = 10.0,
        sleep: Callable[[float], Any] = time.sleep,
    ) -> None:
        self._inner = inner
        self._attempts = attempts
        self._pause = pause
        self._patience = patience
        self._sleep = sleep

    def send(self, request: Request) -> Response:
        """Send until an answer is final or the attempts are used up."""
        for attempt in range(self._attempts - 1):
            wait = self._pause * 2**attempt
            try:
                response = self._inner.send(request)
            except Unreachable as error:
                if error.permanent:
                    raise
            else:
                if response.status not in PASSING:
                    return response
                wait = max(wait, _retry_after(response.headers))
                response.close()
            self._sleep(min(wait, self._patience))
        return self._inner.send(request)

    def close(self) -> None:
        """Close what is below."""
        self._inner.close()


def _retry_after(headers: Mapping[str, str]) -> float:
    value = headers.get("retry-after", "")
    return float(value) if value.isdigit() else 0.0


def get(transport: Transport, url: str, headers: Mapping[str, str], limit: int) -> bytes:
    """Return the body of a 200 answer, at most `limit` bytes; HttpFailure for any other."""
    with transport.send(Request(url, headers)) as response:
        if response.status != 200:
            raise HttpFailure(without_secrets(response.url), response.status)
        return response.read(limit)


def origin(url: str) -> tuple[str, str, int]:
    """Return (scheme, host, port) of a URL, the port by the scheme where it is not given."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return parts.scheme, (parts.hostname or "").lower(), port


def without_secrets(url: str) -> str:
    """Return the URL without user name and password, fit for messages and lock files."""
    if "@" not in url:
        return url
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
