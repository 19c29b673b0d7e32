"""Nodes for tests: in a directory of their own, served on a free loopback port."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import uvicorn

from dpip.koi import NodeInterface
from dpip.koi.protocol.node import NodeProfile, NodeProvides, NodeType
from dpip.koi.server import server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from dpip.koi import RIDType


def make(
    home: Path,
    *,
    base_url: str | None = None,
    event: list[RIDType] | None = None,
    state: list[RIDType] | None = None,
    **options: Any,
) -> NodeInterface:
    """Return a node whose state is in `home`; FULL if it has a URL."""
    home.mkdir(parents=True, exist_ok=True)
    return NodeInterface(
        name=home.name,
        profile=NodeProfile(
            base_url=base_url,
            node_type=NodeType.FULL if base_url else NodeType.PARTIAL,
            provides=NodeProvides(event=event or [], state=state or []),
        ),
        identity_file_path=home / "identity.json",
        event_queues_file_path=home / "event_queues.json",
        cache_directory_path=home / "rid_cache",
        **options,
    )


@contextmanager
def served(application: Any) -> Iterator[int]:
    """Serve an ASGI app on a free port."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    with serving(application, listener):
        yield listener.getsockname()[1]


@contextmanager
def serving(application: Any, listener: socket.socket) -> Iterator[None]:
    config = uvicorn.Config(application, log_level="warning", lifespan="on")
    with running(uvicorn.Server(config), listener):
        yield


@contextmanager
def running(server: uvicorn.Server, listener: socket.socket) -> Iterator[None]:
    """Run a server in a thread until the block ends."""
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        until(lambda: server.started or not thread.is_alive())
        assert server.started
        yield
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@contextmanager
def full_node(home: Path, **options: Any) -> Iterator[NodeInterface]:
    """Return a full node that is started and served, the short way, until the block ends."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/koi-net"
    node = make(home, base_url=url, use_kobj_processor_thread=True, **options)
    with running(server(node), listener):
        yield node
    node.store.close()


@contextmanager
def partial_node(home: Path, **options: Any) -> Iterator[NodeInterface]:
    """Return a started partial node."""
    node = make(home, **options)
    node.start()
    try:
        yield node
    finally:
        node.close()


def until(condition: Callable[[], Any], *, seconds: float = 20.0) -> Any:
    """Wait for a condition and return what it gave; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.01)
    return found
