"""The array of handlers, arranged by phase and RID type, so that no object looks at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from .default_handlers import STANDARD_HANDLERS
from .handler import HandlerType, KnowledgeHandler

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..rid import RIDType
    from .handler import HandlerFunction

MOST_TYPES = 10_000
_STANDARD = frozenset(id(handler) for handler in STANDARD_HANDLERS)


class Seeing(msgspec.Struct, frozen=True):
    """A handler in its chain: `always` if it has no filter but the type, `ours` if it is one."""

    handler: KnowledgeHandler
    func: HandlerFunction
    always: bool
    ours: bool


class Chains(msgspec.Struct, frozen=True):
    """The handlers that see RIDs of one type, by phase; `late`: those of others, late ones."""

    phases: dict[HandlerType, list[Seeing]]
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
                _seeing(handler)
                for handler in self._taken
                if handler.handler_type is phase and handler.wants_type(kind)
            ]
            for phase in HandlerType
        }
        after = phases[HandlerType.Network] + phases[HandlerType.Final]
        return Chains(phases, [one.handler for one in after if not one.ours])


def _seeing(handler: KnowledgeHandler) -> Seeing:
    always = handler.source is None and handler.event_types is None
    return Seeing(handler, handler.func, always, id(handler) in _STANDARD)
