"""Asking a neighbour now and then what was missed, while all seems well.

News is passed on once, along the edges that are known. A node that is lost for good while it
tells its subscribers leaves some of them without the news, and nobody knows. So each node reads
the journal of one neighbour after the other: a small question, and an answer of what changed.

A provider that is new is asked once more soon: what it heard after it was read, and before it
had approved the subscription, was told to nobody here.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING

from dpip.koi import KoiNetNode
from dpip.koi.journal import NO_CURSOR
from dpip.koi.protocol.edge import EdgeStatus

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dpip.koi import NodeInterface, RIDType

SOON = 5.0
"""Seconds until a new provider is asked again, more or less."""
BEATS = 12
"""How many times that is from one question to anybody to the next."""


async def keep_up(node: NodeInterface) -> None:
    """Ask new providers soon, and one neighbour after the other, until cancelled."""
    order, asked = random.Random(), set[KoiNetNode]()
    for beat in itertools.count(1):
        await asyncio.sleep(order.uniform(0.5, 1.5) * SOON)
        readable = journals(node)
        due = [one for one in readable if one[0] not in asked]
        if readable and not due and beat % BEATS == 0:
            due = [order.choice(readable)]
        for neighbour, kinds in due:
            asked.add(neighbour)
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
