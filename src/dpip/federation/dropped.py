"""Nodes that the operator has dropped: whatever they say, it is as if they were not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpip.federation.ledger import Ledger
    from dpip.koi import KoiNetNode


class Dropped:
    """The dropped nodes of a home, kept in its ledger. Safe from any thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._nodes = frozenset(ledger.dropped())

    def __contains__(self, node: object) -> bool:
        """Say whether a node is dropped; its name does not matter."""
        return getattr(node, "id", None) in self._nodes

    def add(self, node: KoiNetNode) -> None:
        """Drop a node, durably."""
        self._ledger.drop(node.id)
        self._nodes |= {node.id}

    def remove(self, node: KoiNetNode) -> None:
        """Take a node back."""
        self._ledger.undrop(node.id)
        self._nodes -= {node.id}
