"""Asking a neighbour now and then what was missed, while all seems well.

News is passed on once, along the edges that are known. A node that is lost for good while it
tells its subscribers leaves some of them without the news, and nobody knows. So each node reads
the journal of one neighbour after the other: a small question, and an answer of what changed.
"""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING

from dpip.koi.journal import NO_CURSOR
from dpip.koi.protocol.edge import EdgeStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dpip.koi import KoiNetNode, NodeInterface, RIDType

EVERY = 60.0
"""Seconds between two questions, more or less."""


async def keep_up(node: NodeInterface) -> None:
    """Ask one neighbour after the other, until cancelled."""
    order = random.Random()
    while True:
        await asyncio.sleep(order.uniform(0.5, 1.5) * EVERY)
        readable = journals(node)
        if readable:
            neighbour, kinds = order.choice(readable)
            node.network.catch_up(neighbour, kinds)


def journals(node: NodeInterface) -> list[tuple[KoiNetNode, Sequence[RIDType]]]:
    """Return the providers whose journals were read before, and for which types.

    Others would have to be listed, which costs what there is of a type.
    """
    found: list[tuple[KoiNetNode, Sequence[RIDType]]] = []
    for neighbour in node.graph.get_neighbors("in", EdgeStatus.APPROVED):
        edge = node.graph.get_edge_profile(source=neighbour, target=node.identity.rid)
        if edge is not None and node.network.cursors.get(neighbour, edge.rid_types) != NO_CURSOR:
            found.append((neighbour, edge.rid_types))
    return found
