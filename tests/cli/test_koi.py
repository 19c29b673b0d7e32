"""`dpip koi` beside real nodes, and where there are none."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from tests.app.nodes import NodeProcess, dpip, node
from tests.federation.processes import filenames, rid, until
from tests.simple.fixture_index import FixtureIndex, wheel

from dpip.cli.main import main


def koi(running: NodeProcess | Path, *words: str) -> Any:
    home = running if isinstance(running, Path) else running.home
    done = dpip("koi", *words, "--json", DPIP_HOME=str(home))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def refused(running: NodeProcess | Path, *words: str) -> dict[str, Any]:
    home = running if isinstance(running, Path) else running.home
    done = dpip("koi", *words, "--json", DPIP_HOME=str(home))
    assert done.returncode != 0, done.stdout
    found: dict[str, Any] = json.loads(done.stderr)
    return found


def test_a_home_without_a_network_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DPIP_HOME", str(tmp_path))
    for words in (["status"], ["peers"], ["events"], ["rids"], ["get", "orn:a.b:c"]):
        assert main(["koi", *words]) == 6
        assert "hint: start one" in capsys.readouterr().err.replace("start a node", "start one")
    for words in (["add", "http://127.0.0.1:9"], ["drop", "x"], ["forget", "orn:a.b:c"]):
        assert main(["koi", *words]) == 6
        assert "no node runs" in capsys.readouterr().err


def test_the_network_by_hand(tmp_path: Path) -> None:
    with (
        FixtureIndex() as index,
        node(tmp_path / "a", "--index-url", index.url, DPIP_PAGE_MAX_AGE="0") as a,
        _believing(tmp_path / "b", rid(a.url)) as b,
    ):
        index.add("demo", wheel("demo", "1.0"))
        assert filenames(a.url, "demo")
        _two_nodes_meet(a, b)
        _what_is_known_is_shown(a, b)
        _news_is_followed(a, b, index)
        _an_object_is_forgotten(a, b)
        _a_dropped_node_stays_dropped(a, b, index)
        b.stop()
        status = koi(b, "status")
        assert status["running"] is None
        assert status["rid"]


def _believing(home: Path, other: str) -> AbstractContextManager[NodeProcess]:
    done = dpip("config", "set", "trusted_nodes", other, DPIP_HOME=str(home))
    assert done.returncode == 0, done.stderr
    return node(home, "--offline")


def _two_nodes_meet(a: NodeProcess, b: NodeProcess) -> None:
    assert koi(b, "peers") == []
    assert koi(b, "add", a.url) == {"added": rid(a.url)}
    [peer] = until(lambda: [row for row in koi(b, "peers") if row["tells_us"] == "approved"])
    assert peer["rid"] == rid(a.url)
    assert peer["trusted"]
    assert not peer["private"]
    until(lambda: filenames(b.url, "demo"))


def _what_is_known_is_shown(a: NodeProcess, b: NodeProcess) -> None:
    status = koi(b, "status")
    assert status["running"] == b.url
    assert status["peers"] == 1
    assert status["held"]["orn:pypi.file"] == 1
    file = "orn:pypi.file:demo/demo-1.0-py3-none-any.whl"
    assert koi(b, "rids", "orn:pypi.file") == [file]
    assert file in koi(b, "rids")
    found = koi(b, "get", file)
    assert found["contents"]["filename"] == "demo-1.0-py3-none-any.whl"
    assert found["source"] == rid(a.url)
    assert refused(b, "get", "orn:pypi.project:none")["error"] == "not-held"
    text = dpip("koi", "status", DPIP_HOME=str(b.home)).stdout
    assert text.startswith(status["rid"])
    assert "1 peers" in text
    assert "believed" in dpip("koi", "peers", DPIP_HOME=str(b.home)).stdout


def _news_is_followed(a: NodeProcess, b: NodeProcess, index: FixtureIndex) -> None:
    command = [sys.executable, "-m", "dpip", "koi", "events", "--follow", "--json", "-n", "1"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env={**os.environ, "DPIP_HOME": str(b.home)}
    ) as following:
        assert following.stdout is not None
        assert json.loads(following.stdout.readline())["what"] == "kept"
        index.add("later", wheel("later", "1.0"))
        assert filenames(a.url, "later")
        seen = json.loads(following.stdout.readline())
        following.terminate()
    assert seen["rid"].startswith("orn:pypi.file:later/")
    assert seen["what"] == "kept"


def _an_object_is_forgotten(a: NodeProcess, b: NodeProcess) -> None:
    file = "orn:pypi.file:later/later-1.0-py3-none-any.whl"
    until(lambda: file in koi(b, "rids"))
    assert koi(a, "forget", file) == {"forgot": file}
    until(lambda: file not in koi(b, "rids"))
    [last] = [row for row in koi_lines(b, "events", "-n", "5") if row["rid"] == file]
    assert last["what"] == "forgotten"
    assert "nothing is held" in refused(a, "forget", file)["message"]


def _a_dropped_node_stays_dropped(a: NodeProcess, b: NodeProcess, index: FixtureIndex) -> None:
    gone = rid(a.url)
    assert koi(b, "drop", a.url) == {"dropped": gone}
    until(lambda: koi(b, "peers") == [])
    # It may introduce itself as often as it likes.
    introduced = koi(a, "peers")[0]["rid"]
    assert introduced == rid(b.url)
    dpip("koi", "add", b.url, DPIP_HOME=str(a.home))
    index.add("demo", wheel("demo", "2.0"))
    assert len(filenames(a.url, "demo")) == 2
    assert koi(b, "peers") == []
    assert len(filenames(b.url, "demo")) == 1
    assert "no node" in refused(b, "drop", gone)["message"]
    assert koi(b, "add", a.url) == {"added": gone}
    until(lambda: len(filenames(b.url, "demo")) == 2)


def koi_lines(running: NodeProcess, *words: str) -> list[dict[str, Any]]:
    done = dpip("koi", *words, "--json", DPIP_HOME=str(running.home))
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_what_cannot_be_reached_is_said(tmp_path: Path) -> None:
    with node(tmp_path / "a", "--offline") as a:
        urllib.request.urlopen(f"{a.url}/healthz", timeout=10).close()
        rid(a.url)
        assert refused(a, "add", "http://127.0.0.1:9")["error"] == "order-failed"
        assert refused(a, "add", "orn:nonsense")["error"] == "order-failed"
