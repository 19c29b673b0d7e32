"""An upstream index over HTTP: pages with their validators, the root list, files by range.

Asks for JSON and takes HTML (PEP 691). What a caller must know of an answer comes back as
values: a page's validators for the next conditional request, the size and validators of a
file for resuming it.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from dpip.simple import html_codec, json_codec
from dpip.simple.negotiation import PREFIX
from dpip.simple.repository import (
    FileNotFound,
    ProjectNotFound,
    UpstreamInvalid,
    UpstreamUnavailable,
)
from dpip.simple.root import HtmlListReader, JsonListReader, ListReader
from dpip.simple.transport import Transport, body, without_credentials

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import aiohttp

    from dpip.simple.changelog import Changelog
    from dpip.simple.model import Project, ProjectEntry

ACCEPT = f"{PREFIX}v1+json, {PREFIX}v1+html;q=0.2, text/html;q=0.1"
MEBIBYTE = 2**20

_CONTENT_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")


@dataclass(frozen=True, slots=True)
class Validators:
    """What a server gave to recognize a version of a resource by, as sent."""

    etag: str | None = None
    last_modified: str | None = None


@dataclass(frozen=True, slots=True)
class Fetched:
    """An answer to a conditional request; `project` is None where nothing has changed.

    `left_out` names files that a filter took off the page, each with the reason.
    """

    project: Project | None
    validators: Validators
    left_out: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FileStream:
    """An open transfer: the bytes from `offset` on.

    `offset` is 0 where the server does not do ranges, or where the file has changed since the
    `validators` that the request named. `size` is that of the whole file, None if unknown.
    """

    chunks: AsyncIterator[bytes]
    offset: int
    size: int | None
    validators: Validators


@dataclass(frozen=True, slots=True)
class Range:
    """Some bytes of a file; `size` is that of the whole file, None if unknown."""

    data: bytes
    offset: int
    size: int | None


class Upstream:
    """The pages of one index URL; also fetches the files that its pages name.

    `index_url` may hold credentials. Sizes are bytes; `max_page_size` counts after
    decompression.
    """

    def __init__(
        self,
        index_url: str,
        *,
        timeout: float = 30.0,
        max_page_size: int = 256 * MEBIBYTE,
        transport: Transport | None = None,
    ) -> None:
        self._root = index_url.rstrip("/") + "/"
        self._max_page_size = max_page_size
        self._transport = transport or Transport(index_url, timeout=timeout)

    async def prepare(self) -> None:
        """Do now what the first request would have to wait for."""
        await self._transport.prepare()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._transport.aclose()

    async def project(self, name: str) -> Project:
        """Return one project page. Raises as `fetch` does."""
        project = (await self.fetch(name)).project
        if project is None:
            raise UpstreamInvalid(f"{self._shown(name)} answers 304 to an unconditional request")
        return project

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        """Return one project page unless it is still the one that `known` belongs to.

        `name` is normalized. Raises ProjectNotFound, UpstreamUnavailable, UpstreamInvalid.
        """
        url = f"{self._root}{name}/"
        headers = {"Accept": ACCEPT, **_conditions(known)}
        async with self._transport.get(url, headers) as response:
            if response.status == 304 and known is not None:
                return Fetched(None, _merge(known, _validators(response)))
            if response.status in {404, 410}:
                raise ProjectNotFound(f"the index has no project {name!r}", project=name)
            _check_status(response, url)
            raw = await self._read(response, url)
            return Fetched(_decode(response, raw, name), _validators(response))

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the root list in the upstream's order, in constant memory."""
        async with self._transport.get(self._root, {"Accept": ACCEPT}) as response:
            _check_status(response, self._root)
            reader: ListReader = JsonListReader() if _is_json(response) else HtmlListReader()
            async for data in body(response, self._root):
                for entry in reader.feed(data):
                    yield entry
            for entry in reader.finish():
                yield entry

    def changelog(self) -> Changelog | None:
        """Return the changelog that the index would have; asking it tells whether it has one."""
        from dpip.simple.changelog import Changelog, changelog_url

        url = changelog_url(self._root)
        return Changelog(url, self._transport) if url else None

    @contextlib.asynccontextmanager
    async def open_file(
        self, url: str, *, offset: int = 0, known: Validators | None = None
    ) -> AsyncIterator[FileStream]:
        """Open a file from `offset` on, or from its start where that cannot be had.

        A resumed transfer names the validators of its first part in `known`, so that parts
        of two files never meet. Raises FileNotFound, UpstreamUnavailable, UpstreamInvalid;
        a transfer that breaks off raises UpstreamUnavailable from `chunks`.
        """
        headers = {"Accept-Encoding": "identity"}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            headers.update(_if_range(known))
        async with self._transport.get(url, headers, encoded=True) as response:
            start, size = _position(response, url)
            if start not in {0, offset}:
                raise UpstreamInvalid(f"{without_credentials(url)} sends another range than asked")
            yield FileStream(body(response, url), start, size, _validators(response))

    async def read(self, url: str, limit: int) -> bytes:
        """Return a small resource whole. Raises UpstreamInvalid beyond `limit` bytes."""
        async with self.open_file(url) as stream:
            return await _gather(stream.chunks, limit, url)

    async def read_tail(self, url: str, length: int) -> Range:
        """Return the last `length` bytes of a file by one suffix range, without a HEAD.

        Raises UpstreamInvalid where the server does not do suffix ranges: the whole file
        is then never read by accident.
        """
        return await self._read_range(url, f"bytes=-{length}", length)

    async def read_range(self, url: str, offset: int, length: int) -> Range:
        """Return `length` bytes (fewer at the end of the file) from `offset` on."""
        last = offset + length - 1
        return await self._read_range(url, f"bytes={offset}-{last}", length)

    async def _read_range(self, url: str, wanted: str, length: int) -> Range:
        headers = {"Accept-Encoding": "identity", "Range": wanted}
        async with self._transport.get(url, headers, encoded=True) as response:
            start, size = _position(response, url)
            if response.status != 206 and (size is None or size > length):
                raise UpstreamInvalid(f"{without_credentials(url)} does not answer ranges")
            data = await _gather(body(response, url), length, url)
            return Range(data, start, size)

    async def _read(self, response: aiohttp.ClientResponse, url: str) -> bytes:
        return await _gather(body(response, url), self._max_page_size, url)

    def _shown(self, name: str) -> str:
        return f"{without_credentials(self._root)}{name}/"


def metadata_url(url: str) -> str:
    """Return where the metadata file of a distribution is (PEP 658)."""
    location, mark, query = url.partition("#")[0].partition("?")
    return f"{location}.metadata{mark}{query}"


async def _gather(chunks: AsyncIterator[bytes], limit: int, url: str) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise UpstreamInvalid(f"{without_credentials(url)} is larger than {limit} bytes")
        parts.append(chunk)
    return b"".join(parts)


def _decode(response: aiohttp.ClientResponse, raw: bytes, name: str) -> Project:
    base = str(response.url)
    if _is_json(response):
        project = json_codec.decode_project(raw, base_url=base)
    else:
        project = html_codec.decode_project(raw, name=name, base_url=base)
    serial = response.headers.get("X-PyPI-Last-Serial", "")
    if project.last_serial is None and serial.isascii() and serial.isdigit():
        return replace(project, last_serial=int(serial[:18]))
    return project


def _is_json(response: aiohttp.ClientResponse) -> bool:
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind in {f"{PREFIX}v1+json", "application/json"}:
        return True
    if kind in {f"{PREFIX}v1+html", "text/html", "application/xhtml+xml"}:
        return False
    raise UpstreamInvalid(f"{response.url.with_user(None)} sends {kind!r}, which is no index page")


def _check_status(response: aiohttp.ClientResponse, url: str) -> None:
    shown, status = without_credentials(url), response.status
    if status == 200:
        return
    if status in {401, 403, 407}:
        raise UpstreamUnavailable(
            f"{shown} refuses to answer ({status})",
            hint="put credentials into the index URL or into .netrc",
        )
    raise UpstreamUnavailable(f"{shown} answers {status} {response.reason or ''}".rstrip())


def _position(response: aiohttp.ClientResponse, url: str) -> tuple[int, int | None]:
    """Return the first byte's offset and the whole file's size of a file's answer."""
    if response.status in {404, 410}:
        raise FileNotFound(f"{without_credentials(url)} is gone from the index")
    if response.status == 206:
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", "").strip())
        if match is None:
            raise UpstreamInvalid(f"{without_credentials(url)} sends a range without saying which")
        start, _, size = match.groups()
        return int(start), None if size == "*" else int(size)
    _check_status(response, url)
    return 0, response.content_length


def _conditions(known: Validators | None) -> dict[str, str]:
    headers: dict[str, str] = {}
    if known is not None and known.etag:
        headers["If-None-Match"] = known.etag
    if known is not None and known.last_modified:
        headers["If-Modified-Since"] = known.last_modified
    return headers


def _if_range(known: Validators | None) -> dict[str, str]:
    # Only a strong validator may join parts (RFC 9110 section 13.1.5).
    if known is None:
        return {}
    if known.etag and not known.etag.startswith("W/"):
        return {"If-Range": known.etag}
    return {"If-Range": known.last_modified} if known.last_modified else {}


def _validators(response: aiohttp.ClientResponse) -> Validators:
    return Validators(response.headers.get("ETag"), response.headers.get("Last-Modified"))


def _merge(known: Validators, new: Validators) -> Validators:
    return Validators(new.etag or known.etag, new.last_modified or known.last_modified)
