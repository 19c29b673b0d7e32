"""How every benchmark here speaks: ours, the peer's, the ratio, the budget.

Machines are noisy, so a benchmark alternates the runs of ours and of the peer, quotes
medians, and states ratios. `print_rows` writes a Markdown table to standard output.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True, slots=True)
class Row:
    """One line: `ratio` is ours / peer's; the budget is a bound on it, such as "≥ 0.8"."""

    what: str
    ours: float
    peer: float
    unit: str
    peer_name: str
    budget: str = ""

    @property
    def ratio(self) -> float:
        """Ours divided by the peer's."""
        return self.ours / self.peer if self.peer else float("inf")

    def verdict(self) -> str:
        """Return "met", "missed", or nothing where there is no budget."""
        if not self.budget:
            return ""
        sign, bound = self.budget.split()
        met = self.ratio >= float(bound) if sign == "≥" else self.ratio <= float(bound)
        return "met" if met else "missed"


def alternate(
    ours: Callable[[], float], peer: Callable[[], float], rounds: int = 5
) -> tuple[float, float]:
    """Call the two in turn and return the median of each."""
    a: list[float] = []
    b: list[float] = []
    for _ in range(rounds):
        a.append(ours())
        b.append(peer())
    return statistics.median(a), statistics.median(b)


def print_rows(rows: Sequence[Row]) -> None:
    """Print the rows as a Markdown table."""
    print("| what | ours | peer | unit | ratio | budget | |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        peer = f"{row.peer:,.4g} ({row.peer_name})"
        print(
            f"| {row.what} | {row.ours:,.4g} | {peer} | {row.unit} "
            f"| {row.ratio:.3g} | {row.budget} | {row.verdict()} |"
        )
