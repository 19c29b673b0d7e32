"""Metadata of source archives for a node's closure answers.

Building runs code of the index on the node's machine, on request of whoever may ask the node.
So a node builds only where it listens on loopback, for its own user; elsewhere an archive must
promise its metadata. Build requirements come straight from upstream.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from dpip.resolve.engine import Engine, Places
from dpip.resolve.place import FILE_NAME
from dpip.resolve.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


class Builds:
    """A Builder for nodes; one build at a time, since a build may use all the machine."""

    def __init__(self, find_index: Callable[[], str], directory: Path) -> None:
        self._find_index = find_index
        self._directory = directory
        self._lock = threading.Lock()

    def metadata(self, path: Path, filename: str) -> bytes:
        """Return METADATA text; raises BuildFailed or BadMetadata."""
        with self._lock:
            places = Places((self._find_index(),))
            store = Store(self._directory / FILE_NAME)
            engine = Engine(places, store, self._directory, time.time())
            try:
                return engine.sources.metadata(path, filename)
            finally:
                engine.close()
