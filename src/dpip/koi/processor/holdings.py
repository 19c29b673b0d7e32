"""What the node holds, as the pipeline sees it: looked up ahead, and written behind.

Objects are processed one at a time, but asking the database about each, and telling it of
each, costs more than everything else together. So one query asks about an object and those
that come after it, and what is to be written gathers until `flush`: before a commit, before
anything reads the cache directly, and before handlers of others run. What was looked up is
used only while nobody else changes the cache.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ..cache import Cache, Record
from ..tombstones import NOTHING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ..bundle import Bundle
    from ..cache import BundleCache
    from ..rid import RID, KoiNetNode
    from ..tombstones import Known, Tombstones

AHEAD = 64


class Holdings(Protocol):
    """Look-ups and changes, in order. `source`: see `cache.Record`."""

    def look_up(self, rid: RID, sender: KoiNetNode | None) -> tuple[Record | None, datetime | None]:
        """Return what is held of a RID, and until when it is forgotten for this sender."""
        ...

    def record(self, rid: RID) -> Record | None:
        """Return what is held of a RID, without its contents."""
        ...

    def put(self, bundle: Bundle, *, source: str | None, verified: bool) -> None:
        """Keep a bundle."""
        ...

    def delete(self, bundle: Bundle) -> None:
        """Drop a bundle, and remember that it was forgotten."""
        ...

    def bury(self, rid: RID, stamp: datetime, *, sender: str) -> None:
        """Remember a FORGET of something that is not held."""
        ...

    def flush(self) -> None:
        """Write what was put, as part of the store's next commit; again if that was undone."""
        ...

    def settled(self) -> None:
        """What was written is committed."""
        ...


def holdings(
    cache: BundleCache, tombstones: Tombstones, upcoming: Callable[[int], list[RID]]
) -> Holdings:
    """Return the holdings of a node; `upcoming` names the RIDs of the next objects."""
    if type(cache) is Cache:
        return Batched(cache, tombstones, upcoming)
    return Direct(cache, tombstones)


class Batched:
    """For the cache of this package, in the same database as the queue."""

    def __init__(
        self, cache: Cache, tombstones: Tombstones, upcoming: Callable[[int], list[RID]]
    ) -> None:
        self._cache = cache
        self._tombstones = tombstones
        self._upcoming = upcoming
        self._known: dict[str, Known] = {}
        self._last: tuple[RID | None, Known] = (None, NOTHING)
        self._changes = -1
        self._unwritten: list[tuple[Bundle, str | None, bool]] = []
        self._uncommitted: list[tuple[Bundle, str | None, bool]] = []
        self._undone = cache.store.undone

    def look_up(self, rid: RID, sender: KoiNetNode | None) -> tuple[Record | None, datetime | None]:
        """Return what is held of a RID, and until when it is forgotten for this sender."""
        record, stamps = self._about(rid)
        return record, self._tombstones.latest(stamps, sender) if stamps else None

    def record(self, rid: RID) -> Record | None:
        """Return what is held of a RID, without its contents."""
        return self._about(rid)[0]

    def _about(self, rid: RID) -> Known:
        if self._changes != self._cache.changes:
            self._forget()
        elif rid is self._last[0]:  # an object is asked about several times
            return self._last[1]
        name = str(rid)
        found = self._known.get(name)
        if found is None:
            self.flush()
            self._changes = self._cache.changes
            ahead = map(str, self._upcoming(AHEAD - 1))
            self._known = self._tombstones.with_records([name, *ahead])
            found = self._known[name]
        self._last = rid, found
        return found

    def _forget(self) -> None:
        self._known.clear()
        self._last = None, NOTHING

    def put(self, bundle: Bundle, *, source: str | None, verified: bool) -> None:
        """Keep a bundle."""
        name = str(bundle.manifest.rid)
        known = self._known.get(name)
        if known is not None:
            first = source if known[0] is None else known[0].source
            self._known[name] = (Record(bundle.manifest, first, verified), known[1])
            self._last = None, NOTHING
        self._unwritten.append((bundle, source, verified))
        if len(self._unwritten) >= AHEAD:
            self.flush()

    def delete(self, bundle: Bundle) -> None:
        """Drop a bundle, and remember that it was forgotten."""
        self.flush()
        self._forget()
        self._cache.delete(bundle.rid, later=True)
        self._tombstones.bury(bundle.rid, bundle.manifest.timestamp, later=True)

    def bury(self, rid: RID, stamp: datetime, *, sender: str) -> None:
        """Remember a FORGET of something that is not held."""
        self._forget()
        self._tombstones.bury(rid, stamp, sender=sender, later=True)

    def flush(self) -> None:
        """Write what was put, as part of the store's next commit."""
        store = self._cache.store
        with store.lock:
            if self._undone != store.undone:  # what was written is not there any more
                self._undone = store.undone
                self._unwritten = self._uncommitted + self._unwritten
                self._uncommitted = []
                self._changes = -1
            if not self._unwritten:
                return
            nobody_else = self._changes == self._cache.changes
            self._cache.put_many(self._unwritten)
            self._uncommitted += self._unwritten
            self._unwritten = []
            if nobody_else:
                self._changes = self._cache.changes

    def settled(self) -> None:
        """What was written is committed."""
        self._uncommitted = []


class Direct:
    """For caches of other make: everything at once."""

    def __init__(self, cache: BundleCache, tombstones: Tombstones) -> None:
        self._cache = cache
        self._tombstones = tombstones

    def look_up(self, rid: RID, sender: KoiNetNode | None) -> tuple[Record | None, datetime | None]:
        """Return what is held of a RID, and until when it is forgotten for this sender."""
        return self.record(rid), self._tombstones.stamp(rid, sender)

    def record(self, rid: RID) -> Record | None:
        """Return what is held of a RID, without its contents."""
        if isinstance(self._cache, Cache):
            return self._cache.record(rid)
        bundle = self._cache.read(rid)
        return None if bundle is None else Record(bundle.manifest, None, True)

    def put(self, bundle: Bundle, *, source: str | None, verified: bool) -> None:
        """Keep a bundle."""
        if isinstance(self._cache, Cache):
            self._cache.put(bundle, source=source, verified=verified, later=True)
        else:
            self._cache.write(bundle)

    def delete(self, bundle: Bundle) -> None:
        """Drop a bundle, and remember that it was forgotten."""
        if isinstance(self._cache, Cache):
            self._cache.delete(bundle.rid, later=True)
        else:
            self._cache.delete(bundle.rid)
        self._tombstones.bury(bundle.rid, bundle.manifest.timestamp, later=True)

    def bury(self, rid: RID, stamp: datetime, *, sender: str) -> None:
        """Remember a FORGET of something that is not held."""
        self._tombstones.bury(rid, stamp, sender=sender, later=True)

    def flush(self) -> None:
        """Nothing waits."""

    def settled(self) -> None:
        """Nothing is kept."""
