"""The HTTP server of a node: listens, says when it answers, stops gracefully.

HTTP/1.1 on llhttp, an ASGI application behind it, files by sendfile. It is a server of our
own because the hot path of a package index is sending stored bytes and files, and because
limits on slow and greedy clients belong below every application.
"""

from __future__ import annotations

import asyncio
import errno
from typing import TYPE_CHECKING

from dpip.app.connection import Connection
from dpip.app.limits import Limits
from dpip.app.reuse import Answers
from dpip.errors import PortTaken, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.app.exchange import Application

BACKLOG = 2048
GRACE = 10.0
"""Seconds that responses under way have to finish when the server stops."""
PATROL = 2.0
"""Seconds between two looks for connections that are late."""


async def serve(
    application: Application,
    *,
    host: str,
    port: int,
    ready: Callable[[str], None],
    stop: asyncio.Event,
    limits: Limits | None = None,
    grace: float = GRACE,
) -> None:
    """Answer requests until `stop` is set; call `ready` with the base URL when listening.

    Port 0 takes a free one. Raises PortTaken, or UsageError for an address that is not ours.
    """
    connections: set[Connection] = set()
    chosen = limits or Limits()
    answers = Answers()
    server = await _listen(
        lambda: Connection(application, chosen, connections, answers), host, port
    )
    patrol = asyncio.create_task(_patrol(connections))
    try:
        ready(_url(server, host))
        await stop.wait()
    finally:
        server.close()
        patrol.cancel()
        await _finish(connections, grace)


async def _listen(
    factory: Callable[[], Connection], host: str, port: int
) -> asyncio.base_events.Server:
    loop = asyncio.get_running_loop()
    try:
        server = await loop.create_server(factory, host, port, backlog=BACKLOG)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortTaken(f"another process listens on {host}:{port}", port=port) from None
        raise UsageError(f"cannot listen on {host}:{port}: {error.strerror or error}") from None
    except OverflowError:
        raise UsageError(f"{port} is not a port") from None
    return server


def _url(server: asyncio.base_events.Server, host: str) -> str:
    port = server.sockets[0].getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _patrol(connections: set[Connection]) -> None:
    """Cut off the clients that are late, for as long as the server runs."""
    loop = asyncio.get_running_loop()
    while True:
        await asyncio.sleep(PATROL)
        now = loop.time()
        for connection in [late for late in connections if late.deadline < now]:
            connection.abort()


async def _finish(connections: set[Connection], grace: float) -> None:
    """Let responses under way end; cut off what still runs after `grace` seconds."""
    for connection in list(connections):
        connection.finish_soon()
    loop = asyncio.get_running_loop()
    last = loop.time() + grace
    while connections and loop.time() < last:  # noqa: ASYNC110 - they leave by many ways
        await asyncio.sleep(0.02)
    for connection in list(connections):
        connection.abort()
    # One turn of the loop, in which the transports say goodbye.
    await asyncio.sleep(0)
