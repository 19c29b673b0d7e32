"""Where files of neighbours are asked for: not inside this node's own network, whoever says so."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from tests.federation.test_neighbours import RECORD

from dpip.federation.offers import NeighbourFailed, Offer
from dpip.federation.whole import WholeFiles
from dpip.koi.network.address import AddressPolicy

OUTSIDE = AddressPolicy.for_node("https://node.example/koi-net")
INSIDE = AddressPolicy.for_node("http://127.0.0.1:1/koi-net")


class Inner(ThreadingHTTPServer):
    """A server of the inside. It keeps what it was asked, and sends on from `/moved`."""

    daemon_threads = True

    def __init__(self) -> None:
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), Answers)

    @property
    def port(self) -> int:
        return int(self.server_address[1])


class Answers(BaseHTTPRequestHandler):
    server: Inner

    def do_HEAD(self) -> None:
        self.server.asked.append(self.path)
        moved = self.path.startswith("/moved")
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", f"http://127.0.0.1:{self.server.port}/inside")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep quiet."""


@pytest.fixture
def inner() -> Iterator[Inner]:
    server = Inner()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(addresses: AddressPolicy, url: str) -> Offer | None:
    async def work() -> Offer | None:
        whole = WholeFiles(addresses)
        try:
            return await whole.ask(url, RECORD)
        finally:
            await whole.aclose()

    return asyncio.run(work())


def test_a_name_that_leads_inside_is_not_followed(inner: Inner) -> None:
    with pytest.raises(NeighbourFailed, match="inside this node's own network"):
        ask(OUTSIDE, f"http://localhost:{inner.port}")
    assert inner.asked == []


def test_where_that_is_allowed_it_is(inner: Inner) -> None:
    assert ask(INSIDE, f"http://localhost:{inner.port}") is not None
    allowing = AddressPolicy.for_node("https://node.example", allowed=("127.0.0.0/8", "::1/128"))
    assert ask(allowing, f"http://localhost:{inner.port}") is not None
    assert len(inner.asked) == 2


def test_a_redirect_is_no_offer(inner: Inner) -> None:
    assert ask(INSIDE, f"http://127.0.0.1:{inner.port}/moved") is None
    assert [path.startswith("/moved") for path in inner.asked] == [True]
