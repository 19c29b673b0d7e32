from __future__ import annotations

import gzip
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from dpip.resolve.connections import Connections, open_transport, proxy_for
from dpip.resolve.credentials import Credentials, basic
from dpip.resolve.errors import BadAnswer, HttpFailure, Unreachable
from dpip.resolve.transport import Request, Retrying, Transport, get, without_secrets


@dataclass
class Site:
    """Answers by path; remembers (path, headers)."""

    answers: dict[str, list[tuple[int, dict[str, str], bytes]]] = field(default_factory=dict)
    seen: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    connections: int = 0
    url: str = ""

    def on(self, path: str, status: int, body: bytes = b"", **headers: str) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.answers.setdefault(path, []).append((status, named, body))


@pytest.fixture
def site() -> Iterator[Site]:
    site = Site()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *args: Any) -> None:
            pass

        def setup(self) -> None:
            site.connections += 1
            super().setup()

        def do_GET(self) -> None:
            site.seen.append((self.path, {k.lower(): v for k, v in self.headers.items()}))
            answers = site.answers.get(self.path, [(404, {}, b"")])
            status, headers, body = answers.pop(0) if len(answers) > 1 else answers[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = "short" in self.path

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    site.url = f"http://127.0.0.1:{server.server_port}"
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = open_transport(attempts=1)
    yield transport
    transport.close()


def test_connections_are_kept(site: Site, transport: Transport) -> None:
    site.on("/a", 200, b"x" * 500_000)
    for _ in range(5):
        assert len(get(transport, site.url + "/a", {}, 10**6)) == 500_000
    assert site.connections == 1


def test_gzip_is_undone_and_bounded(site: Site, transport: Transport) -> None:
    packed = gzip.compress(bytes(10**6))
    site.on("/z", 200, packed, Content_Encoding="gzip")
    assert get(transport, site.url + "/z", {}, 10**6) == bytes(10**6)
    with pytest.raises(BadAnswer, match="larger"):
        get(transport, site.url + "/z", {}, 10**6 - 1)
    site.on("/cut", 200, packed[:-20], Content_Encoding="gzip")
    with pytest.raises(BadAnswer, match="breaks off"):
        get(transport, site.url + "/cut", {}, 10**7)
    site.on("/odd", 200, b"?", Content_Encoding="brotli-or-so")
    with pytest.raises(BadAnswer, match="Content-Encoding"):
        get(transport, site.url + "/odd", {}, 10**7)


def test_a_body_that_breaks_off_is_no_body(site: Site, transport: Transport) -> None:
    site.on("/short", 200, b"half", Content_Length="8")
    with pytest.raises(Unreachable):
        get(transport, site.url + "/short", {}, 100)


def test_redirects_are_followed_and_secrets_stay_at_home(site: Site) -> None:
    other = site.url.replace("127.0.0.1", "localhost")
    site.on("/here", 302, Location="/there")
    site.on("/there", 301, Location=f"{other}/elsewhere")
    site.on("/elsewhere", 200, b"found")
    secret = site.url.replace("http://", "http://me:s3cret@")
    transport = open_transport(credentials=Credentials([secret], {}), attempts=1)
    assert get(transport, site.url + "/here", {}, 100) == b"found"
    sent = {path: headers.get("authorization") for path, headers in site.seen}
    assert sent == {
        "/here": basic("me", "s3cret"),
        "/there": basic("me", "s3cret"),
        "/elsewhere": None,
    }
    transport.close()


def test_circles_and_other_schemes_are_refused(site: Site, transport: Transport) -> None:
    site.on("/loop", 302, Location="/loop")
    site.on("/file", 302, Location="file:///etc/passwd")
    site.on("/none", 302, Location="http://[::1/x")
    site.on("/port", 302, Location="http://127.0.0.1:99999/x")
    for path in ("/loop", "/file", "/none", "/port"):
        with pytest.raises(BadAnswer, match="redirect"):
            get(transport, site.url + path, {}, 100)


def test_what_may_pass_is_tried_again_and_what_will_not_is_not(site: Site) -> None:
    waits: list[float] = []
    sockets = Connections()
    retrying = Retrying(sockets, sleep=waits.append)
    site.on("/busy", 503, Retry_After="3")
    site.on("/busy", 500)
    site.on("/busy", 200, b"ok")
    assert get(retrying, site.url + "/busy", {}, 10) == b"ok"
    assert waits == [3.0, 0.5]
    site.on("/never", 501)
    with pytest.raises(HttpFailure, match="501"):
        get(retrying, site.url + "/never", {}, 10)
    assert len(waits) == 2
    sockets.close()


def test_a_netrc_is_read_and_a_broken_one_is_not_fatal(tmp_path: Path) -> None:
    path = tmp_path / "netrc"
    path.write_text("machine h.example login me password pw\n")
    found = Credentials([], {"NETRC": str(path)})
    assert found.split("https://h.example/x") == ("https://h.example/x", basic("me", "pw"))
    path.write_text("machine\n")
    assert Credentials([], {"NETRC": str(path)}).split("https://h.example/")[1] is None


def test_the_keyring_command_is_asked_after_a_401(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "keyring"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/log\necho fr0m-keyring\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    site.on("/a", 401)
    site.on("/a", 200, b"ok")
    user = site.url.replace("http://", "http://me@")
    transport = open_transport(credentials=Credentials([user], {}), attempts=1)
    assert get(transport, site.url + "/a", {}, 10) == b"ok"
    assert site.seen[1][1]["authorization"] == basic("me", "fr0m-keyring")
    assert get(transport, site.url + "/a", {}, 10) == b"ok"
    assert len((tmp_path / "log").read_text().splitlines()) == 1, "asked once"
    transport.close()


def keyring_of(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a module `keyring` into this environment, made of `code`."""
    module = ModuleType("keyring")
    exec(code, module.__dict__)
    monkeypatch.setitem(sys.modules, "keyring", module)


LIBRARY = """
from types import SimpleNamespace
asked = []
def get_credential(service, user):
    asked.append((service, user))
    known = {"%s": ("joe", "by-index"), "%s": ("joe", "by-host")}
    found = known.get(service)
    return SimpleNamespace(username=found[0], password=found[1]) if found else None
"""


@pytest.mark.parametrize(("by_index", "expected"), [(True, "by-index"), (False, "by-host")])
def test_the_keyring_library_is_asked_by_index_and_then_by_host(
    site: Site, monkeypatch: pytest.MonkeyPatch, *, by_index: bool, expected: str
) -> None:
    index = f"{site.url}/team/simple/"
    host = site.url.removeprefix("http://")
    keyring_of(LIBRARY % (index if by_index else "", host), monkeypatch)
    site.on("/team/simple/a/", 401)
    site.on("/team/simple/a/", 200, b"ok")
    transport = open_transport(credentials=Credentials([index], {}), attempts=1)
    assert get(transport, index + "a/", {}, 10) == b"ok"
    assert site.seen[1][1]["authorization"] == basic("joe", expected)
    assert sys.modules["keyring"].asked[0] == (index, None)
    transport.close()


def test_a_keyring_library_of_old_knows_passwords_only(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring_of("def get_password(service, user): return f'pw of {user}'", monkeypatch)
    site.on("/a", 401)
    site.on("/a", 200, b"ok")
    user = site.url.replace("http://", "http://me@")
    transport = open_transport(credentials=Credentials([user], {}), attempts=1)
    assert get(transport, site.url + "/a", {}, 10) == b"ok"
    assert site.seen[1][1]["authorization"] == basic("me", "pw of me")
    transport.close()


@pytest.mark.parametrize(
    "code",
    [
        "def get_credential(service, user): raise RuntimeError('locked')",
        "def get_credential(service, user): return None",
    ],
)
def test_a_keyring_that_fails_is_no_error(
    site: Site, monkeypatch: pytest.MonkeyPatch, code: str
) -> None:
    keyring_of(code, monkeypatch)
    site.on("/a", 401)
    transport = open_transport(credentials=Credentials([site.url], {}), attempts=1)
    with pytest.raises(HttpFailure, match="401"):
        get(transport, site.url + "/a", {}, 10)
    transport.close()


def test_a_library_that_cannot_be_imported_leaves_the_command(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keyring.py").write_text("raise RuntimeError('no back end')")
    monkeypatch.delitem(sys.modules, "keyring", raising=False)
    monkeypatch.syspath_prepend(str(tmp_path))
    program = tmp_path / "keyring"
    program.write_text('#!/bin/sh\necho \'{"username": "joe", "password": "s"}\'\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    site.on("/a", 401)
    site.on("/a", 200, b"ok")
    transport = open_transport(credentials=Credentials([site.url], {}), attempts=1)
    assert get(transport, site.url + "/a", {}, 10) == b"ok"
    assert site.seen[1][1]["authorization"] == basic("joe", "s")
    transport.close()


@pytest.mark.parametrize(
    ("no_proxy", "host", "proxied"),
    [
        ("", "h.example", True),
        ("h.example", "h.example", False),
        (".example", "h.example", False),
        ("ample", "h.example", True),
        ("h.example:8080", "h.example", True),
        ("other, h.example:443", "h.example", False),
        ("*", "h.example", False),
        ("::1", "::1", False),
    ],
)
def test_proxies_and_exemptions(no_proxy: str, host: str, *, proxied: bool) -> None:
    environ = {"HTTPS_PROXY": "proxy:3128", "NO_PROXY": no_proxy}
    found = proxy_for("https", host, 443, environ)
    assert found == ("http://proxy:3128" if proxied else None)


def test_a_forward_proxy_gets_absolute_targets(site: Site) -> None:
    environ = {"http_proxy": site.url.replace("http://", "http://u:p@")}
    sockets = Connections(environ=environ)
    site.on("http://h.example/a?b=1", 200, b"via proxy")
    assert get(sockets, "http://h.example/a?b=1", {}, 100) == b"via proxy"
    assert site.seen[0][1]["proxy-authorization"] == basic("u", "p")
    sockets.close()


def test_secrets_are_cut_out() -> None:
    assert without_secrets("https://me:pw@h.example/a@b") == "https://h.example/a@b"
    sockets = Connections()
    with pytest.raises(Unreachable) as caught:
        sockets.send(Request("ftp://me:pw@h.example/"))
    assert "pw" not in caught.value.message
