"""A file sent by the kernel: os.sendfile on a socket that an event loop owns.

The loop's transport keeps the socket; a duplicate of its descriptor is what is written to
here, because loops refuse to watch a descriptor of a transport. That is safe while the
transport has nothing to write, which the connection sees to. Each time the socket takes
bytes, at most STEP are handed to it, so that other connections get their turn.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable

STEP = 2**21
AVAILABLE = hasattr(os, "sendfile")
_CANNOT = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOVERFLOW})


class SendfileRefused(Exception):
    """The kernel cannot send this file; `sent` bytes of it went out before."""

    def __init__(self, sent: int) -> None:
        super().__init__(sent)
        self.sent = sent


class FilePump:
    """Sends one head and one span of a file to a socket, as fast as the client takes them."""

    def __init__(
        self,
        out: socket.socket,
        file: BinaryIO,
        offset: int,
        count: int,
        progress: Callable[[], None],
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._out = out
        self._file = file.fileno()
        self._offset, self._end, self._begin = offset, offset + count, offset
        self._progress = progress
        self._head = memoryview(b"")
        self._done: asyncio.Future[None] = self._loop.create_future()

    async def run(self, head: bytes) -> None:
        """Send everything. Raises SendfileRefused, or OSError where the client has gone."""
        self._head = memoryview(head)
        self._step()
        if self._done.done():
            return self._done.result()
        self._loop.add_writer(self._out, self._step)
        try:
            await self._done
        finally:
            self._loop.remove_writer(self._out)
        return None

    def fail(self, error: Exception) -> None:
        """End the transfer from outside: the connection is lost."""
        if not self._done.done():
            self._done.set_exception(error)

    def _step(self) -> None:
        """Hand over bytes until the socket is full, or until it is somebody else's turn."""
        if self._done.done():
            return
        begin = self._offset
        try:
            while self._head:
                self._send_head()
            while self._offset < self._end and self._offset - begin < STEP:
                self._send_span()
        except (BlockingIOError, InterruptedError):
            pass
        except (OSError, EOFError) as error:
            self.fail(self._refusal(error))
            return
        if self._offset > begin:
            self._progress()
        if self._offset >= self._end and not self._head:
            self._done.set_result(None)

    def _send_head(self) -> None:
        more = getattr(socket, "MSG_MORE", 0) if self._offset < self._end else 0
        self._head = self._head[self._out.send(self._head, more) :]

    def _send_span(self) -> None:
        left = min(self._end - self._offset, STEP)
        sent = os.sendfile(self._out.fileno(), self._file, self._offset, left)
        if sent == 0:
            raise EOFError("the file became shorter while it was sent")
        self._offset += sent

    def _refusal(self, error: OSError | EOFError) -> Exception:
        if isinstance(error, OSError) and error.errno in _CANNOT:
            return SendfileRefused(self._offset - self._begin)
        return error
