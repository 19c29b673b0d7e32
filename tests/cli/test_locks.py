"""What `dpip resolve` writes is what pip and uv install."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import peers
from tests.simple.fixture_index import FixtureIndex, wheel

from dpip.cli import main


@pytest.fixture
def index() -> Iterator[FixtureIndex]:
    with FixtureIndex() as index:
        index.add("app", wheel("app", "1.0", requires=["lib>=1"]))
        index.add("lib", wheel("lib", "1.0"), wheel("lib", "2.0"))
        yield index


@pytest.fixture
def python(tmp_path: Path) -> str:
    venv.create(tmp_path / "venv", with_pip=False)
    return str(tmp_path / "venv" / "bin" / "python")


def lock(index: FixtureIndex, out: Path, *words: str) -> None:
    cache = str(out.parent / "cache")
    asked = ["resolve", "app", "--index-url", index.url, "--cache-dir", cache, "-o", str(out)]
    assert main.main([*asked, *words]) == 0


def run(*words: str, text: str | None = None) -> str:
    done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def installed(python: str) -> str:
    code = "import app, lib; print(app.__version__, lib.__version__)"
    return run(python, "-c", code).strip()


@pytest.mark.parametrize("words", [(), ("--universal",), ("--generate-hashes",)])
def test_pip_installs_requirements_with_hashes(
    index: FixtureIndex, tmp_path: Path, python: str, words: tuple[str, ...]
) -> None:
    out = tmp_path / "requirements.txt"
    lock(index, out, *words)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    run(*pip, "--require-hashes", "--index-url", index.url, "-r", str(out))
    assert installed(python) == "1.0 2.0"


def test_pip_reads_them_from_a_pipe(index: FixtureIndex, tmp_path: Path, python: str) -> None:
    out = tmp_path / "requirements.txt"
    lock(index, out)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    words = ["--require-hashes", "--index-url", index.url, "-r", "/dev/stdin"]
    run(*pip, *words, text=out.read_text())
    assert installed(python) == "1.0 2.0"


@pytest.mark.parametrize("words", [(), ("--universal",)])
def test_uv_installs_from_pylock(
    index: FixtureIndex, tmp_path: Path, python: str, words: tuple[str, ...]
) -> None:
    uv = peers.require("uv")
    out = tmp_path / "pylock.toml"
    lock(index, out, *words)
    cache = str(tmp_path / "uv-cache")
    run(str(uv), "pip", "sync", "--python", python, "--cache-dir", cache, str(out))
    assert installed(python) == "1.0 2.0"


@pytest.mark.parametrize("words", [(), ("--universal",)])
def test_pip_installs_from_pylock(
    index: FixtureIndex, tmp_path: Path, python: str, words: tuple[str, ...]
) -> None:
    out = tmp_path / "pylock.toml"
    lock(index, out, *words)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    run(*pip, "--index-url", index.url, "-r", str(out))
    assert installed(python) == "1.0 2.0"
