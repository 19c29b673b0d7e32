"""What a node says about itself: the contents of its node bundle."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..model import WireModel, to_plain
from ..rid import RIDType


class NodeType(StrEnum):
    """FULL nodes are web servers; PARTIAL nodes only call and poll."""

    FULL = "FULL"
    PARTIAL = "PARTIAL"


@dataclass(slots=True)
class NodeProvides(WireModel):
    """The RID types that a node sends events of, and answers state queries about."""

    event: list[RIDType] = field(default_factory=list)
    state: list[RIDType] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class NodeProfile(WireModel):
    """A node's address (with the prefix), kind, offers and public key (base64 DER SPKI)."""

    base_url: str | None = None
    node_type: NodeType
    provides: NodeProvides = field(default_factory=NodeProvides)
    public_key: str | None = None

    def contents(self) -> dict[str, Any]:
        """Return the contents of a node bundle; a node without a key has no such field."""
        plain: dict[str, Any] = to_plain(self)
        if plain["public_key"] is None:
            del plain["public_key"]
        return plain
