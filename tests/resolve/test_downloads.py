"""Whole files: resumed, hashed, and wanted by several at once."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dpip.errors import DpipError
from dpip.resolve.connections import open_transport
from dpip.resolve.downloads import fetch
from dpip.resolve.errors import HashMismatch, HttpFailure

BODY = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(BODY).hexdigest()


class Origin:
    """Serves BODY slowly, by range where asked; counts requests."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []
        origin = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                origin.asked.append(wanted)
                if self.path == "/none":
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
                self.send_response(206 if wanted else 200)
                if wanted:
                    span = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
                    self.send_header("Content-Range", span)
                self.send_header("Content-Length", str(len(BODY) - start))
                self.end_headers()
                for at in range(start, len(BODY), 1 << 18):
                    self.wfile.write(BODY[at : at + (1 << 18)])
                    time.sleep(0.05)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def origin() -> Iterator[Origin]:
    found = Origin()
    yield found
    found.close()


def get(origin: Origin, target: Path, digest: str | None = DIGEST, path: str = "/f") -> None:
    transport = open_transport(attempts=1)
    try:
        fetch(transport, origin.url + path, target, digest)
    finally:
        transport.close()


def test_many_want_one_file_and_one_fetches_it(origin: Origin, tmp_path: Path) -> None:
    failures: list[DpipError] = []

    def want() -> None:
        try:
            get(origin, tmp_path / "f")
        except DpipError as error:
            failures.append(error)

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert not failures
    assert (tmp_path / "f").read_bytes() == BODY
    assert origin.asked == [None]
    assert [each.name for each in tmp_path.iterdir()] == ["f"]


def test_a_broken_transfer_goes_on(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(BODY[:1000])
    get(origin, tmp_path / "f")
    assert origin.asked == ["bytes=1000-"]
    assert (tmp_path / "f").read_bytes() == BODY


def test_what_is_left_of_another_file_is_thrown_away(origin: Origin, tmp_path: Path) -> None:
    (tmp_path / "f.part").write_bytes(b"x" * 1000)
    get(origin, tmp_path / "f")
    assert origin.asked == ["bytes=1000-", None]
    assert (tmp_path / "f").read_bytes() == BODY


def test_wrong_bytes_leave_nothing(origin: Origin, tmp_path: Path) -> None:
    with pytest.raises(HashMismatch):
        get(origin, tmp_path / "f", "0" * 64)
    with pytest.raises(HttpFailure):
        get(origin, tmp_path / "g", path="/none")
    assert not list(tmp_path.iterdir())
