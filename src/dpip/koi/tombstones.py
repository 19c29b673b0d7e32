"""What was forgotten, so that a late copy does not bring it back."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from .bundle import Manifest
from .cache import Record
from .model import decode

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .rid import RID, KoiNetNode
    from .store import Store

EVERYBODY = "*"
Known = tuple[Record | None, dict[str, datetime]]
"""What is held of a RID, and up to when what each sender says of it stays forgotten."""
NOTHING: Known = (None, {})
_RECORDS = "SELECT rid, manifest, source, verified FROM bundle WHERE rid IN ({})"
_STAMPS = "SELECT rid, sender, stamp FROM tombstone WHERE rid IN ({})"
_SIZES = (1, 8, 64)  # of a list in a statement: few different ones, each prepared once


class Tombstones:
    """Times up to which manifests of a RID stay forgotten."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def bury(
        self, rid: RID, stamp: datetime, *, sender: str = EVERYBODY, later: bool = False
    ) -> None:
        """Record that manifests up to `stamp` are forgotten.

        With a `sender`, only what that one sends is stopped: it spoke of a RID that this
        node did not hold, so nothing says that it had a right to.
        """
        row = (str(rid), sender, stamp.isoformat(timespec="microseconds"))
        with self._store.change(later=later) as connection:
            connection.execute(
                "INSERT INTO tombstone VALUES (?, ?, ?) ON CONFLICT (rid, sender)"
                " DO UPDATE SET stamp=max(stamp, excluded.stamp)",
                row,
            )

    def with_records(self, rids: Iterable[str]) -> dict[str, Known]:
        """Return what the cache in the same database holds of RIDs, and the stamps by sender."""
        found = dict.fromkeys(rids, NOTHING)
        for names in _parts(list(found)):
            records, stamps = _statements(len(names))
            for name, manifest, source, verified in self._store.rows(records, names):
                found[name] = Record(decode(manifest, Manifest), source, bool(verified)), {}
            for name, sender, stamp in self._store.rows(stamps, names):
                record, known = found[name]
                found[name] = record, {**known, sender: datetime.fromisoformat(stamp)}
        return found

    @staticmethod
    def latest(stamps: dict[str, datetime], sender: KoiNetNode | None) -> datetime | None:
        """Return the time up to which manifests of this sender are forgotten."""
        names = {EVERYBODY, "" if sender is None else str(sender)}
        return max((stamp for name, stamp in stamps.items() if name in names), default=None)

    def stamp(self, rid: RID, sender: KoiNetNode | None) -> datetime | None:
        """Return the time up to which manifests of the RID from this sender are forgotten."""
        row = self._store.row(
            "SELECT max(stamp) FROM tombstone WHERE rid=? AND sender IN (?, ?)",
            (str(rid), EVERYBODY, "" if sender is None else str(sender)),
        )
        return None if row is None or row[0] is None else datetime.fromisoformat(row[0])


@cache
def _statements(count: int) -> tuple[str, str]:
    places = ",".join("?" * count)
    return _RECORDS.format(places), _STAMPS.format(places)


def _parts(names: list[str]) -> Iterator[list[str]]:
    """Yield the names in lists of few sizes, the last one filled up with empty names."""
    while names:
        size = next((size for size in _SIZES if size >= len(names)), _SIZES[-1])
        part, names = names[:size], names[size:]
        yield part + [""] * (size - len(part))
