"""A filtered mirror with its upstream cut off, and the clients that people use on it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests import peers
from tests.app.nodes import NodeProcess, dpip, node
from tests.simple.fixture_index import FixtureIndex, wheel

from dpip.app.child import environment

RULES = ["--allow", "flask", "--with-dependencies", "--latest", "2", "--platform", "linux"]
PYTHONS = [f"{sys.version_info.major}.{sys.version_info.minor + more}" for more in (0, 1)]
CLIENTS = ["pip", "uv", "poetry", "pdm"]
PYPROJECT = """
[project]
name = "example"
version = "0"
requires-python = ">=3.11"
dependencies = ["flask"]
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "mirror"
url = "{url}"
priority = "primary"
"""


def mirrored(home: Path, *words: str) -> None:
    """Make a mirror of flask with its dependencies, and sync it."""
    pythons = [word for python in PYTHONS for word in ("--python", python)]
    made = dpip("mirror", "init", "--home", str(home), *RULES, *pythons, *words)
    assert made.returncode == 0, made.stderr
    done = dpip("mirror", "sync", "--home", str(home))
    assert done.returncode == 0, done.stdout + done.stderr


def command(client: str, folder: Path) -> Sequence[str | Path]:
    """Return how a client installs the project in `folder`, or locks it."""
    if client == "pip":
        return (sys.executable, "-m", "pip", "install", "--target", folder / "into", "flask")
    program = peers.require(client)
    if client == "uv":
        into = ("--target", folder / "into", "--python", sys.executable)
        return (program, "pip", "install", "--cache-dir", folder / "cache", *into, "flask")
    return (program, "lock", *(["-n"] if client == "poetry" else []))


def install(client: str, served: NodeProcess, folder: Path) -> None:
    folder.mkdir()
    (folder / "pyproject.toml").write_text(PYPROJECT.format(url=served.simple))
    environ = {
        **environment(served.url, os.environ),
        "HOME": str(folder),
        "POETRY_CACHE_DIR": str(folder / "cache"),
        "PDM_PYTHON": sys.executable,
        "PDM_CHECK_UPDATE": "0",
    }
    environ.pop("VIRTUAL_ENV", None)
    done = subprocess.run(
        [str(word) for word in command(client, folder)],
        cwd=folder, env=environ, capture_output=True, text=True, check=False, timeout=200,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    locks = [path.read_text() for path in folder.glob("*.lock")]
    assert locks or (folder / "into" / "flask" / "__init__.py").exists()
    assert all('"click"' in lock for lock in locks)


@pytest.mark.slow
@pytest.mark.parametrize("client", CLIENTS)
def test_clients_install_from_a_mirror_that_is_cut_off(client: str, tmp_path: Path) -> None:
    with FixtureIndex() as index:
        index.add("flask", *(wheel("flask", v, requires=["click<3"]) for v in ("1.0", "2.0")))
        index.add("click", *(wheel("click", f"{v}.0") for v in (1, 2, 3, 4, 5)))
        mirrored(tmp_path / "home", "--index-url", index.url)
    with node(tmp_path / "home", "--offline") as served:
        install(client, served, tmp_path / "project")


@pytest.mark.outside
@pytest.mark.parametrize("client", CLIENTS)
def test_clients_install_from_a_mirror_of_the_real_index(client: str, tmp_path: Path) -> None:
    mirrored(tmp_path / "home")
    with node(tmp_path / "home", "--offline") as served:
        install(client, served, tmp_path / "project")
