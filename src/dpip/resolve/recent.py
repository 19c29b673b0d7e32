"""A dictionary that forgets what was not used for long."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Recent(Generic[Key, Value]):
    """A dictionary that forgets what was not used for long.

    `size` is how much all values may weigh; each weighs 1 unless it is put with another weight.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._items: OrderedDict[Key, Value] = OrderedDict()
        self._weights: dict[Key, int] = {}
        self._weight = 0

    def get(self, key: Key) -> Value | None:
        """Return a value and note its use."""
        if key not in self._items:
            return None
        self._items.move_to_end(key)
        return self._items[key]

    def put(self, key: Key, value: Value, weight: int = 1) -> None:
        """Keep a value; the oldest may go for it, but never itself."""
        self._weight += weight - self._weights.get(key, 0)
        self._weights[key] = weight
        self._items[key] = value
        self._items.move_to_end(key)
        while self._weight > self._size and len(self._items) > 1:
            oldest, _ = self._items.popitem(last=False)
            self._weight -= self._weights.pop(oldest)
