"""Bytes to requests: llhttp finds the parts, this file counts them and builds the scope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import unquote

import httptools

if TYPE_CHECKING:
    from dpip.app.limits import Limits


class Refused(Exception):
    """A request that no application shall see; `status` and `message` are the answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class Receiver(Protocol):
    """What becomes of the parts: `request_begins` comes first, `body_ends` last."""

    def request_begins(self, scope: dict[str, Any], keep_alive: bool, expects: bool) -> None:
        """Take a complete head; `expects` says that the client waits for a 100."""

    def body_arrives(self, data: bytes) -> None:
        """Take a piece of the body."""

    def body_ends(self) -> None:
        """Take note that the request is complete."""


class RequestParser:
    """Feeds a Receiver; `in_head` says that a request has begun and not told what it wants."""

    def __init__(self, receiver: Receiver, limits: Limits) -> None:
        self._receiver = receiver
        self._limits = limits
        self._parser = httptools.HttpRequestParser(self)
        self._head_size = self._body_size = 0
        self.in_head = False

    def feed(self, data: bytes) -> None:
        """Parse what arrived. Raises Refused; nothing may be fed after that."""
        if self.in_head:
            # The parser keeps an unfinished line to itself, so its size is counted here.
            self._head_size += len(data)
            if self._head_size > 2 * self._limits.head:
                raise Refused(431, "the request's head is too large")
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # No other protocol is spoken here. The head was handed on as not to be kept alive.
            return
        except httptools.HttpParserError as error:
            if isinstance(error.__context__, Refused):
                raise error.__context__ from None
            raise Refused(400, "this is not an HTTP/1.1 request") from None

    # Called by llhttp.

    def on_message_begin(self) -> None:
        """Begin a request."""
        self.in_head = True
        self._head_size = self._body_size = 0
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._expects_continue = self._has_host = False

    def on_url(self, url: bytes) -> None:
        """Take a piece of the request's target."""
        self._url += url
        self._count_head(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        name = name.lower()
        self._headers.append((name, value))
        self._count_head(len(name) + len(value))
        if name == b"host":
            self._has_host = True
        elif name == b"expect":
            self._expects_continue = value.lower() == b"100-continue"
        elif name == b"content-length" and int(value) > self._limits.body:
            raise Refused(413, "the request's body is too large")

    def _count_head(self, size: int) -> None:
        self._head_size += size
        if self._head_size > self._limits.head:
            raise Refused(431, "the request's head is too large")

    def on_headers_complete(self) -> None:
        """Hand the head on."""
        self.in_head = False
        version = self._parser.get_http_version()
        if not self._has_host and version == "1.1":
            raise Refused(400, "a request needs a Host header")
        keep_alive = self._parser.should_keep_alive() and not self._parser.should_upgrade()
        self._receiver.request_begins(self._scope(version), keep_alive, self._expects_continue)

    def _scope(self, version: str) -> dict[str, Any]:
        raw_path, query = _split_target(self._url)
        path = raw_path.decode("ascii")
        return {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": version,
            "method": self._parser.get_method().decode("ascii"),
            "path": unquote(path) if "%" in path else path,
            "raw_path": raw_path,
            "query_string": query,
            "root_path": "",
            "headers": self._headers,
        }

    def on_body(self, body: bytes) -> None:
        """Take a piece of a request's body."""
        self._body_size += len(body)
        if self._body_size > self._limits.body:
            raise Refused(413, "the request's body is too large")
        self._receiver.body_arrives(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._receiver.body_ends()


def _split_target(target: bytes) -> tuple[bytes, bytes]:
    """Return path and query of a request target in origin or absolute form."""
    if not target.startswith(b"/"):
        parsed = httptools.parse_url(target)
        return parsed.path or b"/", parsed.query or b""
    path, _, query = target.partition(b"#")[0].partition(b"?")
    return path, query
