"""Builds that go in circles or say too much, and archives that are none."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.simple.fixture_index import Archive, FixtureIndex, wheel

from dpip.cli import main
from dpip.resolve import sdist as sources
from dpip.resolve.core_metadata import parse
from dpip.resolve.errors import BadMetadata

pytestmark = pytest.mark.timeout(60)

BACKEND = """
import os

def prepare_metadata_for_build_wheel(directory, config_settings=None):
    name, _, version = os.path.basename(os.getcwd()).rpartition("-")
    made = f"{name}-{version}.dist-info"
    os.makedirs(os.path.join(directory, made))
    with open(os.path.join(directory, made, "METADATA"), "w") as out:
        out.write(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return made
"""


def source(name: str, requires: list[str], backend: str = BACKEND) -> Archive:
    """Return a source archive that has to be built for its metadata."""
    table = f"[build-system]\nrequires = {json.dumps(requires)}\nbuild-backend = 'backend'\n"
    files = {
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        "pyproject.toml": table + "backend-path = ['.']\n",
        "backend.py": backend,
    }
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}-1.0/{path}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return Archive(f"{name}-1.0.tar.gz", out.getvalue())


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FixtureIndex]:
    monkeypatch.setenv("DPIP_CACHE_DIR", str(tmp_path / "cache"))
    with FixtureIndex() as index:
        index.add("helper", wheel("helper", "1.0"))
        yield index


def resolve(index: FixtureIndex, *words: str) -> int:
    return main.main(["resolve", "--index-url", index.url, *words])


def test_a_build_that_needs_itself(index: FixtureIndex, capsys: pytest.CaptureFixture[str]) -> None:
    index.add("ring", source("ring", ["ring"]))
    assert resolve(index, "ring") == 1
    assert "ring-1.0.tar.gz needs itself to be built (ring > ring)" in capsys.readouterr().err


def test_builds_that_need_each_other(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    index.add("hen", source("hen", ["egg"]))
    index.add("egg", source("egg", ["hen"]))
    assert resolve(index, "hen", "egg") == 1
    assert "needs itself to be built" in capsys.readouterr().err


def test_a_circle_is_left_where_a_wheel_is_there(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    index.add("hen", source("hen", ["egg"]))
    index.add("egg", source("egg", ["hen"]), wheel("egg", "0.9"))
    assert resolve(index, "hen") == 0
    assert "hen==1.0" in capsys.readouterr().out


def test_requirements_of_a_build_that_cannot_be_met(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    index.add("src", source("src", ["helper>1"]))
    assert resolve(index, "src") == 1
    said = capsys.readouterr().err
    assert "its build requirements cannot be met: no version of helper matches" in said


def test_a_backend_may_say_anything(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    loud = "import sys\nfor _ in range(8): sys.stdout.buffer.write(b'\\xff' * 1000000)\n"
    index.add("good", source("good", [], loud + BACKEND))
    index.add("bad", source("bad", [], loud + "raise SystemExit('x' * 100000)"))
    assert resolve(index, "good") == 0
    capsys.readouterr()
    assert resolve(index, "bad") == 1
    assert len(capsys.readouterr().err) < 1000


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks for a process by its number")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_build_ends_with_the_run(
    index: FixtureIndex, tmp_path: Path, how: signal.Signals
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    told = tmp_path / "pid"
    sleepy = "import os, pathlib, time\n"
    sleepy += f"pathlib.Path({str(told)!r}).write_text(str(os.getpid()))\ntime.sleep(600)\n"
    index.add("slow", source("slow", [], sleepy))
    command = [sys.executable, "-m", "dpip", "resolve", "slow", "--index-url", index.url]
    run = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(room)})
    until(lambda: told.exists() and told.read_text() != "")
    run.send_signal(how)
    assert run.wait(10) == (130 if how == signal.SIGINT else -9)
    until(lambda: not Path(f"/proc/{told.read_text()}").exists())
    assert how == signal.SIGKILL or not list(room.iterdir())


def until(holds: Callable[[], bool]) -> None:
    for _ in range(200):
        if holds():
            return
        time.sleep(0.1)
    raise AssertionError("it did not come to be")


def test_archives_that_are_blown_up_are_not_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "ALWAYS_UNPACKED", 1_000_000)
    zeros = bytes(3_000_000)
    with tarfile.open(tmp_path / "a-1.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("a-1/zeros")
        member.size = len(zeros)
        archive.addfile(member, io.BytesIO(zeros))
    with zipfile.ZipFile(tmp_path / "a-1.zip", "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a-1/zeros", zeros)
    for name in ("a-1.tar.gz", "a-1.zip"):
        (tmp_path / "room").mkdir(exist_ok=True)
        with pytest.raises(BadMetadata, match="unpacks to more"):
            sources.unpack(tmp_path / name, tmp_path / "room", name)
        assert not list((tmp_path / "room").iterdir())


def test_metadata_of_a_later_kind_is_not_guessed_at() -> None:
    with pytest.raises(BadMetadata, match=r"'3\.0' is not understood"):
        parse(b"Metadata-Version: 3.0\nName: a\nVersion: 1\n", "a")
