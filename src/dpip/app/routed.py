"""The routing table of a home as it lies on disk, for processes beside its node."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from dpip.federation.guarded import Guarded
from dpip.federation.ledger import Ledger
from dpip.federation.told import with_told
from dpip.mirror.private import Private
from dpip.mirror.uploads import with_private
from dpip.simple.routing import Routes

if TYPE_CHECKING:
    from pathlib import Path

    from dpip.mirror.catalog import Catalog


def routes_of(home: Path, catalog: Catalog) -> Routes:
    """Return the table: what is set, what was uploaded, and what is private to other nodes."""
    with closing(Private(home / "private.sqlite3")) as private:
        table = with_private(catalog.routes(), private.names())
    return Routes.from_patterns(with_told(table, _guarded(home / "koi" / "ledger.sqlite3")))


def _guarded(path: Path) -> frozenset[str]:
    if not path.is_file():
        return frozenset()
    with closing(Ledger(path)) as ledger:
        return Guarded(ledger).names
