"""The composition root: the one place that builds the real objects of a node, in order.

To add a room to the node: build it here, and mount it with one line in `mounts`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.app.configured import ConfiguredUpstream
from dpip.app.dispatch import Dispatcher
from dpip.app.pip_settings import index_url
from dpip.app.status import Status
from dpip.errors import DpipError
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import Catalog
from dpip.mirror.files import Files
from dpip.mirror.ingest import Ingest
from dpip.mirror.rebuild import complete, rebuild
from dpip.mirror.refresh import Policy
from dpip.mirror.repository import Pages
from dpip.simple.render import render
from dpip.simple.server import SimpleApplication

if TYPE_CHECKING:
    from dpip.app.dispatch import Application
    from dpip.settings import Settings

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Node:
    """A built node: an ASGI application, and what must be started and closed around it."""

    settings: Settings
    application: Application
    catalog: Catalog
    archives: Archives
    upstream: ConfiguredUpstream
    pages: Pages
    ingest: Ingest

    async def background(self) -> None:
        """Do what a node does when nobody asks: learn its upstream, complete its catalog."""
        if not self.settings.offline:
            with contextlib.suppress(DpipError):
                await self.upstream.upstream()
        await complete(self.catalog, self.archives)

    async def aclose(self) -> None:
        """Stop transfers and questions, close connections, commit and close the catalog."""
        await self.pages.close()
        await self.ingest.close()
        await self.upstream.aclose()
        await asyncio.to_thread(self.catalog.close)


def build(settings: Settings) -> Node:
    """Build the node of a home. Raises HomeNotWritable, DiskFull and CatalogTooNew."""
    archives = Archives(settings.home / "archives")
    catalog = Catalog(settings.home / "catalog.sqlite3")
    if catalog.set_aside is not None:
        log.warning("the catalog was damaged; it is now %s", catalog.set_aside)
        rebuild(catalog, archives, now=time.time())
    upstream = ConfiguredUpstream(
        lambda: settings.index_url or index_url(settings.url),
        timeout=settings.upstream_timeout,
        max_page_size=settings.max_page_size,
    )
    pages = Pages(
        upstream=upstream,
        catalog=catalog,
        render=render,
        policy=Policy(max_age=settings.page_max_age, offline=settings.offline),
        now=time.time,
    )
    ingest = Ingest(
        upstream=upstream,
        archives=archives,
        catalog=catalog,
        now=time.time,
        max_size=settings.max_file_size,
    )
    files = Files(
        archives=archives,
        catalog=catalog,
        ingest=ingest,
        upstream=upstream,
        offline=settings.offline,
    )
    simple = SimpleApplication(pages=pages, files=files)
    status = Status(settings, catalog=catalog, pages=pages, ingest=ingest)
    mounts: dict[str, Application] = {
        "simple": simple,
        "files": simple,
        "healthz": status.health,
        "metrics": status.metrics,
        "": status.page,
    }
    return Node(
        settings=settings,
        application=Dispatcher(mounts),
        catalog=catalog,
        archives=archives,
        upstream=upstream,
        pages=pages,
        ingest=ingest,
    )
