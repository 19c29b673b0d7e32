"""The array of handlers, arranged by phase and RID type, so that no object looks at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .default_handlers import STANDARD_HANDLERS
from .handler import HandlerType

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..rid import RIDType
    from .handler import KnowledgeHandler

MOST_TYPES = 10_000
_STANDARD = frozenset(id(handler) for handler in STANDARD_HANDLERS)


def is_standard(handler: KnowledgeHandler) -> bool:
    """Say whether a handler is one of this library's own."""
    return id(handler) in _STANDARD


@dataclass(frozen=True, slots=True)
class Chains:
    """The handlers that see RIDs of one type, by phase; `late`: those of others, late ones."""

    phases: dict[HandlerType, list[KnowledgeHandler]]
    late: list[KnowledgeHandler]


class Arrangement:
    """Who sees which objects. `renew` takes over what was done to the array since."""

    def __init__(self) -> None:
        self._taken: list[KnowledgeHandler] = []
        self._by_type: dict[str, Chains] = {}

    def renew(self, handlers: Sequence[KnowledgeHandler]) -> None:
        """Arrange the handlers, unless they are as they were."""
        if self._taken != handlers:
            self._taken = list(handlers)
            self._by_type.clear()

    def chains(self, kind: RIDType) -> Chains:
        """Return who sees RIDs of a type, in the order of the array."""
        found = self._by_type.get(kind.text)
        if found is None:
            if len(self._by_type) > MOST_TYPES:
                self._by_type.clear()
            found = self._by_type[kind.text] = self._arranged(kind)
        return found

    def _arranged(self, kind: RIDType) -> Chains:
        phases = {
            phase: [
                handler
                for handler in self._taken
                if handler.handler_type is phase and handler.wants_type(kind)
            ]
            for phase in HandlerType
        }
        after = phases[HandlerType.Network] + phases[HandlerType.Final]
        return Chains(phases, [handler for handler in after if not is_standard(handler)])
