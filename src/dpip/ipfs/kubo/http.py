"""Requests to a Kubo daemon's RPC: POST, parameters in the query, answers as JSON lines.

Synchronous and safe to call from several threads: a command line calls it directly, a
daemon in threads. Kubo answers 500 with `{"Message": …}` for whatever it refuses, so the
message decides what the refusal means.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from ..connections import Connections, Request
from ..errors import IpfsError, NotFound, Unavailable

MAX_ERROR_BODY = 64 * 2**10
READ_SIZE = 256 * 2**10
NOT_FOUND_SIGNS = (
    "could not find",
    "not found",
    "does not exist",
    "not pinned",
    "no link named",
    "could not resolve name",
)


class Refused(IpfsError):
    """The daemon answered that it will not do what was asked; `status` is its HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Unauthorized(Refused):
    """The daemon wants other credentials (`API.Authorizations` in its configuration)."""


@dataclass(frozen=True, slots=True)
class Part:
    """One file of a multipart body. `chunks` is called for each attempt to send it."""

    chunks: Callable[[], Iterable[bytes]]
    name: str = "file"


Params = Iterable[tuple[str, str]]
BOUNDARY = "dpip-7c1f0a5b9e3d4f62"


class Http:
    """POST requests to one daemon.

    `url` is the API's base, such as http://127.0.0.1:5001; `authorization` is a bearer token
    or `user:password`. `timeout` bounds each wait for the network, in seconds; a call that
    legitimately waits longer (a pin, an import) takes its own.
    """

    def __init__(self, url: str, *, authorization: str | None = None, timeout: float = 30) -> None:
        self._connections = Connections(url, timeout=timeout)
        self._headers = _authorization(authorization)

    def close(self) -> None:
        """Close the kept connections."""
        self._connections.close()

    def call(
        self, command: str, params: Params = (), part: Part | None = None, *, timeout: float = 0
    ) -> dict[str, Any]:
        """Return the one JSON object that the daemon answers ({} for an empty answer)."""
        lines = list(self.lines(command, params, part, timeout=timeout))
        return lines[-1] if lines else {}

    def lines(
        self, command: str, params: Params = (), part: Part | None = None, *, timeout: float = 0
    ) -> Generator[dict[str, Any], None, None]:
        """Stream the JSON objects that the daemon answers, one a line."""
        pending = b""
        answered = self.chunks(command, params, part, timeout=timeout, eager=True)
        with contextlib.closing(answered) as chunks:
            for chunk in chunks:
                *complete, pending = (pending + chunk).split(b"\n")
                yield from (_decode(line) for line in complete if line.strip())
        if pending.strip():
            yield _decode(pending)

    def chunks(
        self, command: str, params: Params = (), part: Part | None = None, *,
        timeout: float = 0, eager: bool = False,
    ) -> Generator[bytes, None, None]:  # fmt: skip
        """Stream the bytes that the daemon answers, in large pieces or each as it comes.

        Raises Unavailable when the daemon cannot be reached, dies, or breaks the stream off.
        """
        headers, body = dict(self._headers), None
        if part is not None:
            headers["Content-Type"] = f"multipart/form-data; boundary={BOUNDARY}"
            body = partial(multipart, part)
        target = f"/api/v0/{command}?{urlencode(list(params))}"
        request = Request("POST", target, headers, body)
        with (
            _mapped(command),
            self._connections.exchange(request, timeout=timeout) as response,
        ):
            if response.status != 200:
                raise _refusal(response)
            read = response.read1 if eager else response.read
            while chunk := read(READ_SIZE):
                yield chunk
            _check_trailer(response)


def multipart(part: Part) -> Iterator[bytes]:
    """Yield a multipart body of one file, streaming."""
    yield (
        f"--{BOUNDARY}\r\n"
        f'Content-Disposition: form-data; name="file"; filename="{part.name}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    yield from (chunk for chunk in part.chunks() if chunk)
    yield f"\r\n--{BOUNDARY}--\r\n".encode()


def _authorization(secret: str | None) -> dict[str, str]:
    if not secret:
        return {}
    if ":" in secret:
        return {"Authorization": "Basic " + base64.b64encode(secret.encode()).decode()}
    return {"Authorization": f"Bearer {secret}"}


def _decode(line: bytes) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise Unavailable("the daemon's answer is not JSON")
    if value.get("Type") == "error" and "Message" in value:
        raise _meaning(str(value["Message"]), 500)
    return value


def _refusal(response: http.client.HTTPResponse) -> IpfsError:
    body = response.read(MAX_ERROR_BODY)
    try:
        message = str(json.loads(body)["Message"])
    except (ValueError, KeyError, TypeError):
        message = body.decode("utf-8", "replace").strip() or response.reason
    return _meaning(message, response.status)


def _meaning(message: str, status: int) -> IpfsError:
    if status in {401, 403}:
        return Unauthorized(f"the daemon refused the credentials: {message}", status)
    if any(sign in message for sign in NOT_FOUND_SIGNS):
        return NotFound(message)
    if status in {429, 502, 503, 504} or "context deadline exceeded" in message:
        return Unavailable(message)
    return Refused(message, status)


def _check_trailer(response: http.client.HTTPResponse) -> None:
    """Raise the error that Kubo sends after a body that it had to break off."""
    message = response.headers.get("X-Stream-Error")
    if message:
        raise _meaning(message, 500)


@contextlib.contextmanager
def _mapped(command: str) -> Iterator[None]:
    try:
        yield
    except TimeoutError:
        raise Unavailable(f"Kubo did not answer {command} in time") from None
    except (OSError, http.client.HTTPException) as error:
        raise Unavailable(f"cannot ask Kubo ({command}): {error or type(error).__name__}") from None
