"""Work on several members at once, results in order, memory bounded."""

from __future__ import annotations

import functools
import os
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

AHEAD = 32
"""Members that may be in work at once; bounds memory to as many times a spool's."""
T = TypeVar("T")
R = TypeVar("R")


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Yield `work(item)` for each item in order, some of them worked on ahead by threads."""
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(threads().submit(work, item))
            if len(waiting) >= AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for left in waiting:
            left.cancel()


@functools.cache
def threads() -> ThreadPoolExecutor:
    """Return the threads that all imports and rebuilds of this process share."""
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="archive")
