"""A Runner without threads: what a node does on the side happens when the test says so."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Generator
from heapq import heappop, heappush
from typing import Any, TypeVar

T = TypeVar("T")


class _Pause:
    """An awaitable that hands its length to the scheduler."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __await__(self) -> Generator[float, None, None]:
        yield self._seconds


class Scheduler:
    """Runs coroutines in the order in which they were started; pauses are virtual time."""

    def __init__(self) -> None:
        self.time = 0.0
        self._ready: deque[Coroutine[Any, Any, Any]] = deque()
        self._asleep: list[tuple[float, int, Coroutine[Any, Any, Any]]] = []
        self._count = 0

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end and return the result; pauses pass at once."""
        while True:
            try:
                work.send(None)
            except StopIteration as end:
                result: T = end.value
                return result

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run when the test lets time pass, or waits for this node."""
        self._ready.append(work)

    def soon(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function now: there is only one thread."""
        function(*args)

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await _Pause(seconds)

    async def gather(self, work: list[Coroutine[Any, Any, T]]) -> list[T]:
        """Run one after the other."""
        return [await one for one in work]

    def turn(self) -> bool:
        """Run everything that is ready; say whether there was anything."""
        ran = bool(self._ready)
        for _ in range(len(self._ready)):
            self._run(self._ready.popleft())
        return ran

    def advance(self, seconds: float) -> None:
        """Let virtual time pass and wake what sleeps until then."""
        self.time += seconds
        while self._asleep and self._asleep[0][0] <= self.time:
            self._ready.append(heappop(self._asleep)[2])
        self.turn()

    def _run(self, work: Coroutine[Any, Any, Any]) -> None:
        try:
            pause = work.send(None)
        except StopIteration:
            return
        self._count += 1
        heappush(self._asleep, (self.time + float(pause), self._count, work))

    def close(self) -> None:
        """Drop what still waits."""
        for work in [*self._ready, *(work for _, _, work in self._asleep)]:
            work.close()
        self._ready.clear()
        self._asleep.clear()
