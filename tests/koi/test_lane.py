"""The short way: usual requests in any pieces, everything else left to the server's own HTTP."""

from __future__ import annotations

import gc
import json
import socket
import struct
from typing import TYPE_CHECKING, Any

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.koi import raw
from tests.koi.nodes import full_node, until

from dpip.koi import RID, Bundle, NodeInterface, lane
from dpip.koi.lane import read_head

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pytest import TempPathFactory  # noqa: PT013 - the type only

TARGETS = {b"/koi-net/events/broadcast": "/events/broadcast", b"/koi-net/rids/fetch": "/rids/fetch"}
NODES = {"rid_types": ["orn:koi-net.node"]}


@pytest.fixture(scope="module")
def node(tmp_path_factory: TempPathFactory) -> Iterator[NodeInterface]:
    with full_node(tmp_path_factory.mktemp("lane"), allow_unsigned=True) as node:
        yield node


def connect(node: NodeInterface) -> socket.socket:
    url = node.identity.profile.base_url
    assert url is not None
    return socket.create_connection(("127.0.0.1", int(url.split(":")[2].split("/")[0])), 20)


def request(path: str, body: Any, *headers: str) -> bytes:
    data = body if isinstance(body, bytes) else raw.compact(body)
    lines = [f"POST /koi-net{path} HTTP/1.1", "Host: x", f"Content-Length: {len(data)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + data


def answers(client: socket.socket, count: int) -> list[tuple[int, bytes]]:
    """Read so many answers; more than that is a mistake."""
    done: list[tuple[int, bytes]] = []

    class Reader:
        body = b""

        def on_body(self, data: bytes) -> None:
            self.body += data

        def on_message_complete(self) -> None:
            done.append((parser.get_status_code(), self.body))
            self.body = b""

    parser = httptools.HttpResponseParser(Reader())
    while len(done) < count:
        data = client.recv(65536)
        assert data, "the node hung up"
        parser.feed_data(data)
    assert len(done) == count
    return done


def closed(client: socket.socket) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def broadcast(name: str) -> bytes:
    return request(raw.BROADCAST, {"events": [raw.event("NEW", f"orn:test.lane:{name}", {})]})


def holds(node: NodeInterface, name: str) -> bool:
    return node.cache.exists(RID.from_string(f"orn:test.lane:{name}"))


def test_many_requests_on_one_connection(node: NodeInterface) -> None:
    with connect(node) as client:
        for number in range(3):
            client.sendall(broadcast(f"one{number}"))
            assert answers(client, 1) == [(200, b"null")]
        client.sendall(request(raw.RIDS, NODES))
        ((status, body),) = answers(client, 1)
    assert (status, len(json.loads(body)["rids"])) == (200, 1)
    until(lambda: holds(node, "one2"))


def test_requests_sent_ahead_are_answered_in_order(node: NodeInterface) -> None:
    with connect(node) as client:
        client.sendall(request(raw.RIDS, NODES) + broadcast("ahead") + request(raw.RIDS, NODES))
        first, second, third = answers(client, 3)
    assert (first, second) == (third, (200, b"null"))


def test_a_client_that_says_no_more_is_answered_all_the_same(node: NodeInterface) -> None:
    with connect(node) as client:
        client.sendall(request(raw.RIDS, NODES) + request(raw.RIDS, NODES) + broadcast("last"))
        client.shutdown(socket.SHUT_WR)
        assert [status for status, _ in answers(client, 3)] == [200] * 3
        assert closed(client)
    with connect(node) as client:
        client.sendall(request(raw.RIDS, NODES)[:-3])
        client.shutdown(socket.SHUT_WR)
        assert closed(client)


def test_a_client_that_goes_away_before_its_answer_is_no_error(
    node: NodeInterface, caplog: pytest.LogCaptureFixture
) -> None:
    reset = struct.pack("ii", 1, 0)
    for _ in range(20):
        client = connect(node)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)
        client.sendall(request(raw.RIDS, NODES))
        client.close()
    with connect(node) as client:
        client.sendall(request(raw.RIDS, NODES))
        assert answers(client, 1)[0][0] == 200
    gc.collect()  # a task that failed unseen says so when it is collected
    assert not caplog.records


@pytest.mark.parametrize("step", [1, 7, 100])
def test_a_request_may_come_in_any_pieces(node: NodeInterface, step: int) -> None:
    data = broadcast(f"pieces{step}") * 2
    with connect(node) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start in range(0, len(data), step):
            client.sendall(data[start : start + step])
        assert answers(client, 2) == [(200, b"null")] * 2


@pytest.mark.parametrize(
    ("unusual", "status"),
    [
        (b"GET /koi-net/node HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /koi-net/events/broadcast HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (request("/events/broadcast?x=1", {"events": []}), 200),
        (request("/nothing", {}), 404),
        (request(raw.BROADCAST, {"events": []}, "Connection: keep-alive"), 200),
        (request(raw.BROADCAST, {"events": []}, "Connection: keep-alive, x"), 200),
        (request(raw.BROADCAST, {"events": []}, f"Filler: {'x' * 20_000}"), 200),
    ],
)
def test_what_is_unusual_is_answered_too_and_so_is_what_follows(
    node: NodeInterface, unusual: bytes, status: int
) -> None:
    with connect(node) as client:
        client.sendall(broadcast("before"))
        assert answers(client, 1) == [(200, b"null")]
        client.sendall(unusual)
        assert answers(client, 1)[0][0] == status
        client.sendall(broadcast("after"))
        assert answers(client, 1) == [(200, b"null")]


def test_a_body_in_chunks_and_one_that_waits_to_be_asked_for(node: NodeInterface) -> None:
    body = raw.compact({"events": [raw.event("NEW", "orn:test.lane:chunks", {})]})
    head = "POST /koi-net/events/broadcast HTTP/1.1\r\nHost: x\r\n"
    with connect(node) as client:
        chunk = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
        client.sendall(f"{head}Transfer-Encoding: chunked\r\n\r\n".encode() + chunk)
        assert answers(client, 1) == [(200, b"null")]
    with connect(node) as client:
        client.sendall(
            f"{head}Expect: 100-continue\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")
        client.sendall(body)
        assert answers(client, 1) == [(200, b"null")]
    until(lambda: holds(node, "chunks"))


@pytest.mark.parametrize(
    "head",
    [
        b"POST /koi-net/rids/fetch HTTP/1.1\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n",
        b"POST /koi-net/rids/fetch HTTP/1.1\r\nContent-Length : 4\r\n\r\nnull",
        b"NOT HTTP AT ALL\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(node: NodeInterface, head: bytes) -> None:
    with connect(node) as client:
        client.sendall(head)
        assert answers(client, 1)[0][0] == 400


def test_a_malformed_body_is_422_and_the_connection_goes_on(node: NodeInterface) -> None:
    with connect(node) as client:
        for body in (b"", b"{", b"[]", b'{"events":[{"rid":"x"}]}'):
            client.sendall(request(raw.BROADCAST, body))
            assert answers(client, 1)[0][0] == 422
        client.sendall(broadcast("after422"))
        assert answers(client, 1) == [(200, b"null")]


def test_a_long_answer_comes_in_pieces(node: NodeInterface) -> None:
    cache: Any = node.cache
    kind = "orn:test.many"
    bundles = [Bundle.generate(RID.from_string(f"{kind}:{n:05}"), {}) for n in range(3000)]
    cache.put_many([(bundle, None, True) for bundle in bundles])
    cache.store.commit()
    with connect(node) as client:
        client.sendall(request(raw.MANIFESTS, {"rid_types": [kind]}) + broadcast("afterlong"))
        (status, body), after = answers(client, 2)
    assert (status, after) == (200, (200, b"null"))
    assert len(json.loads(body)["manifests"]) == 3000


def test_a_client_that_is_late_is_cut_off(
    node: NodeInterface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "REQUEST_SECONDS", 0.05)
    monkeypatch.setattr(lane, "IDLE_SECONDS", 0.05)
    with connect(node) as silent, connect(node) as slow, connect(node) as idle:
        slow.sendall(broadcast("slow")[:-1])
        idle.sendall(broadcast("idle"))
        assert answers(idle, 1) == [(200, b"null")]
        assert closed(silent)
        assert closed(slow)
        assert closed(idle)
    assert not holds(node, "slow")


def test_a_client_that_reads_nothing_is_cut_off(
    node: NodeInterface, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lane, "REQUEST_SECONDS", 0.05)
    monkeypatch.setattr(lane, "IDLE_SECONDS", 0.05)
    cache: Any = node.cache
    long = {"text": "x" * 400_000}
    bundles = [Bundle.generate(RID.from_string(f"orn:test.long:{n}"), long) for n in range(40)]
    cache.put_many([(bundle, None, True) for bundle in bundles])
    cache.store.commit()
    ask = request(raw.BUNDLES, {"rids": [str(bundle.rid) for bundle in bundles]})
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        with connect(node) as named:
            address = named.getpeername()
        client.settimeout(20)
        client.connect(address)
        client.sendall(ask)
        until(lambda: hung_up(client))


def hung_up(client: socket.socket) -> bool:
    """Say whether the other side has reset the connection; reads nothing."""
    try:
        client.send(b"P")
    except OSError:
        return True
    return False


def test_a_client_that_leaves_harms_nobody(node: NodeInterface) -> None:
    for size in (1, 30, 200):
        with connect(node) as client:
            client.sendall(broadcast("left")[:size])
    with connect(node) as client:
        client.sendall(request(raw.RIDS, NODES))
    with connect(node) as client:
        client.sendall(broadcast("still"))
        assert answers(client, 1) == [(200, b"null")]


NAMES = st.sampled_from(
    ["Content-Length", "content-length", "Host", "koi-sequence", "Koi-Received", "Expect",
     "Transfer-Encoding", "X Y", "", "a:b", "Connection", "Accept"]
)  # fmt: skip
VALUES = st.sampled_from(
    ["4", "04", " 4 ", "+4", "4, 4", "chunked", "x\ny", "x\0", "é", "", "99999999"]
)


@given(
    line=st.sampled_from(
        ["POST /koi-net/events/broadcast HTTP/1.1", "POST /koi-net/rids/fetch HTTP/1.0",
         "post /koi-net/rids/fetch HTTP/1.1", "POST  /koi-net/rids/fetch HTTP/1.1",
         "POST /koi-net/rids/fetch HTTP/1.1"]
    ),
    fields=st.lists(st.tuples(NAMES, st.sampled_from([":", ": ", " : "]), VALUES), max_size=4),
)  # fmt: skip
def test_what_is_read_here_a_whole_parser_reads_alike(
    line: str, fields: list[tuple[str, str, str]]
) -> None:
    head = "\r\n".join([line, *("".join(field) for field in fields)]).encode("latin-1")
    found = read_head(head, TARGETS)
    if found is None:
        return
    seen: dict[bytes, list[bytes]] = {}

    class Reader:
        url, done, body = b"", False, b""

        def on_url(self, url: bytes) -> None:
            self.url += url

        def on_header(self, name: bytes, value: bytes) -> None:
            seen.setdefault(name.lower(), []).append(value)

        def on_body(self, data: bytes) -> None:
            self.body += data

        def on_message_complete(self) -> None:
            self.done = True

    reader = Reader()
    parser = httptools.HttpRequestParser(reader)
    parser.feed_data(head + b"\r\n\r\n" + b"b" * found.length)
    assert TARGETS[reader.url] == found.path
    assert reader.done
    assert len(reader.body) == found.length
    assert parser.should_keep_alive()
    assert seen.get(b"koi-sequence", [b""]) == [found.sequence.encode("latin-1")]
    assert seen.get(b"koi-received", [b""]) == [found.received.encode("latin-1")]
