"""Handlers: functions that look at a knowledge object in one phase of the pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from ..model import quick
from ..protocol.event import EventType
from ..rid import RIDType
from .knowledge_object import KnowledgeEventType, KnowledgeObject, KnowledgeSource


class StopChain:
    """The type of STOP_CHAIN: end the processing of this object here."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "STOP_CHAIN"


STOP_CHAIN: Final = StopChain()

HandlerFunction = Callable[[Any, KnowledgeObject], "KnowledgeObject | StopChain | None"]


@quick
class HandlerType(StrEnum):
    """The five phases, in their order.

    RID and Manifest filter; Bundle decides what happens in the cache, by setting
    `normalized_event_type`; Network decides who is told, by adding to `network_targets`;
    Final comes after everything.
    """

    RID = "rid"
    Manifest = "manifest"
    Bundle = "bundle"
    Network = "network"
    Final = "final"


@dataclass(frozen=True, slots=True)
class KnowledgeHandler:
    """A function `(processor, kobj)`, its phase, and which objects it wants to see.

    `func` returns None (object unchanged), the changed object, or STOP_CHAIN. A filter that
    is None or empty lets everything through; `event_types` may name None for objects without one.
    """

    func: HandlerFunction
    handler_type: HandlerType
    rid_types: Sequence[RIDType] | None = None
    source: KnowledgeSource | None = None
    event_types: Sequence[KnowledgeEventType] | None = None

    @classmethod
    def create(
        cls,
        handler_type: HandlerType,
        rid_types: Sequence[RIDType] | None = None,
        source: KnowledgeSource | None = None,
        event_types: Sequence[KnowledgeEventType] | None = None,
    ) -> Callable[[HandlerFunction], KnowledgeHandler]:
        """Turn the decorated function into a handler that any processor can be given."""

        def decorator(func: HandlerFunction) -> KnowledgeHandler:
            return cls(func, handler_type, rid_types, source, event_types)

        return decorator

    def wants(self, kobj: KnowledgeObject) -> bool:
        """Say whether the object passes the handler's filters."""
        return self.wants_type(type(kobj.rid)) and self.wants_event(kobj)

    def wants_type(self, kind: RIDType) -> bool:
        """Say whether the handler sees objects whose RIDs are of a type."""
        return not self.rid_types or kind in self.rid_types

    def wants_event(self, kobj: KnowledgeObject) -> bool:
        """Say whether the object passes the filters on source and event type."""
        return (not self.source or kobj.source == self.source) and (
            not self.event_types or kobj.event_type in self.event_types
        )


__all__ = ["STOP_CHAIN", "EventType", "HandlerType", "KnowledgeHandler", "StopChain"]
