"""The clients that people use, through a real node process on a loopback upstream."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import peers
from tests.app.nodes import NodeProcess, node
from tests.simple.fixture_index import FixtureIndex, wheel

from dpip.app.child import environment

PYPROJECT = """
[project]
name = "example"
version = "0"
requires-python = ">=3.11"
dependencies = ["demo"]
"""
POETRY_SOURCE = """
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "dpip"
url = "{url}"
priority = "primary"
"""


@pytest.fixture
def running(tmp_path: Path) -> Iterator[NodeProcess]:
    with FixtureIndex() as index:
        index.add("demo", wheel("demo", "1.0"), wheel("demo", "1.1", requires=["needed>=2"]))
        index.add("needed", wheel("needed", "2.0"), wheel("needed", "1.0"))
        with node(tmp_path / "home", "--index-url", index.url) as process:
            yield process


def run(running: NodeProcess, folder: Path, *words: str | Path, **more: str) -> str:
    """Run a client in the environment that `dpip run` gives it; return what it said."""
    environ = {**environment(running.url, os.environ), "HOME": str(folder), **more}
    environ.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def project(tmp_path: Path, more: str = "") -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT + more)
    return folder


def test_pip_installs_and_finds_all_in_its_cache_afterwards(
    running: NodeProcess, tmp_path: Path
) -> None:
    venv.create(tmp_path / "venv", with_pip=True, symlinks=os.name != "nt")
    pip = (tmp_path / "venv" / "bin" / "python", "-m", "pip")
    said = run(running, tmp_path, *pip, "install", "demo")
    assert "Successfully installed demo-1.1 needed-2.0" in said
    hashed = run(running, tmp_path, *pip, "download", "--no-deps", "-d", tmp_path / "d", "demo")
    assert "demo-1.1-py3-none-any.whl" in hashed


def test_uv_installs(running: NodeProcess, tmp_path: Path) -> None:
    uv = peers.require("uv")
    cache = ("--cache-dir", tmp_path / "cache")
    into = ("--target", tmp_path / "into", "--python", sys.executable)
    run(running, tmp_path, uv, "pip", "install", *cache, *into, "demo")
    assert (tmp_path / "into" / "needed" / "__init__.py").exists()


def test_uv_locks(running: NodeProcess, tmp_path: Path) -> None:
    uv = peers.require("uv")
    folder = project(tmp_path)
    python = ("--python", sys.executable, "--cache-dir", tmp_path / "cache")
    run(running, folder, uv, "lock", *python)
    assert 'name = "needed"' in (folder / "uv.lock").read_text()


def test_poetry_locks(running: NodeProcess, tmp_path: Path) -> None:
    poetry = peers.require("poetry")
    folder = project(tmp_path, POETRY_SOURCE.format(url=running.simple))
    run(running, folder, poetry, "lock", "-n", POETRY_CACHE_DIR=str(tmp_path / "cache"))
    assert 'name = "needed"' in (folder / "poetry.lock").read_text()


def test_pdm_locks(running: NodeProcess, tmp_path: Path) -> None:
    pdm = peers.require("pdm")
    folder = project(tmp_path)
    run(running, folder, pdm, "lock", PDM_PYTHON=sys.executable, PDM_CHECK_UPDATE="0")
    assert 'name = "needed"' in (folder / "pdm.lock").read_text()
