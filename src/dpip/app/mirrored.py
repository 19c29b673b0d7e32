"""The upstream as the home's mirror sees it, from the moment on when the home is a mirror.

`mirror.toml` may appear, change and go while a node runs, so each question looks whether it is
there; what it says is read anew when it has changed. A stored page bears the rules that it was
stored under, and is asked for again under others.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dpip.errors import DpipError
from dpip.mirror.selected import has_rules, under_rules
from dpip.mirror.source import Narrowing
from dpip.settings import MIRROR_NAME

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from dpip.app.mirroring import LiveScope
    from dpip.mirror.catalog import Catalog
    from dpip.mirror.files import Files
    from dpip.mirror.selected import Selected
    from dpip.mirror.source import PageSource
    from dpip.simple.model import ProjectEntry
    from dpip.simple.upstream import Fetched, Validators

log = logging.getLogger(__name__)


class Mirrored:
    """A PageSource: `upstream` through the rules of a home, or as it is where there are none.

    `files` reads the metadata that rules may ask for; it is built later than this.
    """

    def __init__(self, upstream: PageSource, home: Path, catalog: Catalog) -> None:
        self._upstream = upstream
        self._home = home
        self._catalog = catalog
        self._selected: Selected | None = None
        self._scope: LiveScope | None = None
        self._seen = self._state()
        self.files: Files | None = None

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        """Return a page. Raises UsageError for rules that make no sense."""
        source = self._source()
        if source is self._upstream and known is not None:
            # The page may be stored as rules that are gone have left it.
            known = under_rules(known, "")
        return await source.fetch(name, known)

    async def narrowed(self, name: str, told: Fetched) -> Fetched:
        """Return what the rules leave of a page that somebody else has told."""
        source = self._source()
        return await source.narrowed(name, told) if isinstance(source, Narrowing) else told

    def is_current(self, etag: str | None) -> bool:
        """Say whether a page was stored under the rules that are in force now, or without any."""
        try:
            source = self._source()
            if isinstance(source, Narrowing):
                return source.is_current(etag)
        except DpipError as error:
            # What is stored is served for as long as the rules make no sense.
            log.warning("rules of the mirror: %s", error.message)
            return True
        return not has_rules(etag)

    def changed(self) -> bool:
        """Say whether rules came, went or changed since this was asked last."""
        before, self._seen = self._seen, self._state()
        return before != self._seen

    def _state(self) -> object:
        if self._scope is not None:
            return self._scope.state()
        return (self._home / MIRROR_NAME).is_file()

    def projects(self) -> AsyncIterator[ProjectEntry]:
        """Stream the root list."""
        return self._source().projects()

    def _source(self) -> PageSource:
        if not (self._home / MIRROR_NAME).is_file():
            return self._upstream
        if self._selected is None:
            self._selected = self._select()
        return self._selected

    def _select(self) -> Selected:
        # Rules need half of `packaging`, which a node without a mirror starts without.
        from dpip.app.mirroring import LiveScope
        from dpip.mirror.judging import Judging, from_files
        from dpip.mirror.selected import Selected
        from dpip.mirror.worklist import Worklist

        self._scope = scope = LiveScope(self._home, Worklist(self._catalog))
        judging = Judging(self._catalog, from_files(self._reader))
        return Selected(self._upstream, scope, self._catalog, judging)

    def _reader(self) -> Files:
        assert self.files is not None, "the composition gives it before the first request"
        return self.files
