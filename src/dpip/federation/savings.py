"""What neighbours gave, counted over all the life of a home.

Every byte is counted once: a file that a neighbour gave counts as given, less what came over
the network for it, from neighbours (attempts that failed included) and from upstream beside
them. What came for files that upstream gave in the end is only `wasted`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dpip.mirror.hedge import Gift


@dataclass(slots=True)
class Totals:
    """Files and bytes; all only ever grow."""

    files: int = 0
    size: int = 0
    moved: int = 0
    beside: int = 0
    recipe_files: int = 0
    recipe_size: int = 0
    recipe_moved: int = 0
    wasted: int = 0
    refused: int = 0
    """Files that neighbours offered and that were not what they must be."""

    @property
    def saved(self) -> int:
        """Bytes that did not have to come from upstream or over any line."""
        return max(0, self.size - self.moved - self.beside)


@dataclass(slots=True)
class Savings:
    """The totals of a home, and those of this run of its node."""

    total: Totals = field(default_factory=Totals)
    since_start: Totals = field(default_factory=Totals)

    def refuse(self) -> None:
        """Count a file that was not what it must be."""
        self._add(refused=1)

    def settle(self, gift: Gift | None, came: int, beside: int) -> None:
        """Count a gift and what came beside it; with no gift, what came for nothing."""
        if gift is None:
            self._add(wasted=came)
            return
        self._add(files=1, size=gift.size, moved=came, beside=beside)
        if gift.way == "recipe":
            self._add(recipe_files=1, recipe_size=gift.size, recipe_moved=came)

    def _add(self, **amounts: int) -> None:
        for totals in (self.total, self.since_start):
            for name, amount in amounts.items():
                setattr(totals, name, getattr(totals, name) + amount)


def encode(totals: Totals) -> str:
    """Return totals as one line of JSON."""
    return json.dumps(asdict(totals))


def decode(text: str) -> Totals:
    """Return totals from that; what cannot be read counts as nothing."""
    try:
        table: Any = json.loads(text)
    except ValueError:
        return Totals()
    if not isinstance(table, dict):
        return Totals()
    known = {one.name for one in fields(Totals)}
    good = {k: v for k, v in table.items() if k in known and isinstance(v, int)}
    return Totals(**good)
