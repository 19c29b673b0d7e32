"""What the command line asks of a running node: written into the ledger, done by the node.

The protocol's endpoints are for everybody, so none of them can be used for this. Whoever may
write into the home may give orders.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from dpip.errors import DpipError
from dpip.koi import RID, EventType, KoiError, KoiNetNode
from dpip.koi.errors import UnreachablePeer
from dpip.koi.network.contact import Contact
from dpip.koi.protocol.consts import PREFIX

if TYPE_CHECKING:
    from dpip.federation.dropped import Dropped
    from dpip.federation.ledger import Ledger
    from dpip.koi import NodeInterface

log = logging.getLogger(__name__)
LOOK_EVERY = 0.2
ANSWER = 5.0
"""Seconds for which a node that was introduced may take to say who it is."""


class OrderFailed(DpipError):
    """The node could not do what it was asked for."""

    slug = "order-failed"


class Orders:
    """Does what is ordered of one node, until cancelled."""

    def __init__(self, ledger: Ledger, node: NodeInterface, dropped: Dropped) -> None:
        self._ledger = ledger
        self._node = node
        self._dropped = dropped

    async def run(self) -> None:
        """Do orders as they come. What an earlier run left is given up: nobody waits for it."""
        self._ledger.drop_orders()
        while True:
            await asyncio.sleep(LOOK_EVERY)
            for number, what, argument in await asyncio.to_thread(self._ledger.orders):
                outcome = await asyncio.to_thread(self._done, what, argument)
                await asyncio.to_thread(self._ledger.ordered, number, outcome)

    def _done(self, what: str, argument: str) -> str:
        """Do one order; return what to say of it, after `ok ` or `no `."""
        try:
            return "ok " + {"add": self._add, "drop": self._drop, "forget": self._forget}[what](
                argument
            )
        except (KoiError, LookupError, ValueError) as error:
            return f"no {error}"

    def _add(self, text: str) -> str:
        contact = Contact.parse(contact_url(text))
        runner, network = self._node.network.runner, self._node.network

        async def introduce() -> KoiNetNode | None:
            peer = await network.caller.peer(contact.rid, contact.url)
            if peer.rid is not None:
                self._dropped.remove(peer.rid)
            await network.caller.introduce(peer)
            for _ in range(int(ANSWER / LOOK_EVERY)):
                found = peer.rid or network.graph.node_at(contact.url)
                if found is not None and network.graph.get_node_profile(found) is not None:
                    return found
                await runner.sleep(LOOK_EVERY)
            return None

        found = runner.call(introduce())
        if found is None:
            raise UnreachablePeer(f"{contact.url} was told of this node, and has not answered yet")
        return str(found)

    def _drop(self, text: str) -> str:
        node = self._known(text)
        self._dropped.add(node)
        for edge in self._node.graph.edges_of(node):
            self._node.processor.handle(rid=edge, event_type=EventType.FORGET)
        self._node.processor.handle(rid=node, event_type=EventType.FORGET)
        return str(node)

    def _known(self, text: str) -> KoiNetNode:
        """Return the node of a RID, of the hash at its end, or of a URL."""
        for rid, profile in self._node.graph.profiles():
            url = (profile.base_url or "").removesuffix(PREFIX).rstrip("/")
            if rid != self._node.identity.rid and text.rstrip("/") in {str(rid), rid.id, url}:
                return rid
        raise LookupError(f"no node {text[:200]!r} is known")

    def _forget(self, text: str) -> str:
        rid = RID.from_string(text)
        if rid == self._node.identity.rid or not self._node.cache.exists(rid):
            raise LookupError(f"nothing is held of {text[:200]!r}")
        self._node.processor.handle(rid=rid, event_type=EventType.FORGET)
        return str(rid)


def contact_url(contact: str) -> str:
    """Return a contact (URL or RID@URL) with the prefix of the protocol, often left out."""
    contact = contact.rstrip("/")
    return contact if contact.endswith(PREFIX) else contact + PREFIX
