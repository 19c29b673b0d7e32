"""Which neighbours did badly of late, so that one that lies or stalls costs time once. Pure.

Nothing is remembered for long: a node that was restarted, or mended, is asked again soon.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

ABSENT = 5.0
"""Seconds for which a node that could not be reached is passed over."""
FAILED = 60.0
"""Seconds for which one that broke off, stalled or sent another file is passed over."""
MOST = 10_000


class Standing:
    """Until when each neighbour is passed over, by its URL. Times are any seconds that go up."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def blame(self, url: str, now: float, seconds: float) -> None:
        """Pass a neighbour over for so long."""
        if len(self._until) >= MOST:
            self._until = {one: until for one, until in self._until.items() if until > now}
        self._until[url] = max(now + seconds, self._until.get(url, 0.0))

    def sound(self, urls: Iterable[str], now: float) -> list[str]:
        """Return those that did nothing wrong lately, in the order given."""
        return [url for url in urls if self._until.get(url, 0.0) <= now]

    def all(self, urls: Iterable[str], now: float) -> list[str]:
        """Return all, those that did something wrong last."""
        found = list(urls)
        sound = set(self.sound(found, now))
        return sorted(found, key=lambda url: url not in sound)
