"""Answers with distribution files and their metadata, whole or by range.

A complete file goes out by the server's zero-copy extension where it has one. A file that is
still arriving is passed on as it comes, one chunk behind: the last chunk leaves only when the
source has found the hash right, so a wrong file is never delivered as a complete response.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, BinaryIO

from dpip.simple.asgi import ZEROCOPY, BadRequest, header, send_whole
from dpip.simple.conditions import (
    Span,
    Unsatisfiable,
    not_modified,
    range_holds,
    requested_span,
)
from dpip.simple.model import is_valid_filename
from dpip.simple.render import is_file_key
from dpip.simple.repository import FileNotFound, WholeFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dpip.simple.asgi import Headers, Scope, Send
    from dpip.simple.repository import ArrivingFile, FileSource

METADATA_SUFFIX = ".metadata"
BINARY = (b"content-type", b"application/octet-stream")
METADATA = (b"content-type", b"text/plain; charset=utf-8")
RANGES = (b"accept-ranges", b"bytes")
FOREVER = (b"cache-control", b"public, max-age=365000000, immutable")
BRIEFLY = (b"cache-control", b"max-age=600")
READ_SIZE = 2**18


class FileResponses:
    """Answers `/files/<key>/<filename>` and `/files/<key>/<filename>.metadata`."""

    def __init__(self, files: FileSource) -> None:
        self._files = files

    async def answer(self, scope: Scope, send: Send, key: str, filename: str) -> None:
        """Answer one request. Raises FileNotFound, BadRequest and what the source raises."""
        if not is_valid_filename(filename):
            raise BadRequest("a file's name is one path component", path=filename)
        if not is_file_key(key):
            raise FileNotFound(f"{key[:80]!r} is not the key of a file")
        if filename.endswith(METADATA_SUFFIX):
            await self._metadata(scope, send, key, filename.removesuffix(METADATA_SUFFIX))
            return
        found = self._files.whole(key, filename) or await self._files.open(key, filename)
        if isinstance(found, WholeFile):
            await _send_whole_file(scope, send, found, key)
        else:
            await _send_arriving(scope, send, found, key)

    async def _metadata(self, scope: Scope, send: Send, key: str, filename: str) -> None:
        body = await self._files.metadata(key, filename)
        etag = f'"{key}.metadata"'
        headers: Headers = [(b"etag", etag.encode()), _cache_control(key)]
        if not_modified(header(scope, b"if-none-match"), etag):
            await send_whole(send, 304, headers)
            return
        headers += (METADATA, (b"content-length", b"%d" % len(body)))
        await send_whole(send, 200, headers, body)


def _cache_control(key: str) -> tuple[bytes, bytes]:
    # What a URL-made key stands for may change; a hash stands for one content.
    return BRIEFLY if key.startswith("url-") else FOREVER


async def _send_whole_file(scope: Scope, send: Send, found: WholeFile, key: str) -> None:
    try:
        file = found.path.open("rb", buffering=0)
    except OSError as error:
        raise FileNotFound(f"the stored file cannot be opened: {error.strerror}") from None
    with file:
        answer = await _begin(scope, send, found.sha256, found.size, key)
        if answer is not None:
            await _send_span(scope, send, file, answer)


async def _begin(scope: Scope, send: Send, sha256: str, size: int, key: str) -> Span | None:
    """Send the head of a response; return the bytes to send, None if there are none."""
    etag = f'"{sha256}"'
    headers: Headers = [(b"etag", etag.encode()), _cache_control(key), RANGES]
    if not_modified(header(scope, b"if-none-match"), etag):
        await send_whole(send, 304, headers)
        return None
    try:
        span = _span(scope, etag, size)
    except Unsatisfiable:
        headers += ((b"content-range", b"bytes */%d" % size), (b"content-length", b"0"))
        await send_whole(send, 416, headers)
        return None
    status, sent = 200, Span(0, size)
    if span is not None:
        status, sent = 206, span
        value = b"bytes %d-%d/%d" % (span.start, span.end - 1, size)
        headers.append((b"content-range", value))
    headers += (BINARY, (b"content-length", b"%d" % sent.length))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    if scope["method"] == "HEAD" or sent.length == 0:
        await send({"type": "http.response.body"})
        return None
    return sent


def _span(scope: Scope, etag: str, size: int) -> Span | None:
    wanted = header(scope, b"range")
    if wanted is None or not range_holds(header(scope, b"if-range"), etag):
        return None
    return requested_span(wanted, size)


async def _send_span(scope: Scope, send: Send, file: BinaryIO, span: Span) -> None:
    if ZEROCOPY in scope.get("extensions", ()):
        await send({"type": ZEROCOPY, "file": file, "offset": span.start, "count": span.length})
        return
    loop = asyncio.get_running_loop()
    offset = span.start
    while offset < span.end:
        length = min(READ_SIZE, span.end - offset)
        data = await loop.run_in_executor(None, os.pread, file.fileno(), length, offset)
        if not data:
            raise FileNotFound("the stored file became shorter while it was sent")
        offset += len(data)
        await send({"type": "http.response.body", "body": data, "more_body": offset < span.end})


async def _send_arriving(scope: Scope, send: Send, found: ArrivingFile, key: str) -> None:
    if found.size is not None:
        span = await _begin(scope, send, found.sha256, found.size, key)
        if span is None:
            return
    else:
        # Without a size there is no range and no length: the body is chunked.
        headers: Headers = [_cache_control(key), BINARY]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        span = Span(0, 2**63)
    async with contextlib.aclosing(_cut(found.chunks, span)) as chunks:
        held = b""
        async for chunk in chunks:
            if held:
                await send({"type": "http.response.body", "body": held, "more_body": True})
            held = chunk
        await send({"type": "http.response.body", "body": held})


async def _cut(chunks: AsyncIterator[bytes], span: Span) -> AsyncGenerator[bytes, None]:
    """Yield what of the chunks lies in the span, and read on to the end that proves them."""
    position = 0
    try:
        async for chunk in chunks:
            start, end = max(span.start - position, 0), span.end - position
            position += len(chunk)
            if end > 0 and start < len(chunk):
                yield chunk[start:end]
    finally:
        # A client that went away must not hold its place at the source.
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
