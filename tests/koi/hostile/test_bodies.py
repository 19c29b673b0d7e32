"""Requests that are too big, too deep, too slow or never end."""

from __future__ import annotations

import gzip
import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from tests.koi import raw

if TYPE_CHECKING:
    from tests.koi.interop.subjects import Subject

PATHS = [raw.BROADCAST, raw.POLL, raw.RIDS, raw.MANIFESTS, raw.BUNDLES]


def connected(victim: Subject) -> socket.socket:
    parts = urlsplit(victim.url)
    assert parts.port is not None
    return socket.create_connection(("127.0.0.1", parts.port), 10)


@pytest.mark.parametrize("path", PATHS)
def test_a_deep_body_is_a_422(victim: Subject, path: str) -> None:
    for deep in (b"[" * 200_000, b'{"payload":' * 50_000, b'{"events":' + b"[" * 9999):
        assert raw.post(victim.url, path, deep).status == 422


def test_deep_contents_are_refused_or_kept_but_never_break(victim: Subject) -> None:
    peer = victim.meet()
    deep: raw.Json = {}
    for _ in range(700):
        deep = {"a": deep}
    rid = f"orn:test.note:deep-{peer.rid[-8:]}"
    answer = peer.broadcast(victim.url, victim.rid, [raw.event("NEW", rid, deep)])
    assert answer.status in {200, 422}


def test_a_body_that_is_too_large_is_refused(victim: Subject) -> None:
    with connected(victim) as sock:
        head = "POST /koi-net/rids/fetch HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000000\r\n\r\n"
        sock.sendall(head.encode())
        assert sock.recv(100).split()[1] == b"413"


def test_a_body_without_a_length_is_bounded_too(victim: Subject) -> None:
    with connected(victim) as sock:
        head = "POST /koi-net/rids/fetch HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
        sock.sendall(head.encode())
        chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
        answer = b""
        sock.settimeout(0.01)
        for _ in range(1024):
            try:
                sock.sendall(chunk)
                answer = sock.recv(100)
            except TimeoutError:
                continue
            except OSError:
                break
            if answer:
                break
        else:
            pytest.fail("a gigabyte was taken")
        assert answer == b"" or answer.split()[1] == b"413"


def test_a_compressed_body_is_not_inflated(victim: Subject) -> None:
    bomb = gzip.compress(b" " * 50_000_000)
    answer = raw.post(victim.url, raw.RIDS, bomb, headers={"Content-Encoding": "gzip"})
    assert answer.status in {400, 413, 415, 422}


def test_half_sent_requests_hold_nobody_up(victim: Subject) -> None:
    with ExitStack() as stack:
        for n in range(100):
            sock = stack.enter_context(connected(victim))
            sock.sendall(b"POST /koi-net/rids/fetch HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n")
            if n % 2:
                sock.sendall(b"\r\n{")
        peer = victim.meet()
        assert victim.rid in peer.rids(victim.url, victim.rid, (raw.NODE,))


def test_what_is_not_http_is_not_answered_with_a_stack(victim: Subject) -> None:
    for junk in (
        b"\x16\x03\x01\x02\x00\x01",
        b"GET\r\n\r\n",
        b"\x00" * 4096,
        b"POST / HTTP/9.9\r\n\r\n",
    ):
        with connected(victim) as sock:
            sock.sendall(junk)
            sock.shutdown(socket.SHUT_WR)
            sock.settimeout(5)
            assert b"Traceback" not in sock.recv(4096)


@pytest.mark.parametrize("path", [*PATHS, "/", "/openapi.json", "/docs", "/%00", "/../x"])
def test_no_path_and_no_method_is_a_500(victim: Subject, path: str) -> None:
    import http.client

    parts = urlsplit(victim.url)
    for method in ("GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "POST", "BREW"):
        connection = http.client.HTTPConnection(parts.netloc, timeout=10)
        connection.request(method, parts.path + path, b"")
        assert connection.getresponse().status < 500, method
        connection.close()
