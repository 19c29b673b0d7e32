"""Answers with index pages: stored bytes under `/simple/<name>/`, the root list streamed."""

from __future__ import annotations

import contextlib
import re
import zlib
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

from dpip.simple import root
from dpip.simple.asgi import BadRequest, send_whole
from dpip.simple.conditions import not_modified
from dpip.simple.model import is_valid_name
from dpip.simple.names import normalize
from dpip.simple.negotiation import Form, accepts_gzip, choose_form
from dpip.simple.repository import ProjectNotFound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from dpip.simple.asgi import Scope, Send
    from dpip.simple.repository import PageSource, StoredPage

VARY = (b"vary", b"Accept, Accept-Encoding")
NO_SNIFF = (b"x-content-type-options", b"nosniff")
GZIP = (b"content-encoding", b"gzip")
STALE = ((b"warning", b'110 - "Response is Stale"'), (b"x-dpip-stale", b"1"))
_CONTENT_TYPE = {form: (b"content-type", form.value.encode()) for form in Form}
_SUFFIX = {Form.TEXT_HTML: "html", Form.HTML: "html1", Form.JSON: "json1"}
_GZIP_WINDOW = 31
_CONTROL = re.compile(rb"[\x00-\x20\x7f]")


class PageResponses:
    """Answers requests for pages. `max_age` is seconds that clients may keep one."""

    def __init__(self, pages: PageSource, *, max_age: int) -> None:
        self._pages = pages
        self._fresh = (b"cache-control", b"max-age=%d" % max_age)
        self._stale = (b"cache-control", b"no-cache")

    async def project(self, scope: Scope, send: Send, component: str) -> None:
        """Answer `/simple/<component>` where the component may lack its slash or case."""
        name = component.removesuffix("/")
        if name == component or name != normalize(name):
            await _redirect(scope, send, name, slash=component != name)
            return
        page = self._pages.cached(name)
        if page is None:
            if not is_valid_name(name):
                raise _unknown(name)
            page = await self._pages.page(name)
        await self._send_page(scope, send, page, name)

    async def _send_page(self, scope: Scope, send: Send, page: StoredPage, name: str) -> None:
        def valid() -> bool:
            return self._pages.cached(name) is page

        form, gzipped, known = _wishes(scope)
        suffix = f"-{_SUFFIX[form]}-gz" if gzipped else f"-{_SUFFIX[form]}"
        etag = f'{page.etag[:-1]}{suffix}"'
        headers = [
            (b"etag", etag.encode()),
            self._stale if page.stale else self._fresh,
            VARY,
        ]
        if page.last_serial is not None:
            headers.append((b"x-pypi-last-serial", b"%d" % page.last_serial))
        if page.stale:
            headers.extend(STALE)
        if known is not None and not_modified(known, etag):
            await send_whole(send, 304, headers, reusable=valid)
            return
        body = _body(page, form, gzipped)
        if gzipped:
            headers.append(GZIP)
        headers += (_CONTENT_TYPE[form], (b"content-length", b"%d" % len(body)), NO_SNIFF)
        await send_whole(send, 200, headers, body, reusable=valid)

    async def root(self, scope: Scope, send: Send) -> None:
        """Answer `/simple/`: the list of all projects, streamed in constant memory."""
        form, gzipped, _ = _wishes(scope)
        headers = [_CONTENT_TYPE[form], self._fresh, VARY, NO_SNIFF, *([GZIP] if gzipped else [])]
        encode = root.encode_json if form.is_json else root.encode_html
        async with contextlib.aclosing(encode(self._pages.projects())) as pieces:
            # An error before the first piece is still an error response.
            first = await anext(pieces)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            if scope["method"] == "HEAD":
                await send({"type": "http.response.body"})
                return
            await _send_pieces(send, first, pieces, gzipped=gzipped)


async def _send_pieces(
    send: Send, first: bytes, rest: AsyncIterator[bytes], *, gzipped: bool
) -> None:
    compressor = zlib.compressobj(5, zlib.DEFLATED, _GZIP_WINDOW) if gzipped else None

    async def out(piece: bytes) -> None:
        data = compressor.compress(piece) if compressor else piece
        if data:
            await send({"type": "http.response.body", "body": data, "more_body": True})

    await out(first)
    async for piece in rest:
        await out(piece)
    await send({"type": "http.response.body", "body": compressor.flush() if compressor else b""})


def _wishes(scope: Scope) -> tuple[Form, bool, str | None]:
    """Return the form, whether gzipped, and the If-None-Match header of a request."""
    accept = encoding = known = None
    for key, value in scope["headers"]:
        if key == b"accept":
            accept = value if accept is None else accept + b"," + value
        elif key == b"accept-encoding":
            encoding = value
        elif key == b"if-none-match":
            known = value if known is None else known + b"," + value
    form = choose_form(None if accept is None else accept.decode("latin-1"), _override(scope))
    gzipped = encoding is not None and accepts_gzip(encoding.decode("latin-1"))
    return form, gzipped, None if known is None else known.decode("latin-1")


def _override(scope: Scope) -> str | None:
    query: bytes = scope["query_string"]
    if not query:
        return None
    # The "+" of a media type is no space here, though a form would send it as one.
    values = parse_qs(query.replace(b"+", b"%2B").decode("latin-1")).get("format")
    return values[-1] if values else None


def _body(page: StoredPage, form: Form, gzipped: bool) -> bytes:
    if form.is_json:
        return page.json_gzip if gzipped else page.json
    return page.html_gzip if gzipped else page.html


async def _redirect(scope: Scope, send: Send, name: str, *, slash: bool) -> None:
    """Send the client to the normalized name; the target is relative, so it stays here."""
    if not is_valid_name(name):
        raise _unknown(name)
    query: bytes = scope["query_string"]
    location = ("../" if slash else "") + f"{normalize(name)}/"
    # A line break cannot come through an HTTP parser; it is not passed on if it does.
    keep = query and not _CONTROL.search(query)
    target = location.encode() + (b"?" + query if keep else b"")
    await send_whole(
        send,
        301,
        [
            (b"location", target),
            (b"content-length", b"0"),
            (b"cache-control", b"max-age=86400"),
        ],
    )


def _unknown(name: str) -> ProjectNotFound | BadRequest:
    if "/" in name or "\\" in name or "\0" in name or name in {"..", "."}:
        return BadRequest("a project's name is one path component", path=name)
    return ProjectNotFound(f"{name[:100]!r} is not the name of a project", project=name)
