"""HTTP connections to one host, kept and reused; the standard library's client underneath.

Synchronous and safe to use from several threads, each exchange on a connection of its own. A
kept connection that the other side closed in the meantime is replaced once.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

KEPT = 16


@dataclass(frozen=True, slots=True)
class Request:
    """One request; `body` is called for the chunks of each attempt."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Callable[[], Iterable[bytes]] | None = None


class Connections:
    """Exchanges with the host of `url` (http or https); its path is a prefix to every target.

    `timeout` bounds each wait for the network, in seconds. `tls` replaces the system's
    certificate store. Errors are those of `http.client`: OSError and HTTPException.
    """

    def __init__(self, url: str, *, timeout: float = 30, tls: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidArgument(f"{url!r} is no http or https address")
        secure = parts.scheme == "https"
        self._tls = (tls or ssl.create_default_context()) if secure else None
        self._host = parts.hostname
        self._port = parts.port or (443 if secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._timeout = timeout
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue(KEPT)
        self._closed = False

    def close(self) -> None:
        """Close the kept connections, and those in use when their exchange ends."""
        self._closed = True
        with contextlib.suppress(queue.Empty):
            while True:
                self._idle.get_nowait().close()

    @contextlib.contextmanager
    def exchange(
        self, request: Request, *, timeout: float = 0
    ) -> Iterator[http.client.HTTPResponse]:
        """Send a request and yield the response; read it inside the block.

        The connection is kept if the response was read to
        its end, and closed otherwise.
        """
        connection, response = self._send(request, timeout or self._timeout)
        try:
            yield response
        except BaseException:
            connection.close()
            raise
        self._keep(connection, response)

    def _send(
        self, request: Request, timeout: float
    ) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
        kept = self._kept()
        if kept is not None:
            try:
                return kept, self._ask(kept, request, timeout)
            except (http.client.BadStatusLine, BrokenPipeError, ConnectionResetError):
                kept.close()
        fresh = self._connect(timeout)
        try:
            return fresh, self._ask(fresh, request, timeout)
        except BaseException:
            fresh.close()
            raise

    def _ask(
        self, connection: http.client.HTTPConnection, request: Request, timeout: float
    ) -> http.client.HTTPResponse:
        if connection.sock is not None:
            connection.sock.settimeout(timeout)
        body = request.body() if request.body is not None else None
        target, headers = self._prefix + request.target, dict(request.headers)
        try:
            connection.request(
                request.method, target, body, headers, encode_chunked=body is not None
            )
        except (BrokenPipeError, ConnectionResetError):
            # A server that refuses early answers and closes before it has read everything.
            if body is None:
                raise
        return connection.getresponse()

    def _connect(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls is not None:
            return http.client.HTTPSConnection(
                self._host, self._port, timeout=timeout, context=self._tls
            )
        return http.client.HTTPConnection(self._host, self._port, timeout=timeout)

    def _kept(self) -> http.client.HTTPConnection | None:
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            return None

    def _keep(
        self, connection: http.client.HTTPConnection, response: http.client.HTTPResponse
    ) -> None:
        if self._closed or response.will_close or not response.isclosed():
            connection.close()
            return
        try:
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()
