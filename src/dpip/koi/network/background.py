"""An event loop in a thread of its own, so that slow peers delay neither user nor server."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from ..errors import KoiError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

T = TypeVar("T")


class Runner(Protocol):
    """Runs the coroutines of the network side. Every method may be called from any thread."""

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end and return the result."""
        ...

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run on the side; errors are the coroutine's own business."""
        ...

    def soon(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function in the loop's thread."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def gather(self, work: list[Coroutine[Any, Any, T]]) -> list[T]:
        """Run all, at once if that is possible; the results in the order given."""
        ...

    def turn(self) -> bool:
        """Run side work in this thread, if that is where it runs; say if there was any."""
        ...

    def close(self) -> None:
        """Cancel what still runs and stop."""
        ...


class Background:
    """A Runner with a daemon thread that starts when it is first needed."""

    def __init__(self, name: str = "koi-network") -> None:
        self._name = name
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._tasks: set[asyncio.Task[Any]] = set()

    @property
    def running(self) -> bool:
        """Whether the thread was needed so far."""
        return self._loop is not None

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(
                    target=self._loop.run_forever, name=self._name, daemon=True
                )
                self._thread.start()
            return self._loop

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Run to the end and return the result; not from the loop's own thread."""
        loop = self._running()
        if threading.current_thread() is self._thread:
            work.close()
            raise KoiError("a blocking call from the network thread would wait for itself")
        return asyncio.run_coroutine_threadsafe(work, loop).result()

    def spawn(self, work: Coroutine[Any, Any, Any]) -> None:
        """Run on the side."""
        self._running().call_soon_threadsafe(self._start, work)

    def _start(self, work: Coroutine[Any, Any, Any]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def soon(self, function: Callable[..., None], *args: Any) -> None:
        """Call a function in the loop's thread."""
        self._running().call_soon_threadsafe(function, *args)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)

    async def gather(self, work: list[Coroutine[Any, Any, T]]) -> list[T]:
        """Run all at once."""
        return list(await asyncio.gather(*work))

    def turn(self) -> bool:
        """Side work runs in its own thread."""
        return False

    def close(self) -> None:
        """Cancel what still runs, stop the loop and its thread."""
        with self._lock:
            loop, thread = self._loop, self._thread
            self._loop = self._thread = None
        if loop is None or thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()

    async def _cancel_all(self) -> None:
        me = asyncio.current_task()
        tasks = [task for task in asyncio.all_tasks() if task is not me]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.get_running_loop().shutdown_default_executor()
