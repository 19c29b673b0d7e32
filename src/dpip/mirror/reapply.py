"""Changed rules over what is stored already: what they exclude is hidden at once.

No upstream is needed for that, as far as the metadata that rules ask for was read before. What
new rules *allow* must be asked of upstream, since the stored page no longer says it.
"""

from __future__ import annotations

import asyncio
import dataclasses
from typing import TYPE_CHECKING

from dpip.mirror.catalog import PageRecord
from dpip.mirror.judging import known
from dpip.mirror.recording import record_page
from dpip.mirror.tombstones import Reason
from dpip.simple import json_codec
from dpip.simple.render import file_key, render
from dpip.simple.routing import DEFAULT_SOURCE
from dpip.simple.upstream import Fetched, Validators

if TYPE_CHECKING:
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.scope import Scope
    from dpip.mirror.worklist import Worklist
    from dpip.simple.model import File, Project


async def reapply(catalog: Catalog, worklist: Worklist, scope: Scope, now: float) -> int:
    """Filter every stored page again; return how many changed. `now` is seconds."""
    changed, last = 0, ""
    while rows := catalog.page_names(after=last):
        for name, _, source in rows:
            if source == DEFAULT_SOURCE:
                changed += await _project(catalog, worklist, scope, name, now)
        last = rows[-1][0]
    return changed


async def _project(
    catalog: Catalog, worklist: Worklist, scope: Scope, name: str, now: float
) -> bool:
    reason = scope.excludes(name)
    if reason is not None:
        absent = PageRecord(name, now, absent=True)
        buried = catalog.put_record(absent, reason=Reason.FILTERED, detail=reason)
        await asyncio.wrap_future(buried)
        await asyncio.wrap_future(worklist.drop(name))
        return True
    page = stored_project(catalog, name)
    if page is None:
        return False
    project, left_out = scope.select(page, known(catalog, scope, page))
    if left_out:
        fetched = Fetched(project, Validators(), left_out)
        await record_page(catalog, render, name, fetched, source=DEFAULT_SOURCE, now=now)
    return bool(left_out)


def stored_project(catalog: Catalog, name: str) -> Project | None:
    """Return a stored page with upstream's file URLs, as far as the catalog knows them."""
    page = catalog.page(name)
    if page is None:
        return None
    project = json_codec.decode_project(page.json)
    urls = {(file.key, file.filename): file.url for file in catalog.files(name)}

    def restored(file: File) -> File:
        key = file.url.split("/")[-2] if "/files/" in file.url else file_key(file)
        return dataclasses.replace(file, url=urls.get((key, file.filename), file.url))

    return dataclasses.replace(project, name=name, files=tuple(map(restored, project.files)))
