"""Between the event loop and the queue.

A small body is verified and written to the spool right on the loop, which takes less time than
waking a thread and being woken by it. A large one goes to a thread, and so does every one where
accepting waits for the disk; while that thread works on a group, the next one gathers. So the
loop waits neither for the database nor for a long body, and order is kept.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque

from .responder import Broadcast, Reply, Responder

Waiting = tuple[Broadcast, asyncio.Future[Reply]]

logger = logging.getLogger(__name__)

MOST_AT_ONCE = 64
MOST_WAITING = 1000
SMALL_BODY = 64 << 10  # bytes: up to here the loop is held for less than a millisecond or so
FAILED = Reply(500, b'{"detail":"the request could not be processed"}')
BUSY = Reply(503, b'{"detail":"too much waits already"}', {"retry-after": "1"})


class Intake:
    """Takes broadcasts from one event loop and answers when they are durable."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder
        self._waiting: deque[Waiting] = deque()
        self._at_work = 0
        self._ready = threading.Semaphore(0)
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = False

    def at_once(self, broadcast: Broadcast) -> Reply | None:
        """Accept a small broadcast and return the answer, or None if that has to wait."""
        large = len(broadcast.body) > SMALL_BODY
        if large or self._at_work or self._responder.waits_for_disk:
            return None
        return self._replies([broadcast])[0]

    async def submit(self, broadcast: Broadcast) -> Reply:
        """Return the answer to a broadcast, once it is durable."""
        reply = self.at_once(broadcast)
        if reply is not None:
            return reply
        if self._at_work >= MOST_WAITING:
            return BUSY
        loop = self._loop = asyncio.get_running_loop()
        future: asyncio.Future[Reply] = loop.create_future()
        if self._thread is None:
            self._stopping = False
            self._thread = threading.Thread(target=self._work, name="koi-intake", daemon=True)
            self._thread.start()
        self._at_work += 1
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
            while self._waiting:
                most = min(MOST_AT_ONCE, len(self._waiting))
                self._answer([self._waiting.popleft() for _ in range(most)])
            if self._stopping:
                return

    def _answer(self, group: list[Waiting]) -> None:
        replies = self._replies([broadcast for broadcast, _ in group])
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._answered, [future for _, future in group], replies)

    def _answered(self, futures: list[asyncio.Future[Reply]], replies: list[Reply]) -> None:
        self._at_work -= len(futures)
        _resolve(futures, replies)

    def _replies(self, group: list[Broadcast]) -> list[Reply]:
        try:
            return self._responder.broadcast(group)
        except Exception:  # the last net: loop and thread must outlive any message
            logger.exception("broadcasts could not be accepted")
            return [FAILED] * len(group)


def _resolve(futures: list[asyncio.Future[Reply]], replies: list[Reply]) -> None:
    for future, reply in zip(futures, replies, strict=True):
        if not future.done():
            future.set_result(reply)
