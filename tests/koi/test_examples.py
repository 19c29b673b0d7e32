"""The example programs, run as their users run them."""

from __future__ import annotations

import http.client
import json
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tests.koi.nodes import served, until
from tests.peers import ROOT

from dpip.koi import RID, Cache, KoiNetNode

if TYPE_CHECKING:
    from pathlib import Path


def start(module: str, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-m", f"examples.{module}", *arguments]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_coordinator_and_a_partial_node(tmp_path: Path) -> None:
    hub = start(
        "basic_coordinator_node", "--port", str(free_port()), "--home", str(tmp_path / "hub")
    )
    assert hub.stdout is not None
    url, rid = hub.stdout.readline().split()
    leaf = start(
        "basic_partial_node", "--home", str(tmp_path / "leaf"), "--first-contact", f"{rid}@{url}"
    )
    try:
        assert leaf.stdout is not None
        _, leaf_rid = leaf.stdout.readline().split()
        lines: list[str] = []
        while rid not in "".join(lines):
            lines.append(leaf.stdout.readline())
            assert lines[-1], lines
    finally:
        for process in (leaf, hub):
            process.terminate()
        assert [leaf.wait(20), hub.wait(20) in {0, -15, 143}] == [0, True]
        for process in (leaf, hub):
            assert process.stdout is not None
            process.stdout.close()
    cache = Cache(tmp_path / "hub" / "rid_cache")
    assert RID.from_string(leaf_rid) in cache.list_rids([KoiNetNode])
    cache.store.close()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--port", "99999"], "a port is a number from 1 to 65535"),
        (["--port", "-1"], "a port is a number from 1 to 65535"),
        (["--name", "a+b"], "a name is text without '+'"),
        (["--name", ""], "a name is text without '+'"),
        (["--first-contact", "nonsense"], "not the base URL of a node: 'nonsense'"),
        (["--first-contact", "orn:koi-net.node:a+b"], "a first contact is URL or RID@URL"),
        (["--home", "/dev/null/x"], "argument --home"),
    ],
)
@pytest.mark.parametrize("module", ["basic_coordinator_node", "basic_partial_node"])
def test_what_cannot_be_is_said_in_a_line(
    tmp_path: Path, module: str, arguments: list[str], says: str
) -> None:
    command = [sys.executable, "-m", f"examples.{module}", "--home", str(tmp_path), *arguments]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, cwd=ROOT, check=False, timeout=20
    )
    assert done.returncode in {1, 2}
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_the_full_template_behind_fastapi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(ROOT))
    import importlib

    template = importlib.import_module("examples.full_node_template")
    with served(template.app) as port:
        until(lambda: template.node.cache.exists(template.node.identity.rid))
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("POST", "/koi-net/rids/fetch", b"{}")
        assert json.loads(connection.getresponse().read()) == {
            "rids": [str(template.node.identity.rid)]
        }
        connection.close()
    template.node.store.close()
    del sys.modules["examples.full_node_template"]
