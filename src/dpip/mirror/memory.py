"""Recently served pages, bounded by bytes, least recently used first out."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpip.simple.repository import StoredPage

CAPACITY = 48 * 2**20
"""Bytes of page bodies that may stay in memory."""


class PageMemory:
    """An LRU of pages with the time until which each is fresh (seconds since the epoch)."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        self._capacity = capacity
        self._size = 0
        self._pages: OrderedDict[str, tuple[StoredPage, float]] = OrderedDict()

    def fresh(self, name: str, now: float) -> StoredPage | None:
        """Return the page if it is here and fresh at `now`."""
        held = self._pages.get(name)
        if held is None or now >= held[1]:
            return None
        self._pages.move_to_end(name)
        return held[0]

    def any(self, name: str) -> StoredPage | None:
        """Return the page if it is here, fresh or not."""
        held = self._pages.get(name)
        return held[0] if held else None

    def put(self, page: StoredPage, fresh_until: float) -> None:
        """Hold a page, letting the least recently used ones go."""
        self.drop(page.name)
        self._pages[page.name] = (page, fresh_until)
        self._size += _weight(page)
        while self._size > self._capacity and len(self._pages) > 1:
            _, (old, _) = self._pages.popitem(last=False)
            self._size -= _weight(old)

    def clear(self) -> None:
        """Let every page go."""
        self._pages.clear()
        self._size = 0

    def drop(self, name: str) -> None:
        """Let a page go; no error if it is not here."""
        held = self._pages.pop(name, None)
        if held is not None:
            self._size -= _weight(held[0])


def _weight(page: StoredPage) -> int:
    return len(page.html) + len(page.html_gzip) + len(page.json) + len(page.json_gzip)
