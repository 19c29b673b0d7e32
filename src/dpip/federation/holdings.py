"""What this node holds, for neighbours: files that cost no question to anybody else.

A request with `Cache-Control: only-if-cached` (RFC 9111, 5.2.1.7) is answered from what is
stored, or with 504. HEAD says in `dpip-recipe` which recipe makes the file, so that whoever
asks may fetch only the blocks that it lacks, and in `dpip-root` the CID that the file is
published under.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from dpip.simple.asgi import header, send_whole

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dpip.ipfs.disk.archives import Archives
    from dpip.simple.asgi import Headers, Receive, Scope, Send
    from dpip.simple.repository import FileSource

ONLY_STORED = "only-if-cached"
RECIPE = "dpip-recipe"
ROOT = "dpip-root"
SIDECAR = ".metadata"


class Holdings:
    """Around the application that serves `/files/<sha256>/<filename>`.

    `files` has what is stored whole, `archives` what can be made again from blocks, `metadata`
    the metadata files of wheels that are known.
    """

    def __init__(
        self,
        serve: Callable[[Scope, Receive, Send], Awaitable[None]],
        *,
        files: FileSource,
        archives: Archives,
        metadata: Callable[[str], bytes | None],
    ) -> None:
        self._serve = serve
        self._files = files
        self._archives = archives
        self._metadata = metadata

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if ONLY_STORED not in (header(scope, b"cache-control") or ""):
            await self._serve(scope, receive, send)
            return
        _, _, key, filename = (*scope["path"].split("/", 3), "", "", "")[:4]
        if filename.endswith(SIDECAR):
            held = await asyncio.to_thread(self._has_metadata, key, filename)
        else:
            held = await asyncio.to_thread(self._holds, key, filename)
        if not held:
            await send_whole(send, 504, [(b"content-length", b"0")])
        elif scope["method"] == "HEAD":
            await self._describe(send, key)
        else:
            await self._serve(scope, receive, send)

    def _has_metadata(self, key: str, filename: str) -> bool:
        """Say whether a metadata file costs no question: it is known, or the wheel is whole."""
        whole = self._files.whole(key, filename.removesuffix(SIDECAR))
        return whole is not None or self._metadata(key) is not None

    def _holds(self, key: str, filename: str) -> bool:
        return self._files.whole(key, filename) is not None or self._archives.find(key) is not None

    async def _describe(self, send: Send, key: str) -> None:
        headers: Headers = [(b"content-length", b"0")]
        archive = await asyncio.to_thread(self._archives.find, key)
        if archive is not None:
            headers.append((ROOT.encode(), str(archive.root).encode()))
            if archive.recipe is not None:
                headers.append((RECIPE.encode(), str(archive.recipe).encode()))
        await send_whole(send, 200, headers)
