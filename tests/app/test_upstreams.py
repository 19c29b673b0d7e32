"""Upstreams that are down, wrong or hostile, and requests that are: a real node answers all."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.app.nodes import node
from tests.simple.fixture_index import Archive, FixtureIndex, Switches, wheel


def answer(url: str) -> tuple[int, str]:
    """Return the status, and the slug where it is an error."""
    try:
        with urllib.request.urlopen(url, timeout=20) as response:
            response.read()
            return response.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]


def down(switches: Switches) -> None:
    switches.status = 500


def gone(switches: Switches) -> None:
    switches.status = 404


def garbage(switches: Switches) -> None:
    switches.garbage_pages = True


def slow(switches: Switches) -> None:
    switches.delay = 3.0


@pytest.mark.parametrize(
    ("fault", "status", "slug"),
    [
        (down, 504, "upstream-unavailable"),
        (gone, 404, "project-not-found"),
        (garbage, 502, "upstream-invalid"),
        (slow, 504, "upstream-unavailable"),
    ],
)
def test_an_upstream_that_fails_has_a_name(
    tmp_path: Path, fault: Callable[[Switches], None], status: int, slug: str
) -> None:
    home = tmp_path / "home"
    with FixtureIndex() as index:
        index.add("demo", wheel("demo", "1.0"))
        fault(index.switches)
        with node(home, "--index-url", index.url, DPIP_UPSTREAM_TIMEOUT="0.5") as running:
            assert answer(f"{running.simple}demo/") == (status, slug)
            running.stop()
        log = (home / "node.log").read_text()
    assert "Traceback" not in log


@pytest.mark.parametrize("fault", [down, garbage, slow])
def test_a_page_that_is_stored_is_served_stale_and_marked(
    tmp_path: Path, fault: Callable[[Switches], None]
) -> None:
    with FixtureIndex() as index:
        index.add("demo", wheel("demo", "1.0"))
        with node(
            tmp_path / "home",
            "--index-url",
            index.url,
            DPIP_UPSTREAM_TIMEOUT="0.5",
            DPIP_PAGE_MAX_AGE="0",
        ) as running:
            assert answer(f"{running.simple}demo/") == (200, "")
            fault(index.switches)
            with urllib.request.urlopen(f"{running.simple}demo/", timeout=20) as response:
                assert "demo-1.0" in response.read().decode()
                assert response.headers["X-Dpip-Stale"]


def test_pages_and_files_that_are_too_large(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        archive = wheel("demo", "1.0", size=50_000)
        index.add("demo", archive)
        home, flags = tmp_path / "home", ("--index-url", index.url)
        with node(home, *flags, DPIP_MAX_PAGE_SIZE="100") as running:
            assert answer(f"{running.simple}demo/") == (502, "upstream-invalid")
        with node(home, *flags, DPIP_MAX_FILE_SIZE="1000") as running:
            assert answer(f"{running.simple}demo/") == (200, "")
            path = f"/files/{archive.sha256}/{archive.filename}"
            assert answer(running.url + path) == (502, "upstream-invalid")


def test_a_wheel_that_is_no_zip(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        archive = Archive("demo-1.0-py3-none-any.whl", b"not a zip" * 1000)
        index.add("demo", archive)
        with node(tmp_path / "home", "--index-url", index.url) as running:
            assert answer(f"{running.simple}demo/") == (200, "")
            path = f"/files/{archive.sha256}/{archive.filename}"
            assert answer(f"{running.url}{path}.metadata") == (502, "not-a-wheel")
            assert answer(running.url + path) == (200, "")
            assert answer(f"{running.url}{path}.metadata") == (502, "not-a-wheel")


def test_no_upstream_at_all(tmp_path: Path) -> None:
    with node(tmp_path / "home", "--index-url", "http://127.0.0.1:9/simple/") as running:
        assert answer(f"{running.simple}demo/") == (504, "upstream-unavailable")
        assert answer(f"{running.url}/healthz") == (200, "")


@pytest.mark.parametrize(
    "target",
    [
        "/simple/../../etc/passwd",
        "/simple/%2e%2e%2f%2e%2e%2fetc/",
        "/files/../node.json",
        f"/files/{'0' * 64}/..%2f..%2fnode.json",
        f"/files/{'0' * 64}/.hidden",
        f"/files/{'0' * 63}/demo-1.0.tar.gz",
        "/simple/%00/",
        "//simple/demo/",
        "/simple/" + "a" * 5000 + "/",
    ],
)
def test_path_tricks_get_nowhere(tmp_path: Path, target: str) -> None:
    with node(tmp_path / "home", "--offline") as running:
        head = raw(running.url, f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert head.split()[1] in {b"400", b"404", b"414", b"431"}, head
        assert b"passwd" not in head
        assert answer(f"{running.url}/healthz") == (200, "")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Long: " + b"a" * 200_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc",
        b"GET /simple/ HTTP/1.1\r\nHost: x\r\nRange: bytes=" + b"0-1," * 5000 + b"\r\n\r\n",
        b"GET /simple/ HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"GET /simple/ HTTP/1.1\r\nHost: x\r\nAccept: " + b"text/html;q=9," * 2000 + b"\r\n\r\n",
    ],
    ids=["long header", "many headers", "version", "tls", "ranges", "length", "accept"],
)
def test_absurd_requests_do_not_hurt(tmp_path: Path, request_bytes: bytes) -> None:
    home = tmp_path / "home"
    with node(home, "--offline") as running:
        raw(running.url, request_bytes)
        assert answer(f"{running.url}/healthz") == (200, "")
        running.stop()
    assert "Traceback" not in (home / "node.log").read_text()


def raw(url: str, request: bytes) -> bytes:
    """Send bytes; return the beginning of what comes back, empty if nothing does."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as client:
        try:
            client.sendall(request)
            client.shutdown(socket.SHUT_WR)
            return client.recv(4096)
        except OSError:
            return b""
