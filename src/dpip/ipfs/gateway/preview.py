"""The page that shows a data block (DAG-CBOR and the like) to a browser."""

from __future__ import annotations

import html
import json
from typing import TYPE_CHECKING, Any

from ..cid import CID

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSION = "1"
"""Part of the page's etag: change it with the look of the page."""
SHOWN = 20_000
"""Values shown at most: the block itself can be downloaded."""

_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{codec} {cid}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem }}
code {{ font-family: ui-monospace, monospace; overflow-wrap: anywhere }}
dl {{ margin: 0 0 0 1rem }} dt {{ float: left; clear: left; margin-right: .7rem; opacity: .7 }}
</style>
</head>
<body>
<h1>{codec}</h1>
<p>CID: <code translate="no">{cid}</code></p>
<p>Download: <a href="?format=raw" rel="nofollow">raw block</a>,
<a href="?format=dag-json" rel="nofollow">DAG-JSON</a>,
<a href="?format=dag-cbor" rel="nofollow">DAG-CBOR</a></p>
<section translate="no">
{value}
</section>
</body>
</html>
"""


def page(cid: CID, value: Any) -> bytes:
    """Return the page; links in the block are links on it."""
    text = "".join(_Writer().shown(value))
    return _PAGE.format(codec=cid.codec_name, cid=cid, value=text).encode("utf-8", "replace")


class _Writer:
    """Writes values as HTML until enough are shown."""

    def __init__(self) -> None:
        self._left = SHOWN

    def shown(self, value: Any) -> Iterator[str]:
        self._left -= 1
        if self._left == 0:
            yield "…"
        if self._left <= 0:
            return
        if isinstance(value, dict):
            yield from self._entries(value.items())
        elif isinstance(value, list):
            yield from self._entries(enumerate(value))
        elif isinstance(value, CID):
            yield f'<a class="ipfs-hash" href="/ipfs/{value}"><code>{value}</code></a>'
        elif isinstance(value, bytes):
            yield f"<code>0x{value[:256].hex()}{'…' if len(value) > 256 else ''}</code>"
        else:
            text = json.dumps(value, ensure_ascii=False)
            yield f"<code>{html.escape(text)}</code>"

    def _entries(self, entries: Any) -> Iterator[str]:
        yield "<dl>"
        for name, value in entries:
            if self._left <= 0:
                break
            yield f"<dt><code>{html.escape(str(name))}</code></dt><dd>"
            yield from self.shown(value)
            yield "</dd>"
        yield "</dl>"
