"""The thread between the event loop and the queue: many bodies, one commit.

While one group of broadcasts is being verified and written, the next one gathers; so the
loop never waits for a signature or a disk, and a busy node commits once for many bodies.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from typing import TYPE_CHECKING

from .responder import Broadcast, Reply, Responder

if TYPE_CHECKING:
    Waiting = tuple[Broadcast, asyncio.Future[Reply]]

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 64
MOST_WAITING = 1000
FAILED = Reply(500, b'{"detail":"the request could not be processed"}')
BUSY = Reply(503, b'{"detail":"too much waits already"}', {"retry-after": "1"})


class Intake:
    """Takes broadcasts from one event loop and answers when they are durable."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._waiting: deque[Waiting] = deque()
        self._ready = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False

    async def submit(self, broadcast: Broadcast) -> Reply:
        """Return the answer to a broadcast, once it is durable."""
        if len(self._waiting) >= MOST_WAITING:
            return BUSY
        self._loop = asyncio.get_running_loop()
        if self._thread is None:
            self._stopping = False
            self._thread = threading.Thread(target=self._work, name="koi-intake", daemon=True)
            self._thread.start()
        future: asyncio.Future[Reply] = self._loop.create_future()
        self._waiting.append((broadcast, future))
        self._ready.release()
        return await future

    def close(self) -> None:
        """Answer what waits, then end the thread."""
        if self._thread is not None:
            self._stopping = True
            self._ready.release()
            self._thread.join()
            self._thread = None

    def _work(self) -> None:
        while True:
            self._ready.acquire()
            group = [self._waiting.popleft() for _ in range(min(MOST_AT_ONCE, len(self._waiting)))]
            if group:
                self._answer(group)
            elif self._stopping:
                return

    def _answer(self, group: list[Waiting]) -> None:
        try:
            replies = self._responder.broadcast([broadcast for broadcast, _ in group])
        except Exception:  # the last net: this thread must outlive any message
            logger.exception("broadcasts could not be accepted")
            replies = [FAILED] * len(group)
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(_resolve, [future for _, future in group], replies)


def _resolve(futures: list[asyncio.Future[Reply]], replies: list[Reply]) -> None:
    for future, reply in zip(futures, replies, strict=True):
        if not future.done():
            future.set_result(reply)
