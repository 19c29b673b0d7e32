"""What many clients, broken lines and kills do to a download, with a real node process."""

from __future__ import annotations

import hashlib
import http.client
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.app.nodes import NodeProcess, node
from tests.simple.fixture_index import Archive, FixtureIndex, wheel

CLIENTS = 50


def sha256_of(node_url: str, path: str) -> str:
    """Download in pieces; return the SHA-256, or raise if the response was cut."""
    parts = urlsplit(node_url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    digest = hashlib.sha256()
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        assert response.status == 200
        while piece := response.read(2**18):
            digest.update(piece)
        # read() with a size ends quietly where a response is cut.
        if response.length:
            raise http.client.IncompleteRead(b"", response.length)
    finally:
        connection.close()
    return digest.hexdigest()


def served(index: FixtureIndex, size: int) -> tuple[Archive, str]:
    archive = wheel("demo", "1.0", size=size)
    index.add("demo", archive)
    return archive, f"/files/{archive.sha256}/{archive.filename}"


def read_page(running: NodeProcess) -> None:
    sha256_of(running.url, "/simple/demo/")


def fifty(running: NodeProcess, path: str) -> list[str]:
    with ThreadPoolExecutor(CLIENTS) as clients:
        return list(clients.map(lambda _: sha256_of(running.url, path), range(CLIENTS)))


@pytest.mark.parametrize("size", [2 * 2**20, pytest.param(64 * 2**20, marks=pytest.mark.slow)])
def test_fifty_clients_cause_one_upstream_request(tmp_path: Path, size: int) -> None:
    with FixtureIndex() as index:
        archive, path = served(index, size)
        with node(tmp_path / "home", "--index-url", index.url) as running:
            read_page(running)
            assert fifty(running, path) == [archive.sha256] * CLIENTS
        assert index.count("/packages/") == 1


@pytest.mark.parametrize("size", [4 * 2**20, pytest.param(64 * 2**20, marks=pytest.mark.slow)])
def test_killed_in_the_middle_it_goes_on_where_it_was(tmp_path: Path, size: int) -> None:
    with FixtureIndex() as index:
        archive, path = served(index, size)
        index.switches.slow_piece = 0.01
        with node(tmp_path / "home", "--index-url", index.url) as running:
            read_page(running)
            reader = threading.Thread(target=read_until_cut, args=(running.url, path))
            reader.start()
            part = tmp_path / "home" / "archives" / "arriving" / f"{archive.sha256}.part"
            while not part.exists() or part.stat().st_size < size // 3:
                time.sleep(0.01)
            running.kill()
            reader.join()
        index.switches.slow_piece = 0
        with node(tmp_path / "home", "--index-url", index.url) as running:
            assert sha256_of(running.url, path) == archive.sha256
        last = index.requests[-1]
        assert last.headers["range"].startswith("bytes=")
        assert not part.exists()


def read_until_cut(url: str, path: str) -> None:
    with pytest.raises((http.client.HTTPException, OSError)):
        sha256_of(url, path)


def test_a_truncating_upstream_is_gone_on_from_by_range(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        archive, path = served(index, 2 * 2**20)
        index.switches.truncate, index.switches.truncate_times = 500_000, 3
        with node(tmp_path / "home", "--index-url", index.url) as running:
            read_page(running)
            assert sha256_of(running.url, path) == archive.sha256


@pytest.mark.parametrize("sizes", [True, False])
def test_wrong_bytes_never_come_as_a_complete_response(tmp_path: Path, sizes: bool) -> None:
    with FixtureIndex() as index:
        archive, path = served(index, 300_000)
        index.switches.wrong_bytes, index.switches.sizes = True, sizes
        with node(tmp_path / "home", "--index-url", index.url) as running:
            read_page(running)
            read_until_cut_or_refused(running.url, path)
            assert list((tmp_path / "home" / "archives").rglob("*.whl")) == []
            index.switches.wrong_bytes = False
            assert sha256_of(running.url, path) == archive.sha256


def read_until_cut_or_refused(url: str, path: str) -> None:
    with pytest.raises((http.client.HTTPException, OSError, AssertionError)):
        sha256_of(url, path)


def test_the_metadata_of_a_large_wheel_costs_its_tail(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        archive, path = served(index, 3 * 2**20)
        index.switches.metadata = False
        with node(tmp_path / "home", "--index-url", index.url) as running:
            read_page(running)
            expected = hashlib.sha256(archive.metadata or b"").hexdigest()
            assert sha256_of(running.url, f"{path}.metadata") == expected
        asked = [seen for seen in index.requests if seen.path.startswith("/packages/")]
        assert all("range" in seen.headers for seen in asked)
        assert list((tmp_path / "home" / "archives").rglob("*.whl")) == []


@pytest.mark.parametrize("ranges", [True, False])
def test_a_sidecar_that_lies_is_not_passed_on(tmp_path: Path, ranges: bool) -> None:
    with FixtureIndex() as index:
        archive, path = served(index, 100_000)
        index.switches.metadata_lies, index.switches.ranges = True, ranges
        with node(tmp_path / "home", "--index-url", index.url) as running:
            read_page(running)
            expected = hashlib.sha256(archive.metadata or b"").hexdigest()
            assert sha256_of(running.url, f"{path}.metadata") == expected
