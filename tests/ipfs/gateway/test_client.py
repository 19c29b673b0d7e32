"""The client against gateways that are slow, lie, or break off: a scripted server each."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from dpip.ipfs import car
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.ipfs.directory import Directory
from dpip.ipfs.errors import (
    HashMismatch,
    InvalidArgument,
    IpfsError,
    LimitExceeded,
    NotFound,
    Unavailable,
)
from dpip.ipfs.gateway.client import MAX_BLOCK, Gateway, Gateways
from dpip.ipfs.importer import FileHasher
from dpip.ipfs.profiles import UNIXFS_V1_2025
from dpip.ipfs.walk import walk


class Scripted:
    """A gateway over a store, with faults: set them while it runs."""

    def __init__(self, store: MemoryBlockstore) -> None:
        self.store = store
        self.delay = 0.0
        self.status = 0
        self.lies = False
        self.cut: int | None = None
        self.asked: list[str] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                scripted.answer(self)

            do_HEAD = do_GET  # noqa: N815 - the server's name

            def log_message(self, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        form = parse_qs(parts.query)["format"][0]
        self.asked.append(f"{request.command} {form}")
        time.sleep(self.delay)
        body = b"" if self.status else self.body(parts.path, form)
        status = self.status or (404 if body is None else 200)
        body = body or b""
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        if request.command == "GET":
            request.wfile.write(body if self.cut is None else body[: self.cut])
            request.close_connection = self.cut is not None

    def body(self, path: str, form: str) -> bytes | None:
        if path.startswith("/ipns/"):
            return b"record"
        cid = CID.parse(path.split("/")[2])
        if form == "raw":
            if not self.store.has(cid):
                return None
            return self.store.get(cid) + (b"lie" if self.lies else b"")
        found = []
        try:
            for block in walk(self.store, cid):
                found += [Block(block.cid, b"lie") if self.lies else block]
        except NotFound:
            if not found:
                return None
        return b"".join(car.write([cid], found))

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def content() -> tuple[MemoryBlockstore, CID]:
    """A directory of a large and a few small files."""
    store = MemoryBlockstore()
    directory = Directory(store)
    for n, size in enumerate((3_000_000, 10, 0, 70_000)):
        hasher = FileHasher(UNIXFS_V1_2025, lambda block: store.put([block]))
        hasher.update(os.urandom(size))
        done = hasher.finish()
        directory.set(f"file{n}", done.cid, done.tsize)
    return store, directory.write().cid


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as held:
        yield held


def serve(stack: ExitStack, store: MemoryBlockstore, count: int = 1) -> list[Scripted]:
    servers = [Scripted(store) for _ in range(count)]
    for server in servers:
        stack.callback(server.close)
    return servers


def client(stack: ExitStack, *servers: Scripted, hedge_after: float = 5) -> Gateways:
    gateways = Gateways([Gateway(s.url, timeout=5) for s in servers], hedge_after=hedge_after)
    stack.callback(gateways.close)
    return gateways


def test_a_block_is_read_and_verified(
    stack: ExitStack, content: tuple[MemoryBlockstore, CID]
) -> None:
    store, root = content
    (server,) = serve(stack, store)
    gateways = client(stack, server)
    assert gateways.get(root) == store.get(root)
    assert gateways.has(root)
    assert gateways.size(root) == store.size(root)
    assert not gateways.has(CID.of(b"absent"))
    assert gateways.get(CID.parse("bafkqaaa")) == b""
    assert gateways.records("k51") == [b"record"]
    server.lies = True
    with pytest.raises(HashMismatch):
        gateways.get(root)


@pytest.mark.parametrize(
    ("status", "error"), [(404, NotFound), (410, NotFound), (500, Unavailable), (429, Unavailable)]
)
def test_refusals(
    stack: ExitStack, content: tuple[MemoryBlockstore, CID], status: int, error: type[IpfsError]
) -> None:
    store, root = content
    (server,) = serve(stack, store)
    server.status = status
    with pytest.raises(error):
        client(stack, server).get(root)


def test_an_oversized_answer_is_not_read(stack: ExitStack) -> None:
    big = bytes(MAX_BLOCK + 1)
    store = MemoryBlockstore([Block(CID.of(big), big)])
    (server,) = serve(stack, store)
    with pytest.raises(LimitExceeded):
        client(stack, server).get(CID.of(big))


def test_the_next_gateway_is_asked_when_one_is_slow_or_wrong(
    stack: ExitStack, content: tuple[MemoryBlockstore, CID]
) -> None:
    store, root = content
    slow, liar, good = serve(stack, store, 3)
    slow.delay, liar.lies = 1.0, True
    gateways = client(stack, slow, liar, good, hedge_after=0.05)
    start = time.monotonic()
    assert gateways.get(root) == store.get(root)
    assert time.monotonic() - start < 0.9
    assert good.asked


def test_nobody_there_is_unavailable_and_not_absent(
    stack: ExitStack, content: tuple[MemoryBlockstore, CID]
) -> None:
    (empty,) = serve(stack, MemoryBlockstore())
    with socket.create_server(("127.0.0.1", 0)) as free:
        dead = Gateway(f"http://127.0.0.1:{free.getsockname()[1]}", timeout=1)
    gateways = Gateways([Gateway(empty.url), dead], hedge_after=0.01)
    stack.callback(gateways.close)
    with pytest.raises(Unavailable):
        gateways.get(content[1])


@pytest.mark.parametrize("fault", ["none", "cut", "lies", "hole", "refuses", "dead"])
def test_a_dag_arrives_whole_whatever_the_first_gateway_does(
    fault: str, stack: ExitStack, content: tuple[MemoryBlockstore, CID]
) -> None:
    store, root = content
    partial = MemoryBlockstore(walk(store, root))
    if fault == "hole":
        partial.delete([next(b.cid for b in walk(store, root) if b.cid.codec_name == "raw")])
    (first,) = serve(stack, partial)
    (second,) = serve(stack, store)
    first.cut = 1_500_000 if fault == "cut" else None
    first.lies = fault == "lies"
    first.status = 503 if fault == "refuses" else 0
    gateways = client(stack, first, second, hedge_after=0.1)
    if fault == "dead":
        first.server.socket.close()
    into = MemoryBlockstore()
    came = gateways.fetch(root, into)
    assert [b.cid for b in walk(into, root)] == [b.cid for b in walk(store, root)]
    assert came >= sum(len(b.data) for b in walk(store, root))
    assert gateways.fetch(root, into) == 0, "what is there is not fetched again"


def test_a_dag_that_nobody_has_whole_is_not_found(
    stack: ExitStack, content: tuple[MemoryBlockstore, CID]
) -> None:
    store, root = content
    store.delete([next(b.cid for b in walk(store, root) if b.cid.codec_name == "raw")])
    with pytest.raises(NotFound):
        client(stack, *serve(stack, store)).fetch(root, MemoryBlockstore())


def test_gateways_are_read_only(stack: ExitStack) -> None:
    gateways = client(stack, *serve(stack, MemoryBlockstore()))
    for write in (lambda: gateways.put([]), lambda: gateways.delete([]), gateways.multihashes):
        with pytest.raises(InvalidArgument):
            write()
    with pytest.raises(InvalidArgument):
        Gateways([])
