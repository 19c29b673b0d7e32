"""Private packages end to end: real publishing clients, a real node process, plain pip."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
from tests import peers
from tests.app.nodes import NodeProcess, dpip, node
from tests.simple.fixture_index import FixtureIndex, wheel


@pytest.fixture
def index() -> Iterator[FixtureIndex]:
    with FixtureIndex() as opened:
        opened.add("acme-tool", wheel("acme_tool", "99"))
        opened.add("demo", wheel("demo", "1.0"))
        yield opened


@pytest.fixture
def running(tmp_path: Path, index: FixtureIndex) -> Iterator[NodeProcess]:
    with node(tmp_path / "home", "--index-url", index.url) as process:
        yield process


@pytest.fixture
def built(tmp_path: Path) -> Path:
    made = wheel("acme_tool", "1.0")
    path = tmp_path / "dist" / made.filename
    path.parent.mkdir()
    path.write_bytes(made.content)
    return path


def secret(running: NodeProcess, *flags: str) -> str:
    done = dpip("private", "token", "add", "ci", *flags, DPIP_HOME=str(running.home))
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def twine(running: NodeProcess, token: str, path: Path) -> subprocess.CompletedProcess[str]:
    credentials = ("-u", "__token__", "-p", token)
    command = [str(peers.require("twine")), "upload", "--disable-progress-bar", "--verbose"]
    return subprocess.run(
        [*command, *credentials, "--repository-url", f"{running.url}/legacy/", str(path)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


def page(running: NodeProcess, name: str) -> Any:
    request = urllib.request.Request(
        f"{running.simple}{name}/", headers={"Accept": "application/vnd.pypi.simple.v1+json"}
    )
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


def test_what_twine_uploads_pip_installs_and_upstream_never_answers(
    running: NodeProcess, index: FixtureIndex, built: Path, tmp_path: Path
) -> None:
    done = twine(running, secret(running), built)
    assert done.returncode == 0, done.stdout + done.stderr
    assert [file["filename"] for file in page(running, "acme-tool")["files"]] == [built.name]
    assert not any("acme-tool" in request for request in map(str, index.requests))
    again = twine(running, secret(running), built)
    assert again.returncode == 0, again.stdout
    into = tmp_path / "into"
    pip = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--target", str(into)]
    subprocess.run(
        [*pip, "--index-url", running.simple, "acme-tool"],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    assert (into / "acme_tool-1.0.dist-info").is_dir()


def test_uv_publishes(running: NodeProcess, built: Path, tmp_path: Path) -> None:
    uv = peers.require("uv")
    done = subprocess.run(
        [str(uv), "publish", "--publish-url", f"{running.url}/legacy/", "--token",
         secret(running), "--cache-dir", str(tmp_path / "cache"), str(built)],
        capture_output=True, text=True, check=False, timeout=60,
        env={**os.environ, "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert len(page(running, "acme-tool")["files"]) == 1


def test_a_token_that_does_not_cover_the_project_is_refused(
    running: NodeProcess, built: Path
) -> None:
    for token in ("guess", secret(running, "--project", "other")):
        done = twine(running, token, built)
        assert done.returncode != 0
        assert "403" in done.stdout + done.stderr


def test_private_files_survive_a_kill_and_are_served_offline(
    running: NodeProcess, index: FixtureIndex, built: Path
) -> None:
    token = secret(running)
    assert twine(running, token, built).returncode == 0
    running.kill()
    (running.home / "catalog.sqlite3").unlink()
    with node(running.home, "--offline") as again:
        (file,) = page(again, "acme-tool")["files"]
        url = urljoin(f"{again.simple}acme-tool/", file["url"])
        with urllib.request.urlopen(url, timeout=10) as got:
            assert got.read() == built.read_bytes()


def test_yanking_is_seen_by_a_running_node(running: NodeProcess, built: Path) -> None:
    assert twine(running, secret(running), built).returncode == 0
    home = {"DPIP_HOME": str(running.home)}
    assert dpip("private", "yank", built.name, "--reason", "broken", **home).returncode == 0
    listed = json.loads(dpip("private", "list", "--json", **home).stdout)
    assert listed[0]["yanked"] == "broken"
    deadline = time.monotonic() + 10
    while page(running, "acme-tool")["files"][0]["yanked"] != "broken":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert dpip("private", "delete", built.name, **home).returncode == 0
    missing = dpip("private", "delete", "never-1.tar.gz", **home)
    assert (missing.returncode, "no-such" in missing.stderr) == (1, False)
    assert "there is no private file" in missing.stderr


def test_what_is_refused_is_not_kept(running: NodeProcess, built: Path) -> None:
    token = secret(running)
    assert twine(running, token, built).returncode == 0
    whole = running.home / "archives" / "whole"
    before = sorted(whole.rglob("*"))
    with zipfile.ZipFile(built, "a") as archive:
        archive.writestr("more.txt", "other bytes under the same name")
    refused = twine(running, token, built)
    assert refused.returncode != 0
    assert "400" in refused.stdout + refused.stderr
    assert sorted(whole.rglob("*.*")) == [path for path in before if path.is_file()]
