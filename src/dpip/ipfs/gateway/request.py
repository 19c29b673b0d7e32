"""A gateway request, taken apart."""

from __future__ import annotations

import urllib.parse
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InvalidPath

if TYPE_CHECKING:
    from collections.abc import Iterable

GO_SAFE = "$&+=:@"
"""What stays as it is when a path segment is percent-encoded, beyond letters and digits."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks for. `path` is decoded, `raw_path` as it was sent."""

    method: str
    path: str
    raw_path: str
    raw_query: str
    query: dict[str, str]
    headers: dict[str, str]

    @classmethod
    def parse(
        cls, method: str, raw_path: bytes, query: bytes, headers: Iterable[tuple[bytes, bytes]]
    ) -> Request:
        """Take apart what a server hands over; header names are lower-case."""
        text, raw_query = raw_path.decode("latin-1"), query.decode("latin-1")
        pairs = urllib.parse.parse_qsl(raw_query, keep_blank_values=True)
        merged: dict[str, str] = {}
        for raw_name, raw_value in headers:
            name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
            merged[name] = f"{merged[name]}, {value}" if name in merged else value
        path = urllib.parse.unquote(text, errors="surrogateescape")
        return cls(method, path, text, raw_query, dict(reversed(pairs)), merged)

    def header(self, name: str) -> str:
        """Return a header, several of one name joined by commas, or nothing."""
        return self.headers.get(name, "")


@dataclass(frozen=True, slots=True)
class ContentPath:
    """`/ipfs/<root>/<segments…>` or `/ipns/…`, decoded."""

    namespace: str
    root: str
    segments: tuple[str, ...]

    @classmethod
    def parse(cls, path: str) -> ContentPath:
        """Take a path apart; `.` and `..` are followed. Raises InvalidPath."""
        parts = path.split("/")
        if len(parts) < 3 or parts[0] or parts[1] not in {"ipfs", "ipns"} or not parts[2]:
            raise InvalidPath(f"{path!r} is not /ipfs/<cid> or /ipns/<name>")
        segments: list[str] = []
        for part in parts[3:]:
            if part == ".." and not segments:
                raise InvalidPath(f"{path!r} leads out of its root")
            if part == "..":
                segments.pop()
            elif part not in {"", "."}:
                segments.append(part)
        return cls(parts[1], parts[2], tuple(segments))

    @property
    def mutable(self) -> bool:
        """Whether what it means can change."""
        return self.namespace == "ipns"

    @property
    def filename(self) -> str:
        """The last segment, or nothing at the root."""
        return self.segments[-1] if self.segments else ""

    def __str__(self) -> str:
        return "/".join(("", self.namespace, self.root, *self.segments))


def quoted(path: str, safe: str = "/" + GO_SAFE) -> str:
    """Return a path percent-encoded for a URL or header."""
    return urllib.parse.quote(path, safe=safe, errors="surrogateescape")
