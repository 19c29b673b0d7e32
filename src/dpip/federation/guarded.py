"""Names that are private to a listed node which allows this one to hear of them.

Such a name has one source from then on, like a private one: what its guardians say. It is never
asked for upstream, and a node that is listed but says nothing of its being private, such as a
mirror of a public index where somebody took the name, has no say in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpip.federation.ledger import Ledger
    from dpip.koi import KoiNetNode


class Guarded:
    """The guarded names of a home and the keys of their guardians. Safe from any thread."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._guardians: dict[str, frozenset[str]] = {}
        for name, guardian in ledger.guardians():
            self._guardians[name] = self._guardians.get(name, frozenset()) | {guardian}

    @property
    def names(self) -> frozenset[str]:
        """All guarded names."""
        return frozenset(self._guardians)

    def __contains__(self, name: object) -> bool:
        """Say whether a normalized name is guarded."""
        return name in self._guardians

    def guardians(self, name: str) -> frozenset[str]:
        """Return the key hashes of the nodes that say that a name is private."""
        return self._guardians.get(name, frozenset())

    def by(self, name: str, node: KoiNetNode | None) -> bool:
        """Say whether a node is a guardian of a name."""
        return node is not None and node.id in self._guardians.get(name, ())

    def add(self, name: str, node: KoiNetNode) -> bool:
        """Note, durably, that a listed node says that a name is private; say if that is new."""
        if self.by(name, node):
            return False
        self._ledger.guard(name, node.id)
        new = name not in self._guardians
        self._guardians[name] = self._guardians.get(name, frozenset()) | {node.id}
        return new
