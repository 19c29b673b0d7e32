"""HTTP connections to one host, kept and reused; the standard library's client underneath.

Synchronous and safe to use from several threads, each exchange on a connection of its own. A
kept connection that the other side closed in the meantime is replaced once.
"""

from __future__ import annotations

import contextlib
import http.client
import queue
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from .errors import InvalidArgument

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

Dial = Callable[[str, int, float], socket.socket]
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
    certificate store, and `dial` the way in which a host and port are connected to in some
    seconds. Errors are those of `http.client`: OSError and HTTPException.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 30,
        tls: ssl.SSLContext | None = None,
        dial: Dial | None = None,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InvalidArgument(f"{url!r} is no http or https address")
        secure = parts.scheme == "https"
        self._tls = (tls or ssl.create_default_context()) if secure else None
        self._host = parts.hostname
        self._port = parts.port or (443 if secure else 80)
        self._prefix = parts.path.rstrip("/")
        self._timeout = timeout
        self._dial = dial or dial_by_name
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
        fresh = _Connection(self._host, self._port, timeout, self._dial, self._tls)
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


def dial_by_name(host: str, port: int, seconds: float) -> socket.socket:
    """Connect to wherever the system says that a host is. Raises OSError."""
    return socket.create_connection((host, port), seconds)


class _Connection(http.client.HTTPConnection):
    """A connection that is dialled; host header and certificate are those of the name."""

    def __init__(
        self, host: str, port: int, seconds: float, dial: Dial, tls: ssl.SSLContext | None
    ) -> None:
        self.default_port = 80 if tls is None else 443
        super().__init__(host, port, timeout=seconds)
        self._seconds, self._dial, self._tls = seconds, dial, tls

    def connect(self) -> None:
        plain = self._dial(self.host, self.port, self._seconds)
        try:
            plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sock = (
                plain
                if self._tls is None
                else self._tls.wrap_socket(plain, server_hostname=self.host)
            )
        except BaseException:
            plain.close()
            raise
