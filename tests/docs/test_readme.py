"""The commands that the README shows are run."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

import pytest
from tests import peers
from tests.app.nodes import dpip
from tests.peers import ROOT
from tests.simple.fixture_index import FixtureIndex, wheel


def shown(word: str) -> list[str]:
    """Return the README's commands that begin with a word, without their comments."""
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    lines = [line.partition(" #")[0].strip() for block in blocks for line in block.splitlines()]
    return [line for line in lines if line.split()[:1] == [word]]


def test_commands_of_dpip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    venv.create(tmp_path / "venv", with_pip=True, symlinks=os.name != "nt")
    commands = [command.split()[1:] for command in shown("dpip")]
    assert len(commands) >= 5
    with FixtureIndex() as index:
        index.add("flask", wheel("flask", "3.0"))
        index.add("rich", wheel("rich", "14.0"))
        environ = {
            "VIRTUAL_ENV": str(tmp_path / "venv"),
            "PIP_INDEX_URL": index.url,
            "PIP_NO_CACHE_DIR": "1",
            "DPIP_PORT": "0",
        }
        try:
            for words in commands:
                if "uv" in words:
                    uv = peers.directory() / "uv" / "bin" / "uv"
                    words = [str(uv) if word == "uv" else word for word in words]  # noqa: PLW2901
                    if not uv.exists():
                        continue
                done = dpip(*words, **environ)
                assert done.returncode == 0, (words, done.stdout, done.stderr)
        finally:
            dpip("node", "stop")


def test_targets_of_make_exist() -> None:
    for command in shown("make"):
        target = command.split()[1]
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def demo_folders() -> set[Path]:
    return set(Path(tempfile.gettempdir()).glob("dpip-demo-*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_interrupted_demo_leaves_nothing_behind(number: int, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "demo" / "demo.py"), "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PIP_INDEX_URL": "http://127.0.0.1:9/simple/"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        process.stdout.readline()
        ready = process.stdout.readline()
        assert "ready http://127.0.0.1:" in ready
        (folder,) = tmp_path.glob("dpip-demo-*")
        time.sleep(0.2)
        process.send_signal(number)
        assert process.wait(30) == 130
    assert not folder.exists()


def test_the_demo_from_start_to_end_with_a_small_index(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        index.add("flask", wheel("flask", "3.0", requires=["needed"]))
        index.add("needed", wheel("needed", "1.0"))
        done = subprocess.run(
            [sys.executable, str(ROOT / "demo" / "demo.py")],
            capture_output=True,
            text=True,
            check=False,
            timeout=100,
            env={**os.environ, "TMPDIR": str(tmp_path), "PIP_INDEX_URL": index.url},
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "questions to upstream: 0" in done.stdout
    assert done.stdout.count("bafkrei") == 2
    assert str(tmp_path) not in done.stdout
    assert list(tmp_path.glob("dpip-demo-*")) == []


@pytest.mark.outside
@pytest.mark.timeout(300)
def test_the_demo_with_the_real_index() -> None:
    before = demo_folders()
    done = subprocess.run(
        ["make", "demo"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "questions to upstream: 0" in done.stdout
    assert demo_folders() <= before
