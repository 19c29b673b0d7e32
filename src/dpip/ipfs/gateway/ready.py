"""Answers kept ready to send.

What lies under `/ipfs/` never changes, so an answer may be kept for as long as there is room;
what lies under `/ipns/` is kept for a second, far less than any record lets caches keep it.
A block that is deleted may be answered from here for a while: content that was right stays
right.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

Key = tuple[Any, ...]
MUTABLE_FOR = 10**9
"""How long an answer about a name is kept, in nanoseconds."""


@dataclass(frozen=True, slots=True)
class Prepared:
    """The two messages of an answer, and when it must be made anew (0 is never)."""

    start: dict[str, Any]
    body: dict[str, Any]
    expires: int = 0

    @property
    def cost(self) -> int:
        """About how much memory it takes, in bytes."""
        return len(self.body["body"]) + 2048


class Ready:
    """The recently used answers, up to `capacity` bytes."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._held: OrderedDict[Key, Prepared] = OrderedDict()
        self._size = 0

    def get(self, key: Key) -> Prepared | None:
        """Return an answer, or None; the caller looks at its expiry."""
        found = self._held.get(key)
        if found is not None:
            self._held.move_to_end(key)
        return found

    def put(self, key: Key, prepared: Prepared) -> None:
        """Keep an answer; the least recently used make room."""
        self.discard(key)
        self._held[key] = prepared
        self._size += prepared.cost
        while self._size > self._capacity:
            _, oldest = self._held.popitem(last=False)
            self._size -= oldest.cost

    def discard(self, key: Key) -> None:
        """Forget an answer."""
        old = self._held.pop(key, None)
        if old is not None:
            self._size -= old.cost

    def clear(self) -> None:
        """Forget all answers."""
        self._held.clear()
        self._size = 0
