"""Rounds of a mirror on a fake index, and what it then lists and has lost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tests.mirror.conftest import Mirror

from dpip.mirror.follow import Pauses
from dpip.mirror.judging import Judging, from_files
from dpip.mirror.planning import ChangeSource
from dpip.mirror.scope import Scope, fingerprint
from dpip.mirror.selection import read_selection
from dpip.mirror.sync import Limits, Round, Sync
from dpip.mirror.tombstones import of_project
from dpip.mirror.worklist import Worklist

ALL: dict[str, Any] = {}


class Follower:
    """Runs rounds of a mirror on a fake index."""

    serials = True

    def __init__(self, mirror: Mirror) -> None:
        self.mirror = mirror
        self.worklist = Worklist(mirror.catalog)

    def sync(
        self,
        table: dict[str, Any] = ALL,
        *,
        closure: dict[str, frozenset[str]] | None = None,
        own: Callable[[str], bool] = lambda _: True,
        patience: float = 0.0,
        changelog: ChangeSource | None = None,
        **limits: Any,
    ) -> Round:
        m = self.mirror

        async def find() -> ChangeSource | None:
            return changelog

        async def run() -> Round:
            rules = fingerprint(table, (), closure or {})
            scope = Scope(read_selection(table, lambda _: ""), closure or {}, rules)
            work = Sync(
                upstream=m.index,
                changelog=find,
                scope=scope,
                rules=rules,
                own=own,
                catalog=m.catalog,
                worklist=self.worklist,
                archives=m.archives,
                ingest=m.ingest,
                judging=Judging(m.catalog, from_files(m.files)),
                now=m.clock,
                limits=Limits(patience=patience, pauses=Pauses(first=1), **limits),
            )
            try:
                return await work.run()
            finally:
                await m.ingest.close()

        return asyncio.run(run())

    def listed(self, project: str) -> list[str]:
        return sorted(file.filename for file in self.mirror.catalog.files(project))

    def gone(self, project: str) -> dict[str, str]:
        return {t.filename: t.reason.value for t in of_project(self.mirror.catalog, project)}

    def release(self, project: str, version: str, serial: int | None = None, **more: Any) -> None:
        index = self.mirror.index
        filename = f"{project}-{version}-py3-none-any.whl"
        index.add(project, filename, f"{project} {version}".encode() * 99, **more)
        index.pages[project] = replace(index.pages[project], last_serial=serial)

    def change(self, project: str, **changes: Any) -> None:
        pages = self.mirror.index.pages
        pages[project] = replace(pages[project], **changes)
