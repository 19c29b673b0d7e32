"""The root list in pieces: three quarters of a million names never meet in memory.

A JSON list is cut where one row may end (`},`), and a piece counts only if it is valid JSON
by itself: a cut inside a string or a nested value does not parse, and waits for more bytes.
What stands before and after the rows is decoded as a document without those rows, so a list
that was broken off is found out. An HTML list is fed to the parser piece by piece; it ends
where it ends, for HTML pages without an end tag are valid.
"""

from __future__ import annotations

import codecs
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Protocol
from urllib.parse import unquote, urlsplit

import msgspec

from dpip.simple import html_codec, json_codec
from dpip.simple.model import API_VERSION, ProjectEntry, is_valid_name
from dpip.simple.repository import UpstreamInvalid

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterable, Sequence

LONGEST_PENDING = 4 * 2**20
"""Bytes that may wait for the end of their row: far more than any row has."""

PIECE = 64 * 2**10
"""Bytes gathered before a piece of an encoded list is handed on."""


class _Row(msgspec.Struct):
    name: str
    last_serial: int | str | None = msgspec.field(name="_last-serial", default=None)


class _Root(msgspec.Struct):
    projects: list[_Row]
    meta: json_codec.Meta = msgspec.field(default_factory=json_codec.Meta)


_rows = msgspec.json.Decoder(list[_Row])
_root = msgspec.json.Decoder(_Root)
_ROWS_BEGIN = re.compile(rb'"projects"\s*:\s*\[')


class ListReader(Protocol):
    """Turns the bytes of a root list into rows as they arrive."""

    def feed(self, data: bytes) -> Sequence[ProjectEntry]:
        """Return the rows that these bytes complete. Raises UpstreamInvalid."""
        ...

    def finish(self) -> Sequence[ProjectEntry]:
        """Return the last rows. Raises UpstreamInvalid if the list was broken off."""
        ...


class JsonListReader:
    """Reads the PEP 691 form."""

    def __init__(self) -> None:
        self._pending = b""
        self._begun = False

    def feed(self, data: bytes) -> Sequence[ProjectEntry]:
        """Return the rows that these bytes complete."""
        self._pending += data
        if not self._begun and not self._find_rows():
            return self._wait()
        cut = self._pending.rfind(b"},") + 1
        if cut == 0:
            return self._wait()
        try:
            rows = _rows.decode(b"[%b]" % self._pending[:cut])
        except (msgspec.MsgspecError, UnicodeDecodeError):
            return self._wait()
        self._pending = self._pending[cut + 1 :]
        return _entries(rows)

    def finish(self) -> Sequence[ProjectEntry]:
        """Return the last rows, once the whole document is known to be well formed."""
        begin = b'{"projects":[' if self._begun else b""
        try:
            root = _root.decode(begin + self._pending)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UpstreamInvalid(f"the root list is broken off or not JSON: {error}") from None
        json_codec.check_version(root.meta.api_version)
        return _entries(root.projects)

    def _find_rows(self) -> bool:
        for match in _ROWS_BEGIN.finditer(self._pending):
            try:
                head = _root.decode(self._pending[: match.end()] + b"]}")
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
            json_codec.check_version(head.meta.api_version)
            self._pending = self._pending[match.end() :]
            self._begun = True
            return True
        return False

    def _wait(self) -> Sequence[ProjectEntry]:
        if len(self._pending) > LONGEST_PENDING:
            raise UpstreamInvalid("the root list has no readable row for megabytes")
        return ()


def _entries(rows: Sequence[_Row]) -> Sequence[ProjectEntry]:
    return [
        ProjectEntry(row.name, json_codec.serial_of(row.last_serial))
        for row in rows
        if is_valid_name(row.name)
    ]


class HtmlListReader(HTMLParser):
    """Reads the PEP 503 form; the last component of an anchor's URL is the name."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._decode = codecs.getincrementaldecoder("utf-8")().decode
        self._found: list[ProjectEntry] = []

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        """Note the project that an anchor points to."""
        if tag != "a":
            return
        try:
            path = urlsplit((dict(attrs).get("href") or "").strip()).path
        except ValueError:
            return
        name = unquote(path.rstrip("/").rpartition("/")[2])
        if is_valid_name(name):
            self._found.append(ProjectEntry(name))

    # The base class returns nothing; a reader returns its rows.
    def feed(self, data: bytes) -> Sequence[ProjectEntry]:  # type: ignore[override]
        """Return the rows that these bytes complete."""
        return self._take(data, final=False)

    def finish(self) -> Sequence[ProjectEntry]:
        """Return the rows of what is left."""
        return self._take(b"", final=True)

    def _take(self, data: bytes, *, final: bool) -> Sequence[ProjectEntry]:
        try:
            super().feed(self._decode(data, final))
        except (UnicodeDecodeError, AssertionError) as error:
            raise UpstreamInvalid(f"the root list is not HTML: {error}") from None
        if len(self.rawdata) > LONGEST_PENDING:
            raise UpstreamInvalid("the root list has no readable row for megabytes")
        found, self._found = self._found, []
        return found


async def encode_json(entries: AsyncIterable[ProjectEntry]) -> AsyncGenerator[bytes, None]:
    """Yield the PEP 691 root list in pieces of about PIECE bytes."""
    pending = bytearray(b'{"meta":{"api-version":"%b"},"projects":[' % API_VERSION.encode())
    separator = b""
    async for entry in entries:
        pending += separator + json_codec.encode_entry(entry)
        separator = b","
        if len(pending) >= PIECE:
            yield bytes(pending)
            pending.clear()
    yield bytes(pending + b"]}")


async def encode_html(entries: AsyncIterable[ProjectEntry]) -> AsyncGenerator[bytes, None]:
    """Yield the PEP 503 root list in pieces of about PIECE bytes."""
    pending = bytearray(
        b'<!DOCTYPE html>\n<html>\n  <head>\n    <meta name="pypi:repository-version" '
        b'content="%b">\n    <title>Simple index</title>\n  </head>\n  <body>\n'
        % API_VERSION.encode()
    )
    async for entry in entries:
        pending += html_codec.encode_entry(entry)
        if len(pending) >= PIECE:
            yield bytes(pending)
            pending.clear()
    yield bytes(pending + b"  </body>\n</html>\n")
