"""What the node says about itself: `/healthz`, `/metrics` and the page at `/`."""

from __future__ import annotations

import asyncio
import html
from typing import TYPE_CHECKING

from dpip import __version__
from dpip.app.dispatch import send_json, send_text
from dpip.mirror.totals import totals
from dpip.simple.asgi import send_error
from dpip.simple.repository import FileNotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.federation.savings import Savings, Totals
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.ingest import Ingest
    from dpip.mirror.sources import Sources
    from dpip.settings import Settings
    from dpip.simple.asgi import Receive, Scope, Send

_PAGE = """<!DOCTYPE html>
<html lang="en"><meta charset="utf-8"><title>{name}</title>
<style>body{{font:16px/1.5 system-ui;max-width:42rem;margin:3rem auto;padding:0 1rem}}
td{{padding-right:2rem}}</style>
<h1>{name}</h1>
<p>A dpip node, version {version}{offline}.</p>
<table>
<tr><td>project pages stored<td>{pages:,}
<tr><td>archives stored<td>{archives:,}
<tr><td>their bytes<td>{archive_bytes:,}
</table>
<p>Install through it: <code>pip install --index-url {url}/simple/ NAME</code></p>
<p><a href="simple/">simple/</a> · <a href="healthz">healthz</a> · <a href="metrics">metrics</a>
</html>
"""


class Status:
    """Three small applications over the node's parts."""

    def __init__(
        self,
        settings: Settings,
        *,
        catalog: Catalog,
        sources: Sources,
        ingest: Ingest,
        savings: Savings,
        peers: Callable[[], int],
    ) -> None:
        self._settings = settings
        self._catalog = catalog
        self._sources = sources
        self._ingest = ingest
        self._savings = savings
        self._peers = peers

    async def health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Say that the node answers, cheaply."""
        del scope, receive
        given, lately = self._savings.total, self._savings.since_start
        body = {
            "status": "ok",
            "name": self._settings.name,
            "version": __version__,
            "offline": self._settings.offline,
            "peers": self._peers(),
            "files_from_peers": given.files,
            "bytes_from_peers": given.size,
            "bytes_moved_for_them": given.moved,
            "files_from_recipes": given.recipe_files,
            "bytes_from_recipes": given.recipe_size,
            "bytes_moved_for_recipes": given.recipe_moved,
            "bytes_saved": given.saved,
            "bytes_wasted": given.wasted,
            "files_refused": given.refused,
            "files_from_peers_since_start": lately.files,
            "bytes_from_peers_since_start": lately.size,
            "bytes_saved_since_start": lately.saved,
        }
        await send_json(send, 200, body)

    async def metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer in the Prometheus text format."""
        del scope, receive
        body, content_type = await asyncio.to_thread(self._exposition)
        await send_text(send, 200, body, content_type.encode())

    async def page(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with the web page; only `/` itself."""
        del receive
        if scope["path"] != "/":
            await send_error(send, FileNotFound("there is nothing here"))
            return
        counts = await asyncio.to_thread(totals, self._catalog)
        text = _PAGE.format(
            name=html.escape(self._settings.name),
            version=__version__,
            offline=", offline" if self._settings.offline else "",
            url=html.escape(_own_url(scope, self._settings.url)),
            **counts,
        )
        await send_text(send, 200, text.encode(), b"text/html; charset=utf-8")

    def _exposition(self) -> tuple[bytes, str]:
        from prometheus_client import CollectorRegistry, Gauge, ProcessCollector
        from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

        registry, stored = CollectorRegistry(), totals(self._catalog)
        ProcessCollector(registry=registry)
        values = {
            "dpip_pages": ("Project pages stored.", stored["pages"]),
            "dpip_archives": ("Archives stored.", stored["archives"]),
            "dpip_archive_bytes": ("Bytes of the stored archives.", stored["archive_bytes"]),
            "dpip_upstream_questions": (
                "Project pages asked of upstream since start.",
                self._sources.questions,
            ),
            "dpip_upstream_transfers": (
                "File transfers begun since start.",
                self._ingest.transfers,
            ),
        }
        values |= _given(self._savings.total)
        for name, (text, value) in values.items():
            Gauge(name, text, registry=registry).set(value)
        return generate_latest(registry), CONTENT_TYPE_LATEST


def _given(totals: Totals) -> dict[str, tuple[str, int]]:
    """Return the metrics of what peers gave, each with what it says."""
    return {
        "dpip_peer_files": ("Files that peers gave, ever.", totals.files),
        "dpip_peer_bytes": ("Bytes of the files that peers gave.", totals.size),
        "dpip_peer_moved_bytes": (
            "Bytes that came over the network for the files that peers gave.",
            totals.moved,
        ),
        "dpip_peer_beside_bytes": (
            "Bytes of the same files that upstream sent meanwhile.",
            totals.beside,
        ),
        "dpip_recipe_files": ("Files that were made of a recipe.", totals.recipe_files),
        "dpip_recipe_bytes": ("Bytes of the files made of a recipe.", totals.recipe_size),
        "dpip_recipe_moved_bytes": (
            "Bytes that came over the network for them.",
            totals.recipe_moved,
        ),
        "dpip_saved_bytes": ("Bytes that peers gave without moving them.", totals.saved),
        "dpip_peer_wasted_bytes": ("Bytes from peers that were not used.", totals.wasted),
        "dpip_peer_refused_files": (
            "Files from peers that were not what they must be.",
            totals.refused,
        ),
    }


def _own_url(scope: Scope, default: str) -> str:
    server = scope.get("server")
    return f"http://{server[0]}:{server[1]}" if server and server[1] else default
