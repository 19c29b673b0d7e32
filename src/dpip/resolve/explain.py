"""Why there is no answer, told from the proof."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dpip.resolve.incompatibility import External
from dpip.resolve.solver import ancestry

if TYPE_CHECKING:
    from dpip.resolve.incompatibility import Incompatibility
    from dpip.resolve.provider import IndexProvider


@dataclass(frozen=True, slots=True)
class Explanation:
    """Lines for a person."""

    lines: tuple[str, ...]
    environment: str = ""
    """The marker of the environments that there is no answer for; empty: all."""


def explain(proof: Incompatibility, provider: IndexProvider) -> Explanation:
    """Return the explanation of a proof."""
    assert provider
    return Explanation(
        tuple(str(each.cause.fact) for each in ancestry(proof) if isinstance(each.cause, External))
    )
