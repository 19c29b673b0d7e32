"""What the default handlers see of a node: a small part of the processor and its network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from datetime import datetime

    from ..bundle import Bundle, Manifest
    from ..network.graph import NetworkGraph
    from ..protocol.event import Event
    from ..protocol.node import NodeProfile
    from ..rid import RID, KoiNetNode, RIDType
    from .knowledge_object import KnowledgeEventType


class Identity(Protocol):
    """Who this node is."""

    @property
    def rid(self) -> KoiNetNode:
        """Its RID."""
        ...

    @property
    def profile(self) -> NodeProfile:
        """What it says of itself."""
        ...

    @property
    def bundle(self) -> Bundle:
        """Its profile, as others are sent it."""
        ...


class Network(Protocol):
    """Whom it knows, and how to tell them something."""

    @property
    def graph(self) -> NetworkGraph:
        """Nodes and edges."""
        ...

    @property
    def undated(self) -> Container[RIDType]:
        """The types whose times do not say what is newer."""
        ...

    def push_event_to(self, event: Event, node: KoiNetNode) -> None:
        """Queue an event for a node."""
        ...

    def catch_up(
        self, node: KoiNetNode, rid_types: Sequence[RIDType], *, after: float = 0.0
    ) -> None:
        """Learn, on the side and after some seconds, what a node has of some types."""
        ...


class Processor(Protocol):
    """The processor, as a handler is handed it."""

    @property
    def identity(self) -> Identity:
        """Who this node is."""
        ...

    @property
    def network(self) -> Network:
        """Whom it knows."""
        ...

    @property
    def rid_types_of_interest(self) -> Sequence[RIDType] | None:
        """What it subscribes to where it is offered; None: everything."""
        ...

    def now(self) -> datetime:
        """Return this moment."""
        ...

    def cached_manifest(self, rid: RID) -> Manifest | None:
        """Return what the cache holds of a RID, without its contents."""
        ...

    def handle(
        self,
        rid: RID | None = None,
        *,
        bundle: Bundle | None = None,
        event_type: KnowledgeEventType = None,
    ) -> None:
        """Queue one piece of knowledge of this node's own."""
        ...
