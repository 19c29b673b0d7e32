"""Questions to the catalog, for the modules that keep a table of their own in it."""

from __future__ import annotations

from typing import Any, Protocol


class Rows(Protocol):
    """What answers them: a `Catalog`."""

    def read(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return the rows of an SQL query."""
        ...
