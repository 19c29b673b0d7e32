"""The Simple API as an ASGI application: `/simple/…` and `/files/…`.

Two kinds of requests make nearly all the load, pages that are in memory and files that are
on disk, and both go from the path to stored bytes without a router. Everything else is an
error or a redirect, and every error is a `DpipError` that becomes a small typed body.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dpip.errors import DpipError
from dpip.simple.asgi import BadRequest, MethodNotAllowed, send_error, send_whole
from dpip.simple.file_responses import FileResponses
from dpip.simple.page_responses import PageResponses
from dpip.simple.repository import FileNotFound

if TYPE_CHECKING:
    from dpip.simple.asgi import Message, Receive, Scope, Send
    from dpip.simple.repository import FileSource, PageSource

log = logging.getLogger(__name__)

PAGES = "/simple/"
FILES = "/files/"
PAGE_MAX_AGE = 10
"""Seconds: long enough for one install, too short to hide a new release."""


class SimpleApplication:
    """Answers the index protocol from a PageSource and a FileSource."""

    def __init__(
        self, *, pages: PageSource, files: FileSource, page_max_age: int = PAGE_MAX_AGE
    ) -> None:
        self._pages = PageResponses(pages, max_age=page_max_age)
        self._files = FileResponses(files)

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        """Answer one request. An error after the head of a response breaks it off."""
        if scope["type"] != "http":
            return
        started = False

        async def noting_start(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self._answer(scope, noting_start)
        except DpipError as error:
            if started:
                log.warning("broke off %s: %s", scope["path"], error.message)
                raise
            await send_error(send, error)

    async def _answer(self, scope: Scope, send: Send) -> None:
        path: str = scope["path"]
        if scope["method"] not in {"GET", "HEAD"}:
            raise MethodNotAllowed(f"{scope['method'][:20]} is not possible here")
        if path.startswith(PAGES):
            if len(path) > len(PAGES):
                await self._pages.project(scope, send, path[len(PAGES) :])
            else:
                await self._pages.root(scope, send)
        elif path.startswith(FILES):
            await self._file(scope, send, path[len(FILES) :])
        elif path == "/simple":
            await send_whole(send, 301, [(b"location", b"simple/"), (b"content-length", b"0")])
        else:
            raise FileNotFound(f"there is nothing at {path[:200]!r}")

    async def _file(self, scope: Scope, send: Send, rest: str) -> None:
        key, slash, filename = rest.partition("/")
        if not slash or not filename:
            raise FileNotFound("files are at /files/<key>/<filename>")
        if "/" in filename:
            raise BadRequest("a file's name is one path component", path=rest)
        await self._files.answer(scope, send, key, filename)
