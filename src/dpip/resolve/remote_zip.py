"""Read a zip archive where it lies: a seekable file over HTTP ranges.

    with RemoteZip("https://host/some-1.0-py3-none-any.whl") as archive:
        text = archive.read("some-1.0.dist-info/METADATA")

A zip is read from its end: end record, central directory, then a member. One request for the
last 32 KiB (a suffix range, no HEAD) holds all three in nine wheels of ten; what is missing
is then asked for exactly, one request each. Not every server plays along, so there are three
ways to ask, each a step down from the one before:

    SUFFIX    bytes=-32768     the answer's Content-Range gives the size
    ABSOLUTE  bytes=a-b        the size comes from the caller or from a one-byte range
    WHOLE     no range         the body is kept in a file, as the download that it is

A step down happens on any sign that an answer is not the range asked for: 200 in spite of
Range, 501 or 4xx, another range than asked, a Content-Encoding (which shifts offsets). Which
way a host understood is told to `memory`, so that the next file starts there. RFC 9110,
section 14, is the standard; APPNOTE.TXT of PKWARE the other one, left to `zipfile`.
"""

from __future__ import annotations

import enum
import io
import re
import tempfile
import zipfile
from typing import IO, TYPE_CHECKING, Any, Protocol

from dpip.resolve.connections import open_transport
from dpip.resolve.errors import BadAnswer, HttpFailure
from dpip.resolve.transport import Request, origin, without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dpip.resolve.transport import Response, Transport

TAIL = 32 * 1024
"""Bytes of the first request: the knee between round trips and bytes for real wheels."""
HOPE = 16 * 1024
"""Bytes more to ask for before a directory that did not fit: METADATA is often just there."""
READ_AHEAD = 8 * 1024
"""Least bytes of a later request where the reader did not say what it will read."""
SMALL = 256 * 1024
"""A whole file up to this size is read on when it comes instead of a range."""

_CONTENT_RANGE = re.compile(r"bytes\s+(\d+)-(\d+)/(\d+|\*)", re.IGNORECASE)


class Way(enum.IntEnum):
    """How a host is asked for a part of a file, best first."""

    SUFFIX = 0
    ABSOLUTE = 1
    WHOLE = 2


class RangeMemory(Protocol):
    """What is known of hosts; `host` is `name:port`."""

    def way(self, host: str) -> Way:
        """Return the way to start with."""
        ...

    def learned(self, host: str, way: Way) -> None:
        """Note that nothing above `way` works."""
        ...


class Forgetful:
    """A memory for one run."""

    def __init__(self) -> None:
        self._ways: dict[str, Way] = {}

    def way(self, host: str) -> Way:
        """Return what this run saw, else the best way."""
        return self._ways.get(host, Way.SUFFIX)

    def learned(self, host: str, way: Way) -> None:
        """Remember until the end of the run."""
        self._ways[host] = max(way, self.way(host))


class RemoteFile(io.BufferedIOBase):
    """A read-only, seekable file behind a URL; usable with `zipfile.ZipFile` as it is.

    `size` in bytes saves a request where suffix ranges do not work. `spool` opens the file
    that a whole body is kept in (default: a temporary one). Raises HttpFailure for a status
    that no way of asking gets around, BadAnswer for an answer that contradicts itself, and
    Unreachable as the transport does.
    """

    def __init__(
        self,
        url: str,
        transport: Transport | None = None,
        *,
        size: int | None = None,
        memory: RangeMemory | None = None,
        spool: Callable[[], IO[bytes]] = tempfile.TemporaryFile,
    ) -> None:
        super().__init__()
        self.url = url
        self._transport = transport or open_transport()
        self._owned = None if transport else self._transport
        self._memory = memory or Forgetful()
        self._spool = spool
        self._host = ":".join(map(str, origin(url)[1:]))
        self._size = size
        self._validator: str | None = None
        self._position = 0
        self._start = 0
        self._held = b""
        self._parts: dict[int, bytes] = {}
        self._whole: IO[bytes] | None = None
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        assert self._size is not None
        return self._size

    @property
    def is_whole(self) -> bool:
        """Whether the server gave the whole file, which `spool` now holds."""
        return self._whole is not None

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position in bytes from the start."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Move without asking the server anything."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, amount: int | None = -1, /) -> bytes:
        """Return up to `amount` bytes from the position on."""
        rest = max(0, self.size - self._position)
        wanted = rest if amount is None or amount < 0 else min(amount, rest)
        data = self._bytes(self._position, self._position + wanted) if wanted else b""
        self._position += len(data)
        return data

    def read1(self, amount: int = -1, /) -> bytes:
        """Return up to `amount` bytes, as `read` does."""
        return self.read(amount)

    def prefetch(self, start: int, stop: int) -> None:
        """Hold bytes [start, stop) with one exact request, if they are not held yet."""
        stop = min(stop, self.size)
        if start < stop and self._whole is None and self._find(start, stop) is None:
            self._fetch(start, stop)

    def close(self) -> None:
        """Let go of what is held."""
        if self._whole is not None:
            self._whole.close()
        if self._owned is not None:
            self._owned.close()
        self._parts.clear()
        super().close()

    # -- which bytes are held

    def _bytes(self, start: int, stop: int) -> bytes:
        if self._whole is not None:
            self._whole.seek(start)
            return self._whole.read(stop - start)
        held = self._find(start, stop)
        if held is None:
            self._fetch(start, max(stop, min(start + READ_AHEAD, self.size)))
            return self._bytes(start, stop)
        return held

    def _find(self, start: int, stop: int) -> bytes | None:
        for at, part in self._parts.items():
            if at <= start and stop <= at + len(part):
                return part[start - at : stop - at]
        return None

    def _hold(self, start: int, data: bytes) -> None:
        """Keep a part, joined with the one that begins where it ends."""
        after = self._parts.pop(start + len(data), None)
        self._parts[start] = data if after is None else data + after

    def _fetch(self, start: int, stop: int) -> None:
        """Ask for what is missing of [start, stop): only the gap before a held part."""
        for at, part in self._parts.items():
            if start < at < stop <= at + len(part):
                stop = at
                if at + len(part) == self.size:
                    start = max(0, start - HOPE)
        self._ask_absolute(start, stop)

    # -- how a server is asked

    def _open(self) -> None:
        way = self._memory.way(self._host)
        if way is Way.SUFFIX and self._ask_suffix():
            return
        if self._whole is None and way is not Way.WHOLE:
            self._ask_end()
        if self._whole is None and not self._parts:
            self._ask_whole()

    def _send(self, byte_range: str | None) -> Response:
        headers = {"Accept-Encoding": "identity"}
        if byte_range is not None:
            headers["Range"] = f"bytes={byte_range}"
            if self._validator is not None:
                headers["If-Range"] = self._validator
        return self._transport.send(Request(self.url, headers))

    def _ask_suffix(self) -> bool:
        """Ask for the tail; return whether bytes are held now."""
        with self._send(f"-{TAIL}") as response:
            part = _partial(response, TAIL)
            if part is None:
                self._step_down(response, Way.ABSOLUTE)
                return self._whole is not None
        first, data, total = part
        # Without a total the last byte sent is the file's last: that is what a suffix is.
        self._size = first + len(data) if total is None else total
        if len(data) != min(TAIL, self._size) or first + len(data) != self._size:
            self._memory.learned(self._host, Way.ABSOLUTE)
            return False
        self._validator = _strong(response.headers)
        self._hold(first, data)
        return True

    def _ask_end(self) -> None:
        """Hold the tail by an absolute range, asking for the size first if need be."""
        if self._size is None:
            with self._send("0-0") as response:
                part = _partial(response, 1)
                if part is None:
                    self._step_down(response, Way.WHOLE)
                else:
                    self._size = part[2]
        if self._size and self._whole is None:
            self._ask_absolute(max(0, self._size - TAIL), self._size)

    def _ask_absolute(self, start: int, stop: int) -> None:
        with self._send(f"{start}-{stop - 1}") as response:
            part = _partial(response, stop - start)
            if part is not None and part[0] == start and len(part[1]) == stop - start:
                self._hold(start, part[1])
                self._validator = self._validator or _strong(response.headers)
                return
            self._step_down(response, Way.WHOLE)
        if self._whole is None:
            self._ask_whole()

    def _step_down(self, response: Response, way: Way) -> None:
        """Note what did not work; keep a whole body that came instead, unless it is large."""
        status = response.status
        if status in {401, 403, 404, 410}:
            raise HttpFailure(without_secrets(response.url), status)
        if self._validator not in {None, _strong(response.headers)}:
            raise BadAnswer(f"{without_secrets(self.url)}: the file changed while it was read")
        if status != 416:  # which speaks of this file, not of the host
            self._memory.learned(self._host, way)
        if status != 200:
            return
        length = response.headers.get("content-length", "")
        if length.isdigit() and not _is_encoded(response.headers):
            self._size = int(length)
            claims = "bytes" in response.headers.get("accept-ranges", "").lower()
            if way is Way.ABSOLUTE and claims and self._size > SMALL:
                return
        self._memory.learned(self._host, Way.WHOLE)
        self._take_whole(response)

    def _ask_whole(self) -> None:
        with self._send(None) as response:
            if response.status != 200:
                raise HttpFailure(without_secrets(response.url), response.status)
            self._take_whole(response)

    def _take_whole(self, response: Response) -> None:
        target = self._spool()
        size = 0
        for chunk in response.chunks():
            size += target.write(chunk)
        self._size, self._whole = size, target
        self._parts.clear()


class RemoteZip(zipfile.ZipFile):
    """A `zipfile.ZipFile` behind a URL; each member is read with one exact request at most."""

    def __init__(
        self, url: str | RemoteFile, transport: Transport | None = None, **options: Any
    ) -> None:
        self._remote = url if isinstance(url, RemoteFile) else RemoteFile(url, transport, **options)
        try:
            super().__init__(self._remote)
        except BaseException:
            self._remote.close()
            raise

    def open(self, name: str | zipfile.ZipInfo, *args: Any, **kwargs: Any) -> IO[bytes]:
        """Open a member, its local header and data fetched together."""
        member = name if isinstance(name, zipfile.ZipInfo) else self.getinfo(name)
        self._remote.prefetch(member.header_offset, self._end_of(member))
        return super().open(member, *args, **kwargs)

    def close(self) -> None:
        """Close the archive and the file below it."""
        if hasattr(self, "_remote"):  # not if the file could not even be opened
            super().close()
            self._remote.close()

    def _end_of(self, member: zipfile.ZipInfo) -> int:
        """Return where the next thing begins: the data descriptor, if any, lies before it."""
        later = [i.header_offset for i in self.filelist if i.header_offset > member.header_offset]
        return min(later, default=self.start_dir)


def _partial(response: Response, limit: int) -> tuple[int, bytes, int | None] | None:
    """Return (first, data, total or None) of a 206 answer that is consistent, else None."""
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", "").strip())
    if response.status != 206 or found is None or _is_encoded(response.headers):
        return None
    first, last = int(found[1]), int(found[2])
    total = None if found[3] == "*" else int(found[3])
    if not 0 < last - first + 1 <= limit or (total is not None and last >= total):
        return None
    try:
        data = response.read(limit)
    except BadAnswer:  # more bytes than the range has
        return None
    return (first, data, total) if len(data) == last - first + 1 else None


def _is_encoded(headers: Mapping[str, str]) -> bool:
    return headers.get("content-encoding", "identity").lower() not in {"", "identity"}


def _strong(headers: Mapping[str, str]) -> str | None:
    etag = headers.get("etag", "")
    return etag if etag.startswith('"') else None
