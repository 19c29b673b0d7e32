"""HTTP/1.1 on kept-alive sockets: the bottom of the transport stack.

Connections are kept per origin, newest first, and belong to one thread while in use. A kept
connection may have been closed by the server between two requests; if it fails before the
first byte of an answer, the request is sent once more on a fresh one, which is safe because
nothing here but the closure request has a body, and that one changes nothing.
"""

from __future__ import annotations

import http.client
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

from dpip.resolve.asking import headers_of
from dpip.resolve.credentials import Credentials
from dpip.resolve.errors import Unreachable
from dpip.resolve.transport import (
    Authenticated,
    Following,
    Request,
    Response,
    Retrying,
    origin,
    without_secrets,
)

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping

    from dpip.resolve.transport import Transport

Origin = tuple[str, str, int]
IDLE_PER_ORIGIN = 64


class Begun(Protocol):
    """A connection that was begun before anybody knew what to ask; see `cli/early.py`."""

    address: tuple[str, int]
    """Host and port."""
    url: str
    """What has been asked over it already, if anything."""
    written: bytes
    """The bytes of that question."""

    def taken(self) -> socket.socket | None:
        """Return the open connection; None if there is none."""
        ...


class Connections:
    """A pool of connections; `send` as Transport says, without redirects or retries.

    `begun` is taken for the first request to its address.
    """

    def __init__(
        self,
        *,
        timeout: float = 30.0,
        trusted_hosts: frozenset[str] = frozenset(),
        environ: Mapping[str, str] | None = None,
        begun: Begun | None = None,
    ) -> None:
        self._begun = begun
        self._timeout = timeout
        self._trusted_hosts = trusted_hosts
        self._environ = os.environ if environ is None else environ
        self._idle: dict[Origin, list[http.client.HTTPConnection]] = {}
        self._lock = threading.Lock()
        self._closed = False
        self._tls: dict[bool, ssl.SSLContext] = {}

    def send(self, request: Request) -> Response:
        """Send one request on a kept connection, else on a new one."""
        where = origin(request.url)
        kept = self._take(where, request.url)
        if kept is not None:
            try:
                return self._ask(kept, where, request)
            except (OSError, http.client.HTTPException):
                kept.close()
        return self._ask_fresh(where, request)

    def close(self) -> None:
        """Close all idle connections, and those in use when their answer is read."""
        with self._lock:
            self._closed = True
            kept = [connection for idle in self._idle.values() for connection in idle]
            self._idle.clear()
            begun, self._begun = self._begun, None
        for connection in kept:
            connection.close()
        if begun is not None and (unused := begun.taken()) is not None:
            unused.close()

    def _ask_fresh(self, where: Origin, request: Request) -> Response:
        connection = self._connect(where, request.url)
        try:
            return self._ask(connection, where, request)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise _unreachable(request.url, error) from None

    def _ask(
        self, connection: http.client.HTTPConnection, where: Origin, request: Request
    ) -> Response:
        target = _target(request.url, absolute=_is_forward_proxy(connection, where))
        headers = headers_of(request.headers)
        connection.request(request.method, target, body=request.body, headers=headers)
        answer = connection.getresponse()
        received = {name.lower(): value for name, value in answer.headers.items()}
        return Response(
            request.url, answer.status, received, _Body(self, where, connection, answer)
        )

    def _take(self, where: Origin, url: str) -> http.client.HTTPConnection | None:
        with self._lock:
            begun = self._begun
            if begun is None or begun.address != where[1:] or begun.url not in {"", url}:
                idle = self._idle.get(where)
                return idle.pop() if idle else None
            self._begun = None
        return self._from_begun(begun, where)

    def _from_begun(self, begun: Begun, where: Origin) -> http.client.HTTPConnection | None:
        """Return a connection on an open socket; None, and a fresh one is made, if that fails."""
        scheme, host, port = where
        opened = begun.taken()
        if opened is None or proxy_for(scheme, host, port, self._environ) is not None:
            return None
        connection: http.client.HTTPConnection = _Begun(host, port, self._timeout, begun.written)
        try:
            opened.settimeout(self._timeout)
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "https":
                connection = _Secure(host, port, context=self._context(host))
                opened = self._context(host).wrap_socket(opened, server_hostname=host)
        except OSError:
            opened.close()
            return None
        connection.sock = opened
        return connection

    def keep(self, where: Origin, connection: http.client.HTTPConnection) -> None:
        """Take back a connection whose answer was read to its end."""
        with self._lock:
            idle = self._idle.setdefault(where, [])
            if len(idle) < IDLE_PER_ORIGIN and not self._closed:
                idle.append(connection)
                return
        connection.close()

    def _connect(self, where: Origin, url: str) -> http.client.HTTPConnection:
        scheme, host, port = where
        if scheme not in {"http", "https"} or not host:
            raise Unreachable(f"{without_secrets(url)!r} is not an HTTP address", permanent=True)
        proxy = proxy_for(scheme, host, port, self._environ)
        if proxy is not None:
            return self._through(proxy, where)
        if scheme == "http":
            return _Plain(host, port, timeout=self._timeout)
        return _Secure(host, port, timeout=self._timeout, context=self._context(host))

    def _through(self, proxy: str, where: Origin) -> http.client.HTTPConnection:
        """Connect by way of a forward proxy: CONNECT for https, absolute targets for http."""
        scheme, host, port = where
        bare, secret = Credentials((), {"NETRC": os.devnull}).split(proxy)
        _, proxy_host, proxy_port = origin(bare)
        headers = {"Proxy-Authorization": secret} if secret else {}
        if scheme == "http":
            return _Forwarded(proxy_host, proxy_port, self._timeout, headers)
        tunnel = _Secure(proxy_host, proxy_port, timeout=self._timeout, context=self._context(host))
        tunnel.set_tunnel(host, port, headers)
        return tunnel

    def _context(self, host: str) -> ssl.SSLContext:
        checked = host not in self._trusted_hosts
        with self._lock:
            if checked not in self._tls:
                self._tls[checked] = _tls_context(self._environ, checked=checked)
            return self._tls[checked]


class _Plain(http.client.HTTPConnection):
    def connect(self) -> None:
        super().connect()
        # Requests are single small writes: waiting to merge them only adds latency.
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class _Begun(_Plain):
    """A connection over which the first question may be under way already."""

    def __init__(self, host: str, port: int, timeout: float, written: bytes) -> None:
        super().__init__(host, port, timeout=timeout)
        self._written = written

    def send(self, data: Any) -> None:
        """Send, but not what was sent before; refuse if that was another question."""
        written, self._written = self._written, b""
        if not written:
            super().send(data)
        elif data != written:
            raise http.client.CannotSendRequest("something else was asked here")


class _Forwarded(_Plain):
    """A plain connection to a forward proxy, which wants absolute targets."""

    def __init__(self, host: str, port: int, timeout: float, headers: Mapping[str, str]) -> None:
        super().__init__(host, port, timeout=timeout)
        self._proxy_headers = headers

    def endheaders(self, message_body: object = None, *, encode_chunked: bool = False) -> None:
        for name, value in self._proxy_headers.items():
            self.putheader(name, value)
        super().endheaders(message_body, encode_chunked=encode_chunked)  # type: ignore[arg-type]


_Secure = http.client.HTTPSConnection


class _Body:
    """Bytes of an answer; knows whether its connection can be used again."""

    __slots__ = ("_answer", "_connection", "_pool", "_where")

    def __init__(
        self,
        pool: Connections,
        where: Origin,
        connection: http.client.HTTPConnection,
        answer: http.client.HTTPResponse,
    ) -> None:
        self._pool = pool
        self._where = where
        self._connection: http.client.HTTPConnection | None = connection
        self._answer = answer

    def read(self, amount: int = -1, /) -> bytes:
        try:
            data = self._answer.read(amount if amount >= 0 else None)
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise _unreachable(self._where[1], error) from None
        if not data and amount != 0 and self._answer.length:
            # http.client takes an early end of a sized read for the end of the body.
            self._drop()
            raise Unreachable(f"{self._where[1]}: the answer breaks off")
        return data

    def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if not self._answer.isclosed() and self._answer.length is not None:
            self._swallow_rest()
        if self._answer.isclosed() and not self._answer.will_close:
            self._pool.keep(self._where, connection)
        else:
            self._answer.close()
            connection.close()

    def _swallow_rest(self) -> None:
        """Read a short rest so that the connection can be kept."""
        try:
            if (self._answer.length or 0) <= 16384:
                self._answer.read()
        except (OSError, http.client.HTTPException):
            return

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        self._answer.close()
        if connection is not None:
            connection.close()


def open_transport(
    *,
    credentials: Credentials | None = None,
    timeout: float = 30.0,
    trusted_hosts: frozenset[str] = frozenset(),
    attempts: int = 4,
    begun: Begun | None = None,
    environ: Mapping[str, str] | None = None,
) -> Transport:
    """Return the whole stack: sockets, retries, credentials, redirects."""
    sockets = Connections(
        timeout=timeout, trusted_hosts=trusted_hosts, begun=begun, environ=environ
    )
    retrying = Retrying(sockets, attempts=attempts)
    return Following(Authenticated(retrying, credentials or Credentials()))


def _unreachable(url: str, error: Exception) -> Unreachable:
    import ssl

    permanent = isinstance(error, ssl.SSLCertVerificationError | http.client.InvalidURL)
    words = str(error) or type(error).__name__
    return Unreachable(f"cannot reach {without_secrets(url)}: {words}", permanent=permanent)


def _target(url: str, *, absolute: bool) -> str:
    parts = urlsplit(url)
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    path = path.replace(" ", "%20")
    return f"{parts.scheme}://{parts.netloc}{path}" if absolute else path


def _is_forward_proxy(connection: http.client.HTTPConnection, where: Origin) -> bool:
    return where[0] == "http" and isinstance(connection, _Forwarded)


def proxy_for(scheme: str, host: str, port: int, environ: Mapping[str, str]) -> str | None:
    """Return the proxy URL that the environment names for an origin, or None.

    `PIP_PROXY` goes before the rest. `NO_PROXY` holds host names (a leading dot or not:
    subdomains too), optionally with a port, or `*`, separated by commas.
    """
    names = ("pip_proxy", f"{scheme}_proxy", "all_proxy")
    proxy = next((v for n in names for v in (environ.get(n), environ.get(n.upper())) if v), None)
    if not proxy:
        return None
    exempt = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    for rule in (part.strip().lower() for part in exempt.split(",")):
        name, _, only_port = rule.partition(":") if rule.count(":") == 1 else (rule, "", "")
        name = name.strip("[]").lstrip(".")
        if rule == "*":
            return None
        if name and (host == name or host.endswith("." + name)) and only_port in {"", str(port)}:
            return None
    return proxy if "://" in proxy else f"http://{proxy}"


def _tls_context(environ: Mapping[str, str], *, checked: bool) -> ssl.SSLContext:
    """Return a client context: a named bundle, else the system's own certificate store.

    `PIP_CLIENT_CERT` names a file with a certificate and its key to show to servers.
    """
    context = _checking(environ) if checked else _unchecking()
    mine = environ.get("PIP_CLIENT_CERT")
    if mine:
        context.load_cert_chain(Path(mine).expanduser())
    return context


def _checking(environ: Mapping[str, str]) -> ssl.SSLContext:
    import ssl

    for name in ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        bundle = environ.get(name)
        if bundle:
            path = Path(bundle).expanduser()
            return ssl.create_default_context(
                cafile=None if path.is_dir() else path, capath=path if path.is_dir() else None
            )
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _unchecking() -> ssl.SSLContext:
    import ssl

    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
