"""What a node serves of its content, over real sockets, beside the command line."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import urllib.parse
import zipfile
from typing import TYPE_CHECKING, Any

import pytest
from tests.app.nodes import dpip, node

from dpip.app import content
from dpip.ipfs import ipns
from dpip.ipfs.disk import hot
from dpip.ipfs.keys import PrivateKey
from dpip.mirror.store import opened
from dpip.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

    from dpip.ipfs.cid import CID

RECORD = "application/vnd.ipfs.ipns-record"


def ask(
    url: str, path: str, method: str = "GET", body: bytes | None = None, **headers: str
) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=20)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, named)
    response = connection.getresponse()
    answer = response.status, response.read()
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("given", "addresses"),
    [
        ({}, ("/ip4/127.0.0.1/tcp/4747/http",)),
        ({"host": "::1"}, ("/ip6/::1/tcp/4747/http",)),
        ({"host": "0.0.0.0"}, None),
        ({"host": "::"}, None),
        ({"host": "0.0.0.0", "public_url": "http://office:8080/"}, ("/dns/office/tcp/8080/http",)),
        ({"public_url": "https://mirror.example"}, ("/dns/mirror.example/tcp/443/tls/http",)),
        ({"public_url": "http://10.1.2.3:80"}, ("/ip4/10.1.2.3/tcp/80/http",)),
        ({"public_url": "http://proxy/dpip"}, None),
        ({"public_url": "office:4747"}, None),
        (
            {"tls_certificate": "chain.pem"},
            ("/ip4/127.0.0.1/tcp/4748/tls/http", "/ip4/127.0.0.1/tcp/4747/http"),
        ),
    ],
)
def test_a_node_names_itself_as_provider_where_others_reach_it(
    tmp_path: Path, given: dict[str, Any], addresses: tuple[str, ...] | None
) -> None:
    found = content.provider(Settings(home=tmp_path, **given), 4747)
    assert (None if found is None else found.addresses) == addresses


def test_a_node_serves_what_the_command_adds(tmp_path: Path) -> None:
    home, big = tmp_path / "home", bytes(range(256)) * 12_000
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "big").write_bytes(big)
    (tmp_path / "files" / "index.html").write_bytes(b"<p>hello")
    with node(home, "--offline") as running:
        added = dpip("ipfs", "add", "-r", "-Q", str(tmp_path / "files"), DPIP_HOME=str(home))
        cid = added.stdout.strip()
        assert ask(running.url, f"/ipfs/{cid}/big") == (200, big)
        assert ask(running.url, f"/ipfs/{cid}/big", Range="bytes=5-999999")[1] == big[5:1_000_000]
        assert ask(running.url, f"/ipfs/{cid}/") == (200, b"<p>hello")
        assert ask(running.url, f"/ipfs/{cid}?format=car")[0] == 200
        assert ask(running.url, f"/ipfs/{cid}/nope")[0] == 404
        key, now = PrivateKey.generate(), time.time_ns()
        name = key.name.encode("k")
        record = ipns.create(key, f"/ipfs/{cid}", sequence=1, expires=now + ipns.DEFAULT_LIFETIME)
        path = f"/routing/v1/ipns/{name}"
        assert ask(running.url, path, "PUT", record.raw, Content_Type=RECORD)[0] == 200
        assert ask(running.url, path, Accept=RECORD) == (200, record.raw)
        assert ask(running.url, f"/ipns/{name}/") == (200, b"<p>hello")
        resolved = dpip("ipfs", "name", "resolve", name, DPIP_HOME=str(home))
        assert resolved.stdout.strip() == f"/ipfs/{cid}"
        found = json.loads(ask(running.url, f"/routing/v1/providers/{cid}")[1])["Providers"]
        port = urllib.parse.urlsplit(running.url).port
        assert [one["Addrs"] for one in found] == [[f"/ip4/127.0.0.1/tcp/{port}/http"]]


def by_hand(home: Path, root: CID, target: Path) -> bytes:
    """Read an archive by the command, without a node; return what `get` writes."""
    whole = dpip("ipfs", "get", str(root), "-o", str(target), DPIP_HOME=str(home))
    assert whole.returncode == 0, whole.stderr
    data = target.read_bytes()
    start = dpip("ipfs", "cat", str(root), "-l", "4", DPIP_HOME=str(home))
    assert start.stdout.encode() == data[:4]
    listed = dpip("ipfs", "ls", str(root), DPIP_HOME=str(home))
    assert listed.returncode == 0, listed.stderr
    pieces = [line.split()[0] for line in listed.stdout.splitlines()]
    assert len(pieces) > 1
    checked = dpip("ipfs", "verify", str(root), DPIP_HOME=str(home))
    assert "ok" in checked.stdout, checked.stderr
    return data


def test_archives_are_files_of_ipfs_whole_or_taken_apart(tmp_path: Path) -> None:
    home, wheel = tmp_path / "home", tmp_path / "demo-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(20):
            archive.writestr(f"demo/{number}.py", f"number = {number}\n" * 500)
    data = wheel.read_bytes()
    with opened(home) as archives:
        added = archives.add(wheel, hashlib.sha256(data).hexdigest(), wheel.name)
    with node(home, "--offline") as running:
        assert ask(running.url, f"/ipfs/{added.root}?filename={wheel.name}") == (200, data)
    assert by_hand(home, added.root, tmp_path / "whole") == data
    with opened(home) as archives:
        assert hot.trim(archives, 0, keep=-1).dropped == 1
    assert by_hand(home, added.root, tmp_path / "made-again") == data
    with opened(home) as archives:
        hot.trim(archives, 0, keep=-1)
    with node(home, "--offline") as running:
        assert ask(running.url, f"/ipfs/{added.root}?filename={wheel.name}") == (200, data)
