"""From a page as its source sent it to the page as the catalog keeps it."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from dpip.mirror.catalog import PageRecord
from dpip.mirror.listing import servable, to_records
from dpip.mirror.tombstones import QUARANTINED, said_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.mirror.catalog import Catalog, FileRecord
    from dpip.simple.model import Project
    from dpip.simple.repository import StoredPage
    from dpip.simple.upstream import Fetched


async def record_page(
    catalog: Catalog,
    render: Callable[[Project], StoredPage],
    name: str,
    fetched: Fetched,
    *,
    source: str,
    now: float,
    rendered: Callable[[str], None] = lambda _: None,
    listed: Callable[[list[FileRecord]], None] = lambda _: None,
) -> StoredPage:
    """Render a page that changed, and commit it with its files and tombstones.

    `now` is seconds since the epoch, `source` the name of its source in the routing table.
    `rendered` is called with the page's validator, `listed` with its files, before the catalog
    has them.
    """
    assert fetched.project is not None, "an unchanged page is not rendered"
    project = servable(dataclasses.replace(fetched.project, name=name), catalog)
    page = await asyncio.to_thread(render, project)
    rendered(page.etag)
    record = PageRecord(
        name=name,
        confirmed_at=now,
        etag=fetched.validators.etag,
        last_modified=fetched.validators.last_modified,
        serial=project.last_serial,
        status=project.status,
        source=source,
    )
    said = said_of(project, fetched.left_out)
    files = [] if project.status == QUARANTINED else to_records(project)
    listed(files)
    await asyncio.wrap_future(catalog.put_page(record, page, files, said))
    return page
