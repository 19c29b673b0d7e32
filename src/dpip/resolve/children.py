"""Programs that a run has started, and the directories that they work in: all end with the run."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dpip.resolve.errors import BuildFailed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PATIENCE = 0.5
"""Seconds that a run which ends waits for rooms to be cleared."""


class Children:
    """Starts programs in rooms of their own, and stops them; thread-safe."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._rooms = 0
        self._stopped = False
        self._changed = threading.Condition()

    @contextmanager
    def room(self, prefix: str, beside: Path | None = None) -> Iterator[Path]:
        """Yield a new directory that is gone afterwards."""
        with self._changed:
            self._rooms += 1
        try:
            with tempfile.TemporaryDirectory(
                prefix=prefix, dir=beside, ignore_cleanup_errors=True
            ) as made:
                yield Path(made)
        finally:
            with self._changed:
                self._rooms -= 1
                self._changed.notify_all()

    def run(self, command: Sequence[str], data: bytes, **options: Any) -> int:
        """Run a program with `data` as its input; return its exit code. Raises BuildFailed."""
        with self._changed:
            if self._stopped:
                raise BuildFailed("the run has ended")
            child = subprocess.Popen(command, stdin=subprocess.PIPE, **options)
            self._running.add(child)
        try:
            child.communicate(data)
        finally:
            with self._changed:
                self._running.discard(child)
        return child.returncode

    def stop(self) -> None:
        """End what is running, and wait a moment until its rooms are cleared."""
        with self._changed:
            self._stopped = True
            for child in self._running:
                child.kill()
            self._changed.wait_for(lambda: not self._rooms, PATIENCE)
