"""Provenance of files (PEP 740), passed on.

`GET /integrity/<filename>` answers the provenance object that the page of an uploaded file points
to, `GET /integrity/<key>/<filename>` that of any other listed file, under the key that it has at
`/files/`. Nothing is verified here: an attestation is for whoever installs to check.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import unquote

import msgspec

from dpip.simple.asgi import send_error, send_whole
from dpip.simple.render import is_file_key
from dpip.simple.repository import FileNotFound

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from dpip.simple.asgi import Receive, Scope, Send

MEDIA_TYPE = b"application/vnd.pypi.integrity.v1+json"


class IntegrityApplication:
    """ASGI app for `/integrity/`. `find` returns an uploaded file's attestations as a JSON list.

    `kept` returns the provenance object of a file by its key, or raises as a FileSource does.
    """

    def __init__(
        self, find: Callable[[str], str | None], kept: Callable[[str, str], Awaitable[bytes]]
    ) -> None:
        self._find = find
        self._kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        del receive
        filename = unquote(scope["path"].removeprefix("/integrity/"))
        key, slash, name = filename.partition("/")
        if slash and is_file_key(key):
            body = await self._kept(key, name)
            await send_whole(send, 200, [(b"content-type", MEDIA_TYPE)], body)
            return
        attestations = self._find(filename)
        if attestations is None:
            await send_error(send, FileNotFound(f"there is no provenance of {filename[:200]!r}"))
            return
        bundle = {
            "publisher": {"kind": "upload"},
            "attestations": msgspec.json.decode(attestations),
        }
        body = msgspec.json.encode({"version": 1, "attestation_bundles": [bundle]})
        await send_whole(send, 200, [(b"content-type", MEDIA_TYPE)], body)
