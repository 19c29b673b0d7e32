from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.app.nodes import dpip
from tests.simple.fixture_index import FixtureIndex, wheel


@pytest.fixture
def index() -> Iterator[FixtureIndex]:
    with FixtureIndex() as fixture:
        fixture.add("demo", wheel("demo", "1.0", requires=["needed"]), wheel("demo", "1.1"))
        fixture.add("needed", wheel("needed", "2.0"))
        yield fixture


@pytest.fixture
def project(tmp_path: Path) -> Iterator[dict[str, str]]:
    """An environment of its own, and a node that is stopped at the end."""
    venv.create(tmp_path / "venv", with_pip=True, symlinks=os.name != "nt")
    yield {"VIRTUAL_ENV": str(tmp_path / "venv"), "DPIP_PORT": "0", "PIP_NO_CACHE_DIR": "1"}
    dpip("node", "stop")


def installed(project: dict[str, str]) -> dict[str, str]:
    python = Path(project["VIRTUAL_ENV"]) / "bin" / "python"
    command = [str(python), "-m", "pip", "list", "--format", "json"]
    rows = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    return {row["name"]: row["version"] for row in rows}


def test_install_starts_a_node_and_goes_through_it(
    project: dict[str, str], index: FixtureIndex
) -> None:
    other = {"PIP_EXTRA_INDEX_URL": "http://127.0.0.1:9/never-asked/"}
    done = dpip("install", "demo==1.0", PIP_INDEX_URL=index.url, **project, **other)
    assert done.returncode == 0, done.stderr
    assert "Successfully installed demo-1.0 needed-2.0" in done.stdout
    assert {"demo": "1.0", "needed": "2.0"}.items() <= installed(project).items()
    assert dpip("node", "status").returncode == 0
    index.stop()
    again = dpip("install", "--force-reinstall", "demo==1.0", **project)
    assert again.returncode == 0, again.stderr
    missing = dpip("install", "no-such-project", **project)
    plain = Path(project["VIRTUAL_ENV"]) / "bin" / "python"
    code = subprocess.run([plain, "-m", "pip", "show", "gone"], check=False, capture_output=True)
    assert missing.returncode == code.returncode == 1
    assert "Traceback" not in missing.stderr
    with_other = dpip("run", "--", "sh", "-c", "echo $UV_DEFAULT_INDEX; exit 7", **project)
    assert with_other.returncode == 7
    assert with_other.stdout.startswith("http://127.0.0.1:")


def test_without_a_node_pip_has_the_users_own_settings(
    project: dict[str, str], index: FixtureIndex, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    done = dpip(
        "install", "demo", DPIP_HOME=str(tmp_path / "file"), PIP_INDEX_URL=index.url, **project
    )
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("dpip: ")]
    assert len(lines) == 1
    assert "your own settings" in lines[0]
    assert installed(project)["demo"] == "1.1"


def test_local_commands_start_no_node() -> None:
    done = dpip("freeze", VIRTUAL_ENV=sys.prefix)
    direct = subprocess.run(
        [sys.executable, "-m", "pip", "freeze"], capture_output=True, text=True, check=True
    )
    assert done.stdout == direct.stdout
    assert dpip("node", "status").returncode == 6


def test_dpip_version_and_pips_version_are_two_words() -> None:
    assert dpip("--version").stdout.startswith("dpip ")
    assert dpip("debug", "--help").stdout.strip().startswith("Usage:")
