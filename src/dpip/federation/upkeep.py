"""Asking neighbours now and then what was missed, and to tell us, while all seems well.

News is passed on once, along the edges that are known. A node that is lost for good while it
tells its subscribers leaves some of them without the news, and nobody knows. So each node reads
the journal of one neighbour after the other: a small question, and an answer of what changed.

A provider that is new is asked once more soon: what it heard after it was read, and before it
had approved the subscription, was told to nobody here.

A subscription can get lost while nodes join: one that introduces itself is forgotten and known
again, and its edges go a moment later. So whoever does not tell this node is asked to.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import TYPE_CHECKING

from dpip.koi import Bundle, Event, EventType, KoiNetNode
from dpip.koi.journal import NO_CURSOR
from dpip.koi.processor.default_handlers import subscribe, types_of_interest
from dpip.koi.protocol.edge import EdgeStatus
from dpip.koi.protocol.node import NodeType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dpip.koi import NodeInterface, RIDType

SOON = 5.0
"""Seconds until a new provider is asked again, more or less."""
BEATS = 12
"""How many times that is from one question to anybody to the next."""


async def keep_up(node: NodeInterface) -> None:
    """Ask new providers soon, and one neighbour after the other, until cancelled."""
    order, asked, silent = random.Random(), set[KoiNetNode](), Silent()
    for beat in itertools.count(1):
        await asyncio.sleep(order.uniform(0.5, 1.5) * SOON)
        for provider in silent.due(strangers(node)):
            await asyncio.to_thread(ask_to_tell, node, provider)
        readable = journals(node)
        due = [one for one in readable if one[0] not in asked]
        if readable and not due and beat % BEATS == 0:
            due = [order.choice(readable)]
        for neighbour, kinds in due:
            asked.add(neighbour)
            node.network.catch_up(neighbour, kinds)


class Silent:
    """How long each provider has not told this node anything, counted in looks.

    Each is asked at the second look, then ever more seldom: it may refuse, or be gone for good.
    """

    def __init__(self) -> None:
        self._looks: dict[KoiNetNode, int] = {}

    def due(self, silent: Sequence[KoiNetNode]) -> list[KoiNetNode]:
        """Return those that are to be asked now."""
        self._looks = {one: self._looks.get(one, 0) + 1 for one in silent}
        return [one for one, looks in self._looks.items() if looks > 1 and looks.bit_count() == 1]


def strangers(node: NodeInterface) -> list[KoiNetNode]:
    """Return the nodes that offer what this one wants, and have not agreed to tell it."""
    telling = set(node.graph.get_neighbors("in", EdgeStatus.APPROVED))
    return [
        rid
        for rid, profile in node.graph.profiles()
        if rid not in telling
        and rid != node.identity.rid
        and profile.node_type == NodeType.FULL
        and types_of_interest(node.processor, profile)
    ]


def ask_to_tell(node: NodeInterface, provider: KoiNetNode) -> None:
    """Ask a provider to tell this node its news, as if for the first time."""
    edge = node.graph.edge_between(provider, node.identity.rid)
    held = None if edge is None else node.cache.read(edge)
    if held is not None:
        # Dated anew: of the old proposal it may know that it is forgotten.
        bundle = Bundle.generate(held.rid, held.contents, now=node.processor.now())
        node.network.push_event_to(Event.from_bundle(EventType.NEW, bundle), provider)
        return
    profile = node.graph.get_node_profile(provider)
    if profile is not None:
        subscribe(node.processor, provider, profile)


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
