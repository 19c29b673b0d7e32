"""An answer before it is sent, and the headers that answers share."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import TYPE_CHECKING

from ..errors import (
    InvalidArgument,
    InvalidCid,
    InvalidPath,
    IpfsError,
    LimitExceeded,
    NoLink,
    NotFound,
    Unavailable,
)
from .request import GO_SAFE, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..blockstore import Location
    from .request import Request

PIECE = 256 * 1024
"""Short pieces are joined up to this size, in bytes, before they are sent."""
IMMUTABLE = "public, max-age=29030400, immutable"
CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "GET, HEAD, OPTIONS",
    "access-control-allow-headers": "Content-Type, Range, User-Agent, X-Requested-With",
    "access-control-expose-headers": (
        "Content-Length, Content-Range, X-Chunked-Output, X-Ipfs-Path, X-Ipfs-Roots, "
        "X-Stream-Output"
    ),
}


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, headers and body: bytes, a stream of pieces, or spans of files on disk.

    `length` is the body's size where it is not plain bytes and is known. `settled` is False
    where a block that comes later would change the answer.
    """

    status: int
    headers: dict[str, str]
    body: bytes | Iterator[bytes] | tuple[Location, ...] = b""
    length: int | None = None
    settled: bool = True


def gathered(pieces: Iterator[bytes]) -> bytes | Iterator[bytes]:
    """Return a stream in pieces of a good size; what is short is returned as its bytes."""
    joined = _joined(pieces)
    first = next(joined, b"")
    try:
        second = next(joined, None)
    except IpfsError as error:
        return _broken_off(first, error)
    return first if second is None else itertools.chain((first, second), joined)


def _joined(pieces: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    size = 0
    try:
        for piece in pieces:
            held.append(piece)
            size += len(piece)
            if size >= PIECE:
                yield b"".join(held) if len(held) > 1 else piece
                held, size = [], 0
    except IpfsError as error:
        yield from _broken_off(b"".join(held), error)
    if held:
        yield b"".join(held)


def _broken_off(last: bytes, error: IpfsError) -> Iterator[bytes]:
    """Send what came before a missing block, which clients can use, then fail."""
    yield last
    raise error


@dataclass(frozen=True, slots=True)
class Freshness:
    """How long an answer may be kept: forever, or `max_age` seconds if not None."""

    mutable: bool = False
    max_age: int | None = None
    resolved_at: float = 0.0
    """Seconds since 1970 when a name was resolved."""

    @property
    def cache_control(self) -> str | None:
        """The Cache-Control of plain content."""
        if not self.mutable:
            return IMMUTABLE
        return f"public, max-age={self.max_age}" if self.max_age else None

    @property
    def listing_cache_control(self) -> str | None:
        """The Cache-Control of a generated page, whose look may change between versions."""
        if self.max_age:
            return f"public, max-age={self.max_age}, stale-while-revalidate=2678400"
        return None if self.mutable else "public, max-age=604800, stale-while-revalidate=2678400"

    @property
    def last_modified(self) -> str | None:
        """When what a name means was looked up; nothing for immutable content."""
        return formatdate(self.resolved_at, usegmt=True) if self.mutable else None


STATUSES: tuple[tuple[type[IpfsError], HTTPStatus], ...] = (
    (NotFound, HTTPStatus.NOT_FOUND),
    (NoLink, HTTPStatus.NOT_FOUND),
    (InvalidCid, HTTPStatus.BAD_REQUEST),
    (InvalidPath, HTTPStatus.BAD_REQUEST),
    (InvalidArgument, HTTPStatus.BAD_REQUEST),
    (LimitExceeded, HTTPStatus.BAD_REQUEST),
    (Unavailable, HTTPStatus.BAD_GATEWAY),
)


def refusal(error: IpfsError) -> Answer:
    """Return the answer to a request that failed."""
    found = (status for kind, status in STATUSES if isinstance(error, kind))
    return failure(next(found, HTTPStatus.INTERNAL_SERVER_ERROR), str(error))


def failure(status: HTTPStatus, message: str) -> Answer:
    """Return an error as plain text."""
    headers = {"content-type": "text/plain; charset=utf-8", "x-content-type-options": "nosniff"}
    text = message.encode("utf-8", "backslashreplace") + b"\n"
    return Answer(status, headers, text)


def redirect(status: HTTPStatus, location: str) -> Answer:
    """Return a redirection."""
    return Answer(status, {"location": location, "content-type": "text/html; charset=utf-8"})


def with_slash(request: Request) -> Answer:
    """Return the redirection of a path to itself with a slash at its end."""
    query = f"?{request.raw_query}" if request.raw_query else ""
    location = quoted(request.path, "/$&+,:;=@") + "/" + query
    return redirect(HTTPStatus.MOVED_PERMANENTLY, location)


def not_modified(headers: dict[str, str]) -> Answer:
    """Return the answer to a client that already has the content."""
    kept = {k: v for k, v in headers.items() if k in {"etag", "cache-control"}}
    return Answer(HTTPStatus.NOT_MODIFIED, kept)


def etag_matches(header: str, etag: str) -> bool:
    """Say whether If-None-Match names an etag; weak and strong ones compare equal."""
    wanted = etag.removeprefix("W/")
    options = (option.strip() for option in header.split(","))
    return any(option == "*" or option.removeprefix("W/") == wanted for option in options)


def disposition(kind: str, filename: str) -> str:
    """Return a Content-Disposition with the name in ASCII and in UTF-8."""
    plain = "".join(letter if letter.isascii() else "_" for letter in filename)
    ascii_name, utf8_name = quoted(plain, GO_SAFE), quoted(filename, GO_SAFE)
    return f"{kind}; filename=\"{ascii_name}\"; filename*=UTF-8''{utf8_name}"
