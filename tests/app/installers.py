"""Four installers that people use, each installing for real into an environment of its own.

An environment is a bare virtual environment in the project's folder; the proof is that its
Python imports what was installed, from there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Sequence
from pathlib import Path

from tests import peers

INSTALLERS = ("pip", "uv", "poetry", "pdm")
LOCKERS = ("uv", "poetry", "pdm")
LOCKING = {"poetry": ("-n",), "uv": ("--no-cache",)}
DEAD_PROXY = "http://127.0.0.1:9"
PYPROJECT = """
[project]
name = "example"
version = "0"
requires-python = "=={python}.*"
dependencies = ["{requirement}"]
[tool.pdm]
distribution = false
[tool.poetry]
package-mode = false
[[tool.poetry.source]]
name = "mirror"
url = "{url}"
priority = "primary"
"""


def install(installer: str, simple_url: str, folder: Path, requirement: str) -> str:
    """Install a requirement from one index and nothing else; return the version that is there.

    `requirement` is a bare name, which is also the module's. Whatever asks for another host
    ends at a dead proxy.
    """
    prepare(simple_url, folder, requirement)
    run(command(installer, simple_url, folder, requirement), simple_url, folder)
    return imported(folder, requirement)


def lock(installer: str, simple_url: str, folder: Path, requirement: str) -> str:
    """Let an installer lock a requirement from one index alone; return its lock file."""
    prepare(simple_url, folder, requirement)
    run((peers.require(installer), "lock", *LOCKING.get(installer, ())), simple_url, folder)
    [written] = folder.glob("*.lock")
    return written.read_text()


def prepare(simple_url: str, folder: Path, requirement: str) -> None:
    """Make a project with a bare environment."""
    folder.mkdir(parents=True)
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    text = PYPROJECT.format(url=simple_url, requirement=requirement, python=python)
    (folder / "pyproject.toml").write_text(text)
    venv.create(folder / ".venv", symlinks=os.name != "nt")


def run(words: Sequence[str | Path], simple_url: str, folder: Path) -> None:
    done = subprocess.run(
        [str(word) for word in words],
        cwd=folder,
        env=environment(folder, simple_url),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"


def command(installer: str, url: str, folder: Path, requirement: str) -> Sequence[str | Path]:
    into = folder / ".venv" / "bin" / "python"
    if installer == "pip":
        pip = (sys.executable, "-m", "pip", "--python", into, "install", "--no-cache-dir")
        return (*pip, "--index-url", url, requirement)
    program = peers.require(installer)
    if installer == "uv":
        cache = ("--cache-dir", folder / "cache")
        return (program, "pip", "install", *cache, "--python", into, requirement)
    return (program, "install", *(["-n"] if installer == "poetry" else []))


def environment(folder: Path, url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    return kept | {
        "HOME": str(folder),
        "PIP_CONFIG_FILE": os.devnull,
        "UV_DEFAULT_INDEX": url,
        "UV_NO_CONFIG": "1",
        "POETRY_CACHE_DIR": str(folder / "cache"),
        "PDM_PYPI_URL": url.rstrip("/"),
        "PDM_CACHE_DIR": str(folder / "cache"),
        "PDM_CHECK_UPDATE": "0",
        **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), DEAD_PROXY),
        **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost,::1"),
    }


def imported(folder: Path, name: str) -> str:
    """Return the version of a module that the environment imports from itself."""
    asking = (
        "import importlib, importlib.metadata as m, sys; name = sys.argv[1];"
        "print(importlib.import_module(name).__file__); print(m.version(name))"
    )
    python = folder / ".venv" / "bin" / "python"
    done = subprocess.run(
        [str(python), "-I", "-c", asking, name], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    place, version = done.stdout.split()
    assert Path(place).is_relative_to(folder / ".venv"), place
    return version
