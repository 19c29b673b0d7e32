"""The hot tier: how many whole archives are kept beside their recipes.

The least recently used are dropped first, each only after it was made again from the store
and found equal. An archive without a recipe is never dropped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .proofs import is_proved

if TYPE_CHECKING:
    from collections.abc import Callable

    from .archives import Archives

KEEP = 60.0
"""Seconds for which a whole archive stays after it was last opened."""


@dataclass(frozen=True, slots=True)
class Trimmed:
    """What was dropped, in archives and bytes; what could not be; bytes still there."""

    dropped: int
    freed: int
    refused: int
    size: int


def trim(
    archives: Archives,
    limit: int,
    *,
    keep: float = KEEP,
    stop: Callable[[], bool] = lambda: False,
) -> Trimmed:
    """Drop whole archives until those that remain take at most `limit` bytes.

    Proving costs about as much as making the archive; run it where nobody waits for it.
    `stop` is asked between archives.
    """
    present = sorted(archives.present(), key=lambda one: one.used)
    size = sum(one.size for one in present)
    dropped = freed = refused = 0
    now = archives.store.clock()
    for archive in present:
        if size - freed <= limit or stop():
            break
        if archive.recipe is None or archive.used > now - keep:
            continue
        if is_proved(archives.store, archive.sha256, archive.recipe):
            archives.whole(archive).unlink(missing_ok=True)
            dropped, freed = dropped + 1, freed + archive.size
        else:
            refused += 1
    return Trimmed(dropped, freed, refused, size - freed)
