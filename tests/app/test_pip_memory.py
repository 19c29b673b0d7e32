from __future__ import annotations

import os
from pathlib import Path

import pytest

from dpip.app import pip_memory


class Pip:
    """A pip that counts how often it is asked."""

    def __init__(self, root: Path, answer: str = "index-url='http://a.invalid/'") -> None:
        self.python = root / "venv/bin/python"
        self.package = root / "venv/lib/python3.11/site-packages/pip"
        self.package.mkdir(parents=True)
        self.python.parent.mkdir(parents=True)
        self.python.touch()
        self.answer = answer
        self.asked = 0

    def ask(self) -> str:
        self.asked += 1
        return self.answer

    def again(self, *words: str, **environ: str) -> int:
        """Ask through the memory; return how often pip itself was asked so far."""
        told = pip_memory.remembered(self.python, words or ("config",), environ, self.ask)
        assert told == self.answer
        return self.asked


@pytest.fixture
def pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pip:
    monkeypatch.setenv("DPIP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    return Pip(tmp_path)


def test_pip_is_asked_once(pip: Pip) -> None:
    assert [pip.again() for _ in range(3)] == [1, 1, 1]
    assert pip.again("download", "--help") == 2


def test_what_configures_pip_makes_it_asked_again(pip: Pip, tmp_path: Path) -> None:
    assert pip.again() == 1
    for place in ("me/.config/pip/pip.conf", "me/.pip/pip.conf", "venv/pip.conf"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        before = pip.asked
        (tmp_path / place).write_text("[global]\n")
        assert pip.again() == before + 1
        assert pip.again() == before + 1
        (tmp_path / place).write_text("[global]\nno-index = true\n")
        assert pip.again() == before + 2


def test_variables_are_part_of_the_question(pip: Pip, tmp_path: Path) -> None:
    assert pip.again() == 1
    assert pip.again(PIP_INDEX_URL="http://b.invalid/") == 2
    (tmp_path / "own.conf").write_text("[global]\n")
    assert pip.again(PIP_CONFIG_FILE=str(tmp_path / "own.conf")) == 3
    os.utime(tmp_path / "own.conf", (1, 1))
    assert pip.again(PIP_CONFIG_FILE=str(tmp_path / "own.conf")) == 4


def test_another_pip_is_asked_anew(pip: Pip) -> None:
    assert pip.again() == 1
    pip.package.rmdir()
    pip.package.mkdir()
    os.utime(pip.package, (1, 1))
    assert pip.again() == 2


def test_secrets_are_not_written_down(pip: Pip, tmp_path: Path) -> None:
    pip.answer = "index-url='http://me:s3cret@a.invalid/'"
    assert pip.again() == 1
    assert pip.again(PIP_EXTRA_INDEX_URL="http://me:s3cret@b.invalid/") == 2
    assert pip.again() == 3
    pip.answer = "nothing to hide"
    assert pip.again(PIP_EXTRA_INDEX_URL="http://me:s3cret@b.invalid/") == 4
    kept = [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
    assert len(kept) == 1
    assert b"s3cret" not in kept[0].read_bytes()


@pytest.mark.parametrize("damaged", [b"", b"[]", b'{"states": []}', b"\xff"])
def test_a_damaged_file_is_passed_over(pip: Pip, tmp_path: Path, damaged: bytes) -> None:
    assert pip.again() == 1
    (kept,) = (tmp_path / "cache" / pip_memory.FOLDER).iterdir()
    kept.write_bytes(damaged)
    assert pip.again() == 2
    assert pip.again() == 2


def test_a_pip_that_lies_elsewhere_is_asked_each_time(pip: Pip) -> None:
    pip.package.rmdir()
    assert [pip.again(), pip.again()] == [1, 2]
