"""An index under an IPNS name: published by one node, installed from by others."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from filelock import FileLock
from tests.app.nodes import NodeProcess, dpip, node
from tests.simple.fixture_index import FixtureIndex, wheel

from dpip.ipfs.keys import PrivateKey

NOWHERE = "http://127.0.0.1:9/simple/"


def pip(index_url: str, into: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--target", str(into)]
    return subprocess.run(
        [*command, "--index-url", index_url, *words],
        capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip


def publish(home: Path) -> str:
    done = dpip("index", "publish", "--json", DPIP_HOME=str(home))
    assert done.returncode == 0, done.stderr
    return str(json.loads(done.stdout)["name"])


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[tuple[NodeProcess, FixtureIndex]]:
    with FixtureIndex() as index:
        index.add("demo", wheel("demo", "1.0"), wheel("demo", "1.1", requires=["needed>=2"]))
        index.add("needed", wheel("needed", "2.0"))
        with node(tmp_path / "publisher", "--index-url", index.url) as running:
            done = pip(running.simple, tmp_path / "first", "demo")
            assert done.returncode == 0, done.stderr
            yield running, index


def test_plain_pip_installs_from_an_ipns_name(
    publisher: tuple[NodeProcess, FixtureIndex], tmp_path: Path
) -> None:
    running, _ = publisher
    name = publish(running.home)
    done = pip(f"{running.url}/ipns/{name}/", tmp_path / "into", "demo")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "into" / "demo-1.1.dist-info").is_dir()
    assert (tmp_path / "into" / "needed-2.0.dist-info").is_dir()


def test_a_node_that_knows_only_the_name_installs_with_upstream_cut_off(
    publisher: tuple[NodeProcess, FixtureIndex], tmp_path: Path
) -> None:
    running, _ = publisher
    name = publish(running.home)
    home = {"DPIP_HOME": str(tmp_path / "follower")}
    used = dpip("index", "use", f"{name}@{running.url}", **home)
    assert used.returncode == 0, used.stderr
    refreshed = dpip("index", "refresh", "--wait", "--json", **home)
    assert json.loads(refreshed.stdout)[0]["sequence"] == 1
    with node(tmp_path / "follower", "--index-url", NOWHERE) as follower:
        done = pip(follower.simple, tmp_path / "into", "demo")
        assert done.returncode == 0, done.stderr
        running.stop()
        again = pip(follower.simple, tmp_path / "again", "demo")
        assert again.returncode == 0, "what was installed once needs nobody: " + again.stderr


def test_a_later_publication_holds_what_is_new_and_costs_no_more(
    publisher: tuple[NodeProcess, FixtureIndex], tmp_path: Path
) -> None:
    running, index = publisher
    home = {"DPIP_HOME": str(running.home)}
    name = publish(running.home)
    index.add("later", wheel("later", "1.0"))
    assert pip(running.simple, tmp_path / "x", "later").returncode == 0
    second = json.loads(dpip("index", "publish", "--json", **home).stdout)
    assert (second["name"], second["sequence"], second["projects"]) == (name, 2, 1)
    third = json.loads(dpip("index", "publish", "--json", **home).stdout)
    assert (third["root"], third["sequence"], third["projects"]) == (second["root"], 3, 0)
    listed = json.loads(dpip("index", "list", "--json", **home).stdout)
    assert (listed[0]["kind"], listed[0]["sequence"]) == ("published", 3)
    assert pip(f"{running.url}/ipns/{name}/", tmp_path / "y", "later").returncode == 0


def test_a_refresh_beside_finds_the_head_and_there_is_only_one(
    publisher: tuple[NodeProcess, FixtureIndex], tmp_path: Path
) -> None:
    running, _ = publisher
    name = publish(running.home)
    home = tmp_path / "follower"
    follower = {"DPIP_HOME": str(home)}
    assert dpip("index", "use", f"{name}@{running.url}", **follower).returncode == 0
    with FileLock(home / "refresh.lock"):
        refused = dpip("index", "refresh", "--json", **follower)
        assert json.loads(refused.stdout) == {"started": False}
    begun = dpip("index", "refresh", "--json", **follower)
    assert json.loads(begun.stdout) == {"started": True}
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        [head] = json.loads(dpip("index", "list", "--json", **follower).stdout)
        if head["sequence"] is not None:
            break
    assert (head["kind"], head["sequence"]) == ("followed", 1)


def test_indexes_that_are_followed_have_an_order(tmp_path: Path) -> None:
    home = {"DPIP_HOME": str(tmp_path)}
    names = [PrivateKey.from_seed(bytes([n]) * 32).name.encode("k") for n in range(3)]
    dpip("index", "use", names[0], **home)
    dpip("index", "use", names[1], **home)
    done = dpip("index", "use", names[2], "--first", "--json", **home)
    assert json.loads(done.stdout) == [names[2], names[0], names[1]]
    done = dpip("index", "use", f"{names[0]}@http://127.0.0.1:9", "--json", **home)
    assert json.loads(done.stdout) == [names[2], names[1], f"{names[0]}@http://127.0.0.1:9"]
    done = dpip("index", "drop", names[2], "--json", **home)
    assert json.loads(done.stdout)[0] == names[1]


def test_indexes_that_are_none_are_refused(tmp_path: Path) -> None:
    home = {"DPIP_HOME": str(tmp_path)}
    name = PrivateKey.generate().name.encode("k")
    for words in (
        ("use", "no/name"),
        ("use", "k51abc"),
        ("use", f"{name}@ftp://x"),
        ("publish", "--key", "never"),
    ):
        done = dpip("index", *words, **home)
        assert done.returncode in {1, 2}
        assert "Traceback" not in done.stderr
        assert done.stderr.startswith("error: ")
    assert dpip("index", "use", name, **home).returncode == 0
    assert dpip("index", "drop", name, **home).returncode == 0
    assert dpip("config", "get", "index", "--json", **home).stdout.strip() == "[]"
