"""One object on its way through the pipeline."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec

if TYPE_CHECKING:
    from ..rid import KoiNetNode
    from .arrangement import Chains
    from .pipeline import Run
    from .rows import Item


class Job(msgspec.Struct, eq=False):
    """The object, who sees it, and how far it got; `mine`: a handler of others has seen it."""

    item: Item
    sender: KoiNetNode | None
    chains: Chains
    run: Run = cast("Run", None)  # set as soon as there is a job that it can belong to
    mine: bool = False
