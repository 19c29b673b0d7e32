"""A machine that does not take files: said in words, and never held against the index."""

from __future__ import annotations

import errno
import os
import resource
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.resolve.test_builds import source
from tests.simple.fixture_index import FixtureIndex, wheel

from dpip.cli import main


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FixtureIndex]:
    monkeypatch.setenv("DPIP_CACHE_DIR", str(tmp_path / "cache"))
    with FixtureIndex() as index:
        index.add("big", wheel("big", "1.0", size=3_000_000))
        yield index


def test_a_place_for_downloads_that_is_a_file(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "there").write_text("x")
    words = ["resolve", "big", "--index-url", index.url, "--download", str(tmp_path / "there")]
    assert main.main(words) == 1
    assert f"error: cannot write {tmp_path / 'there'}" in capsys.readouterr().err


def limited() -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))


def test_no_room_for_a_download(index: FixtureIndex, tmp_path: Path) -> None:
    words = ["resolve", "big", "--index-url", index.url, "--download", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "dpip", *words],
        preexec_fn=limited,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "error: cannot write" in done.stderr
    assert "Traceback" not in done.stderr


def test_no_room_to_unpack_is_no_fault_of_the_archive(
    index: FixtureIndex,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/x")

    index.add("src", source("src", []), wheel("src", "0.9"))
    monkeypatch.setattr(tarfile.TarFile, "extractall", full)
    assert main.main(["resolve", "src", "--index-url", index.url]) == 1
    assert "error: cannot write /tmp/x: No space left" in capsys.readouterr().err


def test_what_is_not_stored_is_said_so(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["resolve", "big", "--index-url", index.url, "--offline"]) == 1
    assert "it is not stored, and --offline forbids to ask" in capsys.readouterr().err
