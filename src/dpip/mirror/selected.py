"""An upstream seen through a mirror's rules: only what the mirror keeps exists.

A page as it is stored was filtered by the rules of its time. So its validator bears those rules
as well as upstream's own: after a change of rules upstream is asked for the whole page.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from dpip.simple.model import ProjectEntry
from dpip.simple.repository import ProjectNotFound
from dpip.simple.routing import DEFAULT_SOURCE
from dpip.simple.upstream import Validators

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from dpip.mirror.catalog import Catalog
    from dpip.mirror.judging import Judging
    from dpip.mirror.scope import Scope
    from dpip.mirror.source import PageSource
    from dpip.simple.upstream import Fetched

_MARK = "rules-"
"""No validator of a server begins so: they begin with a quotation mark, or with W/."""


def under_rules(known: Validators | None, rules: str) -> Validators | None:
    """Return the validators to ask upstream with, None if a page was stored under other rules.

    `rules` is the fingerprint of those in force, empty where there are none.
    """
    if known is None or known.etag is None:
        return None if rules else known
    if not known.etag.startswith(_MARK):
        return None if rules else known
    mark, _, etag = known.etag.partition(" ")
    if not rules or mark != _MARK + rules:
        return None
    return Validators(etag or None, known.last_modified)


def has_rules(etag: str | None) -> bool:
    """Say whether a page with this validator was stored under rules."""
    return etag is not None and etag.startswith(_MARK)


class Selected:
    """A PageSource over another; its root list is what is stored, with upstream's serials.

    `scope` is asked at each page, so that rules can change while a node runs. `judging` reads
    what rules about metadata ask for.
    """

    def __init__(
        self, upstream: PageSource, scope: Callable[[], Scope], catalog: Catalog, judging: Judging
    ) -> None:
        self._upstream = upstream
        self._scope = scope
        self._catalog = catalog
        self._judging = judging

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        """Return a page without the files that the mirror does not keep."""
        scope = self._scope()
        _require_kept(scope, name)
        fetched = await self._upstream.fetch(name, under_rules(known, scope.rules))
        return await self._narrowed(scope, name, fetched)

    async def narrowed(self, name: str, told: Fetched) -> Fetched:
        """Return a page that somebody else has told without the files that are not kept."""
        scope = self._scope()
        _require_kept(scope, name)
        return await self._narrowed(scope, name, told)

    def is_current(self, etag: str | None) -> bool:
        """Say whether a page was stored under the rules that are in force."""
        return (etag or "").startswith(f"{_MARK}{self._scope().rules} ")

    async def _narrowed(self, scope: Scope, name: str, fetched: Fetched) -> Fetched:
        validators = fetched.validators
        if scope.rules:
            etag = f"{_MARK}{scope.rules} {validators.etag or ''}"
            fetched = replace(fetched, validators=replace(validators, etag=etag))
        if fetched.project is None:
            return fetched
        page = replace(fetched.project, name=name)
        project, left_out = scope.select(page, await self._judging.judge(scope, page))
        return replace(fetched, project=project, left_out=left_out)

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream what is mirrored, in name order."""
        last = ""
        while rows := self._catalog.page_names(after=last):
            for name, serial, source in rows:
                if source == DEFAULT_SOURCE:
                    yield ProjectEntry(name, serial)
            last = rows[-1][0]


def _require_kept(scope: Scope, name: str) -> None:
    reason = scope.excludes(name)
    if reason is not None:
        raise ProjectNotFound(f"this mirror does not keep {name!r}: {reason}", project=name)
