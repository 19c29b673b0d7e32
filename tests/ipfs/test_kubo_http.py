"""The transport against a daemon that misbehaves: scripted answers on a loopback socket."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import pytest

from dpip.ipfs.errors import InvalidArgument, IpfsError, NotFound, Unavailable
from dpip.ipfs.kubo.http import Http, Part, Refused, Unauthorized, multipart


@contextmanager
def scripted(*answers: bytes) -> Iterator[tuple[str, list[bytes]]]:
    """Serve one scripted answer a request; yield the URL and the request heads seen."""
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        remaining = list(answers)
        while remaining:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with client:
                while remaining:
                    head = b""
                    while b"\r\n\r\n" not in head:
                        data = client.recv(65536)
                        if not data:
                            break
                        head += data
                    if not head:
                        break
                    seen.append(head)
                    answer = remaining.pop(0)
                    client.sendall(answer)
                    if b"Connection: close" in answer or not answer:
                        break

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(5)


def answer(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        ("500 X", b'{"Message": "block was not found locally: could not find x"}', NotFound),
        ("500 X", b'{"Message": "invalid path"}', Refused),
        ("403 X", b"403 Forbidden", Unauthorized),
        ("500 X", b"not json", Refused),
        ("503 X", b"", Unavailable),
        ("500 X", b"[]", Refused),
        ("404 X", b"404 page not found", NotFound),
    ],
)
def test_refusals_are_told_apart(status: str, body: bytes, error: type[IpfsError]) -> None:
    with scripted(answer(body, status)) as (url, _), pytest.raises(error):
        Http(url).call("version")


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"not http at all\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\nConnection: close\r\n\r\n{",
        answer(b"not json"),
        answer(b'["a list"]'),
    ],
)
def test_a_daemon_that_dies_or_talks_nonsense_is_unavailable(broken: bytes) -> None:
    with (
        scripted(broken, broken) as (url, _),
        closing(Http(url, timeout=5)) as http,
        pytest.raises(Unavailable),
    ):
        http.call("version")


def test_an_error_in_the_middle_of_a_stream_is_raised() -> None:
    lines = b'{"Cid": "a"}\n{"Message": "could not find b", "Type": "error"}\n'
    with scripted(answer(lines)) as (url, _), closing(Http(url)) as http:
        stream = http.lines("pin/ls")
        assert next(stream) == {"Cid": "a"}
        with pytest.raises(NotFound):
            next(stream)


def test_connections_are_reused_and_a_closed_one_is_replaced() -> None:
    last = answer(b"{}", "200 OK", "Connection: close")
    with scripted(answer(b'{"n": 1}'), last, answer(b'{"n": 3}')) as (url, seen):
        http = Http(url)
        assert http.call("version") == {"n": 1}
        assert http.call("version") == {}
        assert http.call("version") == {"n": 3}
        assert len(seen) == 3
        http.close()


def test_credentials_are_sent() -> None:
    with scripted(answer(b"{}"), answer(b"{}")) as (url, seen):
        with closing(Http(url, authorization="secret")) as http:
            http.call("id")
        assert b"Authorization: Bearer secret" in seen[0]
        seen.clear()
        with closing(Http(url, authorization="me:secret")) as http:
            http.call("id")
        assert b"Authorization: Basic bWU6c2VjcmV0" in seen[0]


def test_nobody_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with pytest.raises(Unavailable, match="version"):
        Http(f"http://127.0.0.1:{port}").call("version")


def test_silence_ends_by_the_timeout() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(Unavailable, match="in time"),
    ):
        Http(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout=0.2).call("version")


@pytest.mark.parametrize("url", ["", "127.0.0.1:5001", "ftp://x", "http://"])
def test_an_address_must_be_one(url: str) -> None:
    with pytest.raises(InvalidArgument):
        Http(url)


def test_a_multipart_body_streams_its_chunks() -> None:
    body = b"".join(multipart(Part(lambda: [b"a", b"", b"b"], "n")))
    assert b"\r\n\r\nab\r\n--" in body
    assert b'filename="n"' in body
