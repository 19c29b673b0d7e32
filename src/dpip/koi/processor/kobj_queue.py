"""`processor.kobj_queue`: the durable queue, with the vocabulary of `queue.Queue`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .knowledge_object import KnowledgeObject


class _Owner(Protocol):
    @property
    def queue_size(self) -> int: ...

    def accept(self, kobjs: Sequence[KnowledgeObject]) -> None: ...

    def flush_kobj_queue(self, timeout: float | None = None) -> None: ...


class KnowledgeQueue:
    """What was handed to `handle` and is not processed yet; first in, first out.

    Objects are taken out by the processor alone, so that none is lost between the two.
    """

    def __init__(self, owner: _Owner) -> None:
        self._owner = owner

    def put(self, kobj: KnowledgeObject) -> None:
        """Queue an object; raises QueueFull."""
        self._owner.accept([kobj])

    def qsize(self) -> int:
        """Return how many objects wait, the one at hand included."""
        return self._owner.queue_size

    def empty(self) -> bool:
        """Say whether everything is processed."""
        return self._owner.queue_size == 0

    @property
    def unfinished_tasks(self) -> int:
        """How many objects are not processed yet."""
        return self._owner.queue_size

    def join(self) -> None:
        """Return when everything is processed."""
        self._owner.flush_kobj_queue()
