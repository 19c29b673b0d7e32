"""Threads that wait for answers, so that the one that decides does not.

The threads are daemons: a run that is done, or interrupted, does not wait for prefetches that
nobody needs any more.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

IN_FLIGHT = 50
"""Requests under way at once, at most."""


class Workers:
    """Runs jobs in up to `limit` threads, in the order they were given; threads start lazily."""

    def __init__(self, limit: int = IN_FLIGHT) -> None:
        self._limit = limit
        self._jobs: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def submit(self, job: Callable[[], None]) -> None:
        """Run `job` soon; it must not raise."""
        with self._lock:
            if self._closed:
                return
            self._jobs.put(job)
            if self._idle > 0:
                self._idle -= 1
                return
            if self._threads >= self._limit:
                return
            self._threads += 1
        threading.Thread(target=self._work, daemon=True).start()

    def close(self) -> None:
        """Let idle threads end; jobs not yet begun are dropped."""
        with self._lock:
            self._closed = True
            threads = self._threads
        for _ in range(threads):
            self._jobs.put(None)

    def _work(self) -> None:
        while True:
            job = self._jobs.get()
            if job is None or self._closed:
                return
            job()
            with self._lock:
                self._idle += 1
