"""Two nodes behind one name: one address by a round-robin proxy, one IPNS name by one key."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests import peers
from tests.app.nodes import NodeProcess, dpip, node
from tests.federation.processes import fetch, rid, until
from tests.simple.fixture_index import FixtureIndex, wheel

NOWHERE = "http://127.0.0.1:9/simple/"
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; default_type application/octet-stream;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  upstream mirror {{ {servers} }}
  server {{
    listen unix:{folder}/socket; listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://mirror; proxy_next_upstream error timeout http_502 http_503;
    }}
  }}
}}
"""


@contextlib.contextmanager
def round_robin(folder: Path, *nodes: NodeProcess) -> Iterator[str]:
    """Serve several nodes at one address, each request by the next of them."""
    from benchmarks.servers import free_port

    folder.mkdir()
    addresses = [one.url.removeprefix("http://") for one in nodes]
    servers = " ".join(f"server {address} max_fails=1 fail_timeout=2s;" for address in addresses)
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, servers=servers, port=port))
    program = [str(peers.require("nginx")), "-c", str(config), "-e", str(folder / "log")]
    with subprocess.Popen(program, stderr=subprocess.DEVNULL) as nginx:
        try:
            until((folder / "socket").exists)
            yield f"http://127.0.0.1:{port}"
        finally:
            nginx.terminate()


def run(*words: str, home: Path) -> Any:
    done = dpip(*words, "--json", DPIP_HOME=str(home))
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def share_key(first: Path, second: Path) -> None:
    """Give a home the key of another, as its own index key."""
    exported = first / "index.key"
    for words, home in (
        (("export", "self", "-o", str(exported)), first),
        (("import", "self", str(exported)), second),
    ):
        done = dpip("ipfs", "key", *words, DPIP_HOME=str(home))
        assert done.returncode == 0, done.stderr
    exported.unlink()


def mirror(home: Path, index: FixtureIndex) -> None:
    environ = {"DPIP_HOME": str(home), "DPIP_INDEX_URL": index.url}
    words = [["mirror", "init", "--allow", "demo", "--allow", "other"], ["mirror", "sync"]]
    for command in words:
        done = dpip(*command, **environ)
        assert done.returncode == 0, done.stdout + done.stderr


def pip(index_url: str, what: str, into: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--target", str(into)]
    return subprocess.run(
        [*command, "--index-url", index_url, what],
        capture_output=True, text=True, check=False, timeout=90, env=dict(os.environ),
    )  # fmt: skip


def test_two_nodes_with_one_key_behind_one_address(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        index.add("demo", wheel("demo", "1.0", requires=["other"]))
        index.add("other", wheel("other", "1.0"))
        for name in ("a", "b"):
            mirror(tmp_path / name, index)
        first = run("index", "publish", home=tmp_path / "a")
        share_key(tmp_path / "a", tmp_path / "b")
        with (
            node(tmp_path / "a", "--offline", "--name", "a") as a,
            node(tmp_path / "b", "--offline", "--name", "b", "--first-contact", a.url) as b,
        ):
            second = run("index", "publish", home=tmp_path / "b")
            assert (second["name"], second["root"]) == (first["name"], first["root"])
            _the_other_hears_of_the_head(a, second)
            assert rid(a.url) != rid(b.url)
            with round_robin(tmp_path / "nginx", a, b) as url:
                _one_dies_in_the_middle(url, b, first["name"], tmp_path)


def _the_other_hears_of_the_head(a: NodeProcess, head: dict[str, Any]) -> None:
    """Both tell the same head, so it does not matter which of them is asked."""
    from dpip.ipfs import ipns
    from dpip.ipfs.keys import parse_name

    name = parse_name(head["name"])
    path = f"{a.url}/ipns/{head['name']}?format=ipns-record"

    def sequence() -> int:
        return ipns.verify(fetch(path), name).sequence

    until(lambda: sequence() >= head["sequence"])


def _one_dies_in_the_middle(url: str, victim: NodeProcess, name: str, folder: Path) -> None:
    for number, index_url in enumerate((f"{url}/simple/", f"{url}/ipns/{name}/")):
        done = pip(index_url, "demo", folder / f"both-{number}")
        assert done.returncode == 0, done.stderr
    victim.kill()
    for number, index_url in enumerate((f"{url}/simple/", f"{url}/ipns/{name}/")):
        done = pip(index_url, "demo", folder / f"one-{number}")
        assert done.returncode == 0, done.stderr
        assert (folder / f"one-{number}" / "other-1.0.dist-info").is_dir()


@pytest.mark.slow
def test_a_follower_goes_on_when_the_first_gateway_of_a_name_dies(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        index.add("demo", wheel("demo", "1.0", requires=["other"]))
        index.add("other", wheel("other", "1.0"))
        for name in ("a", "b"):
            mirror(tmp_path / name, index)
        head = run("index", "publish", home=tmp_path / "a")
        share_key(tmp_path / "a", tmp_path / "b")
        run("index", "publish", home=tmp_path / "b")
        with (
            node(tmp_path / "a", "--offline") as a,
            node(tmp_path / "b", "--offline") as b,
        ):
            home = tmp_path / "follower"
            run("index", "use", f"{head['name']}@{a.url}+{b.url}", home=home)
            run("index", "refresh", "--wait", home=home)
            with node(home, "--index-url", NOWHERE) as follower:
                a.kill()
                done = pip(follower.simple, "demo", tmp_path / "into")
                assert done.returncode == 0, done.stderr
