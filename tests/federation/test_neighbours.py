from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dpip.federation.neighbours import MOST_ASKED, Neighbours
from dpip.mirror.catalog import FileRecord

DATA = bytes(range(256)) * 4096
RECORD = FileRecord(
    hashlib.sha256(DATA).hexdigest(),
    "demo-1.0.tar.gz",
    "demo",
    "http://index.invalid/demo-1.0.tar.gz",
    hashlib.sha256(DATA).hexdigest(),
    len(DATA),
)


@dataclass
class Node:
    """A neighbour that answers with `body`, or with less, later, or not at all."""

    body: bytes | None = DATA
    cut: int = 0
    pause: float = 0.0
    asked: list[str] = field(default_factory=list)
    url: str = ""


@contextmanager
def serving(node: Node) -> Iterator[Node]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *args: Any) -> None: ...

        def do_HEAD(self) -> None:
            node.asked.append("HEAD")
            time.sleep(node.pause)
            self._begin()

        def do_GET(self) -> None:
            node.asked.append("GET")
            self._begin()
            body = node.body or b""
            self.wfile.write(body[: len(body) - node.cut])

        def _begin(self) -> None:
            self.send_response(504 if node.body is None else 200)
            self.send_header("Content-Length", str(len(node.body or b"")))
            self.send_header("Connection", "close")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    node.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield node
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Listed:
    urls: list[str]

    def near(self, record: FileRecord) -> list[str]:
        return self.urls


async def by_no_recipe(url: str, recipe: str, record: FileRecord, part: Path) -> int | None:
    return None


async def obtain(part: Path, *urls: str, insistent: bool = True) -> tuple[bool, Neighbours]:
    # Insistent: the patience of a tenth of a second is too short for a loaded machine.
    found = Neighbours(Listed(list(urls)), by_no_recipe, insistent=insistent)
    try:
        return await found.obtain(RECORD, part), found
    finally:
        await found.aclose()


def run(part: Path, *urls: str, insistent: bool = True) -> tuple[bool, Neighbours]:
    import asyncio

    return asyncio.run(obtain(part, *urls, insistent=insistent))


def test_a_file_comes_from_the_neighbour_that_holds_it(tmp_path: Path) -> None:
    part = tmp_path / "part"
    with serving(Node(body=None)) as empty, serving(Node()) as holder:
        had, neighbours = run(part, empty.url, holder.url)
    assert had
    assert part.read_bytes() == DATA
    assert empty.asked == ["HEAD"]
    assert neighbours.savings.size == neighbours.savings.moved == len(DATA)


@pytest.mark.parametrize(
    "liar",
    [
        Node(body=DATA[:-1] + b"x"),
        Node(cut=1000),
        Node(body=DATA * 2),
        Node(body=b""),
    ],
    ids=["other bytes", "truncated", "too long", "empty"],
)
def test_a_liar_costs_only_time(tmp_path: Path, liar: Node) -> None:
    part = tmp_path / "part"
    with serving(liar):
        had, neighbours = run(part, liar.url)
        assert not had
        assert not part.exists()
        assert neighbours.savings.refused == 1
        with serving(Node(pause=0.3)) as honest:
            assert run(part, liar.url, honest.url)[0]
    assert part.read_bytes() == DATA


def test_nobody_is_waited_for_while_there_is_an_upstream(tmp_path: Path) -> None:
    with serving(Node(pause=3.0)) as slow:
        begun = time.monotonic()
        had, _ = run(tmp_path / "part", slow.url, "http://127.0.0.1:9", insistent=False)
        assert not had
        assert time.monotonic() - begun < 2.5
    assert slow.asked in ([], ["HEAD"])


def test_no_more_than_three_are_asked_while_there_is_an_upstream(tmp_path: Path) -> None:
    with serving(Node(body=None)) as empty, serving(Node()) as holder:
        urls = [empty.url] * MOST_ASKED + [holder.url]
        assert not run(tmp_path / "part", *urls, insistent=False)[0]
        assert holder.asked == []
        assert run(tmp_path / "part", *urls)[0]
