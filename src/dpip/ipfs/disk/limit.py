"""The size limit: what goes so that blocks and whole archives together fit.

Room is given first to what pins other than the automatic one reach, then to archives by
their last use, newest first, until it is spent; blocks that archives share are counted once.
The plan counts only what is reached. So garbage that is too young to be swept, or that a kill
left behind, never makes a further archive go.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .archives import PIN
from .collect import GRACE, collect
from .compact import compact
from .hot import KEEP
from .mark import Marks

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from .archives import Archive, Archives
    from .store import DiskBlockstore

FILL = 0.9
"""Share of the limit that is filled again: not every new archive must cost a round."""
DEAD = 0.05
"""Share of unwanted bytes that packs may keep; with `FILL` this stays below the limit."""
SETTLED = 300.0
"""Seconds for which blocks of removed archives are spared, for imports that share them."""


@dataclass(slots=True)
class Plan:
    """What goes: archives, oldest first, and the blocks that only they reach."""

    marks: Marks
    archives: list[Archive] = field(default_factory=list)
    blocks: set[bytes] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Limited:
    """Archives removed, bytes given back, and bytes that the store takes now."""

    removed: int
    freed: int
    size: int


def size(archives: Archives) -> int:
    """Return how many bytes blocks and whole archives take on the disk."""
    (packs,) = archives.store.index.read("SELECT COALESCE(SUM(size), 0) FROM packs").fetchone()
    return int(packs) + archives.whole_size()


def plan(
    archives: Archives, limit: int, *, spared: Collection[str] = (), keep: float = KEEP
) -> Plan:
    """Return what must go to come below `limit` bytes; nothing, if 0 or not exceeded.

    Archives whose sha256 is in `spared`, or that were used less than `keep` seconds ago, stay.
    """
    marks = Marks(archives.store, frozenset({PIN}))
    made = Plan(marks)
    if not limit or size(archives) <= limit:
        return made
    marks.update()
    since = archives.store.clock() - keep
    kept: list[Archive] = []
    rest: list[Archive] = []
    for archive in archives.listing():
        stays = archive.sha256 in spared or archive.used > since
        (kept if stays or archive.root.multihash in marks.seen else rest).append(archive)
    for archive in kept:
        marks.keep(archive.root)
    fresh = sum(path.stat().st_size for path in archives.new())
    whole = sum(_whole_size(archives, archive) for archive in kept)
    room = limit * FILL - fresh - whole - _stored(archives.store, marks.seen)
    made.archives = _beyond(archives, marks, rest, room, limit)
    reached = Marks(archives.store)
    reached.seen = set(marks.seen)
    for archive in made.archives:
        made.blocks.update(reached.keep(archive.root))
    return made


def enforce(
    archives: Archives,
    limit: int,
    *,
    spared: Collection[str] = (),
    forget: Callable[[str], None] = lambda _: None,
    keep: float = KEEP,
    settled: float = SETTLED,
    grace: float = GRACE,
    pause: float = 0.0,
    stop: Callable[[], bool] = lambda: False,
) -> Limited:
    """Remove what `plan` says, sweep, compact.

    `forget` is told of each sha256 before it goes, while nobody else can write, and `stop` is
    asked between archives. Killed at any instant, the store is sound and the next call goes on.
    """
    before = size(archives)
    if not limit or before <= limit:
        return Limited(0, 0, before)
    made, removed = plan(archives, limit, spared=spared, keep=keep), 0
    for archive in made.archives:
        if stop():
            break
        removed += _remove(archives, archive, made.marks, forget)
    collect(archives, grace=grace, settled=made.blocks, settled_grace=settled)
    if not stop():
        compact(archives.store, dead=DEAD, pause=pause)
    after = size(archives)
    return Limited(removed, before - after, after)


def _beyond(
    archives: Archives, marks: Marks, rest: list[Archive], room: float, limit: int
) -> list[Archive]:
    """Mark archives, newest use first, while there is room; return the others, oldest first."""
    gone: list[Archive] = []
    full = False
    for archive in sorted(rest, key=lambda one: (one.used, one.id), reverse=True):
        if full:
            gone.append(archive)
            continue
        new = marks.keep(archive.root)
        cost = _whole_size(archives, archive) + _stored(archives.store, new)
        if cost <= room:
            room -= cost
            continue
        marks.seen.difference_update(new)
        gone.append(archive)
        # One that could never fit must not cost all the others their place.
        full = cost <= limit * FILL
    return gone[::-1]


def _remove(
    archives: Archives, archive: Archive, marks: Marks, forget: Callable[[str], None]
) -> bool:
    def agreed(found: Archive) -> bool:
        marks.update()
        if found.used != archive.used or found.root.multihash in marks.seen:
            return False
        forget(found.sha256)
        return True

    return archives.remove(archive.sha256, agreed=agreed)


def _whole_size(archives: Archives, archive: Archive) -> int:
    return archive.size if archives.whole(archive).exists() else 0


def _stored(store: DiskBlockstore, hashes: Iterable[bytes]) -> float:
    """Return about how many bytes of packs blocks take: their shares of their frames."""
    total, wanted = 0.0, list(hashes)
    for at in range(0, len(wanted), 500):
        some = wanted[at : at + 500]
        (part,) = store.index.read(
            "SELECT COALESCE(SUM(length * (size + 1.0) / (plain + 1.0)), 0.0)"
            " FROM blocks JOIN frames ON frames.id = frame"
            f" WHERE hash IN ({','.join('?' * len(some))})",
            *some,
        ).fetchone()
        total += part
    return total
