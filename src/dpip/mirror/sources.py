"""The sources of pages by their name in the routing table, built as the table names them.

A source is "upstream", "private" (names that only this mirror has), or the URL of an index.
Which name has which source is decided by `simple.routing`; this keeps one `Pages` for each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.errors import UsageError
from dpip.simple.names import normalize
from dpip.simple.routing import DEFAULT_SOURCE, Routes

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dpip.mirror.repository import Pages

PRIVATE = "private"


class Sources:
    """The routing table in force, and the pages of every source that it names.

    `pages` is a live mapping: `use` adds what a new table needs before it takes effect.
    """

    def __init__(self, table: Mapping[str, str], make: Callable[[str], Pages]) -> None:
        self._make = make
        self.pages: dict[str, Pages] = {name: make(name) for name in (DEFAULT_SOURCE, PRIVATE)}
        self.routes = Routes()
        self.use(table)

    def use(self, table: Mapping[str, str]) -> None:
        """Put a table of patterns and sources in force. Raises UsageError for a bad one."""
        routes = Routes.from_patterns(table)
        for name in sorted(routes.sources - self.pages.keys()):
            self.pages[name] = self._make(name)
        self.routes = routes

    @property
    def questions(self) -> int:
        """Questions to all sources since start."""
        return sum(pages.questions for pages in self.pages.values())

    async def close(self) -> None:
        """Stop the questions that are open."""
        for pages in self.pages.values():
            await pages.close()


def row(pattern: str, source: str) -> tuple[str, str]:
    """Return a row of the table in its one spelling. Raises UsageError."""
    Routes.from_patterns({pattern: source})
    if source not in {DEFAULT_SOURCE, PRIVATE} and not source.startswith(("https://", "http://")):
        raise UsageError(
            f"{source!r} is no source", hint="a source is upstream, private or an index URL"
        )
    if pattern.endswith("*"):
        stem = normalize(pattern.rstrip("*-_."))
        return (f"{stem}-*" if stem else "*"), source
    return normalize(pattern), source
