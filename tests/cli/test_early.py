from __future__ import annotations

import socket
from pathlib import Path

import pytest
from tests.simple.fixture_index import FixtureIndex, wheel

from dpip.cli import early
from dpip.resolve.asking import PAGE_HEADERS
from dpip.resolve.connections import open_transport
from dpip.resolve.errors import Unreachable
from dpip.resolve.place import FILE_NAME
from dpip.resolve.transport import get


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["app", "--node", "http://127.0.0.1:4747"], ("127.0.0.1", 4747)),
        (["-i", "https://Index.test/simple", "app"], ("index.test", 443)),
        (["--index-url=http://me:secret@index.test/simple/"], ("index.test", 80)),
        (["--index-url", "http://one.test/", "--node", "http://two.test/"], ("two.test", 80)),
        (["app"], None),
        (["--node"], None),
        (["--node", "http://[::1]:80/"], None),
        (["--node", "http://host:port/"], None),
        (["--node", "file:///tmp"], None),
    ],
)
def test_whom_a_line_asks_first(words: list[str], expected: tuple[str, int] | None) -> None:
    assert early.address(words) == expected


def test_a_proxy_is_not_passed_by(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early, "begun", None)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    early.begin(["--node", "http://127.0.0.1:4747"], None)
    assert early.begun is None


def test_the_first_request_goes_over_it() -> None:
    index = FixtureIndex()
    index.add("app", wheel("app", "1.0"))
    with index:
        host, _, port = index.origin.removeprefix("http://").partition(":")
        begun = early.Early(host, int(port))
        transport = open_transport(begun=begun)
        assert b"app-1.0" in get(transport, f"{index.url}app/", {}, 10_000)
        assert begun.taken() is None, "it was used"
        transport.close()


def test_a_connection_that_was_cut_meanwhile_is_made_anew() -> None:
    index = FixtureIndex()
    index.add("app", wheel("app", "1.0"))
    with index:
        host, _, port = index.origin.removeprefix("http://").partition(":")
        begun = early.Early(host, int(port))
        begun._thread.join()
        assert begun._socket is not None
        begun._socket.shutdown(socket.SHUT_RDWR)
        transport = open_transport(begun=begun)
        assert b"app-1.0" in get(transport, f"{index.url}app/", {}, 10_000)
        transport.close()


def test_nobody_there_is_said_as_ever() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    transport = open_transport(begun=early.Early("127.0.0.1", port), attempts=1)
    with pytest.raises(Unreachable):
        get(transport, f"http://127.0.0.1:{port}/", {}, 10)
    transport.close()


def test_an_unused_connection_is_closed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        transport = open_transport(begun=early.Early("127.0.0.1", listening.getsockname()[1]))
        transport.close()
        client, _ = listening.accept()
        client.settimeout(5)
        assert client.recv(1) == b""
        client.close()


INDEX = ["--index-url", "http://index.test/simple"]


@pytest.mark.parametrize(
    ("text", "more", "expected"),
    [
        ("# first\n\nFlask.RESTful[x]>=1  # why\nb\n", [], "flask-restful"),
        ("a==1 --hash=sha256:00\n", [], "a"),
        ("a; python_version > '3'\n", [], ""),
        ("a @ http://elsewhere.test/a.whl\n", [], ""),
        ("-r other.txt\na\n", [], ""),
        ("./a\n", [], ""),
        ("a\n", ["--extra-index-url", "http://two.test/simple"], ""),
        ("a\n", ["--index-url", "http://two.test/simple"], ""),
        ("a\n", ["--offline"], ""),
        ("a\n", ["-r", "second.txt"], ""),
    ],
)
def test_which_page_a_line_asks_for_first(
    text: str, more: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "none"))
    monkeypatch.setenv("HOME", str(tmp_path))
    file = tmp_path / "requirements.txt"
    file.write_text(text)
    words = [*INDEX, "-r", str(file), *more]
    url = f"http://index.test/simple/{expected}/" if expected else ""
    assert early.first_page(words, str(tmp_path)) == url
    (tmp_path / FILE_NAME).touch()
    assert early.first_page(words, str(tmp_path)) == "", "a page may be stored"


def test_a_page_that_was_asked_for_early_is_asked_for_once() -> None:
    with FixtureIndex() as index:
        index.add("app", wheel("app", "1.0"))
        page = f"{index.url}app/"
        transport = open_transport(begun=begun(index, page))
        assert b"app-1.0" in get(transport, page, PAGE_HEADERS, 10_000)
        transport.close()
        assert [request.path for request in index.requests] == ["/simple/app/"]


def test_another_question_than_the_early_one_is_answered_all_the_same() -> None:
    with FixtureIndex() as index:
        index.add("app", wheel("app", "1.0"))
        index.add("lib", wheel("lib", "1.0"))
        page = f"{index.url}app/"
        transport = open_transport(begun=begun(index, page))
        assert b"lib-1.0" in get(transport, f"{index.url}lib/", PAGE_HEADERS, 10_000)
        headers = {**PAGE_HEADERS, "If-None-Match": '"old"'}
        assert b"app-1.0" in get(transport, page, headers, 10_000)
        transport.close()


def begun(index: FixtureIndex, page: str) -> early.Early:
    host, _, port = index.origin.removeprefix("http://").partition(":")
    return early.Early(host, int(port), page)
