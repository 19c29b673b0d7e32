"""What was forgotten, so that a late copy does not bring it back."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from .bundle import Manifest
from .cache import Record
from .model import decode

if TYPE_CHECKING:
    from .rid import RID, KoiNetNode
    from .store import Store

EVERYBODY = "*"
_WITH_RECORD = """
SELECT manifest, source, verified,
  (SELECT max(stamp) FROM tombstone WHERE tombstone.rid=? AND sender IN (?, ?))
FROM (SELECT 1) LEFT JOIN bundle ON bundle.rid=?
"""


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

    def with_record(
        self, rid: RID, sender: KoiNetNode | None
    ) -> tuple[Record | None, datetime | None]:
        """Return what the cache in the same database holds of a RID, and the stamp."""
        name = str(rid)
        who = "" if sender is None else str(sender)
        row = self._store.row(_WITH_RECORD, (name, EVERYBODY, who, name))
        stamp = None if row[3] is None else datetime.fromisoformat(row[3])
        if row[0] is None:
            return None, stamp
        return Record(decode(row[0], Manifest), row[1], bool(row[2])), stamp

    def stamp(self, rid: RID, sender: KoiNetNode | None) -> datetime | None:
        """Return the time up to which manifests of the RID from this sender are forgotten."""
        row = self._store.row(
            "SELECT max(stamp) FROM tombstone WHERE rid=? AND sender IN (?, ?)",
            (str(rid), EVERYBODY, "" if sender is None else str(sender)),
        )
        return None if row is None or row[0] is None else datetime.fromisoformat(row[0])
