"""The ipfs room stands alone: under another name, without the rest, its tests pass."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from tests.peers import ROOT

LEAN = ["test_cid.py", "test_dagpb.py", "test_car.py", "test_ipns.py", "gateway/test_trustless.py"]
NAME = "lifted"


def lift(into: Path) -> None:
    """Copy the room and its tests, renamed, and what the tests share."""
    shutil.copytree(ROOT / "src/dpip/ipfs", into / NAME)
    shutil.copytree(ROOT / "tests/ipfs", into / "tests/ipfs")
    for name in ("peers.py", "conftest.py"):
        shutil.copy(ROOT / "tests" / name, into / "tests" / name)
    for path in into.rglob("*.py"):
        text = path.read_text("utf-8")
        path.write_text(re.sub(r"\bdpip([./])ipfs\b", NAME, text), "utf-8")
    (into / "pytest.ini").write_text("[pytest]\nmarkers =\n  slow: \n  outside: \n", "utf-8")


def run(where: Path, *words: str) -> None:
    command = [sys.executable, "-c", BLOCKING, "-q", "-p", "no:cacheprovider", "-p", "no:randomly"]
    done = subprocess.run(
        [*command, *words], cwd=where, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


# Importing any part of dpip fails, installed as it may be.
BLOCKING = """
import sys, pytest
sys.modules["dpip"] = None
sys.path.insert(0, ".")
sys.exit(pytest.main(["--import-mode=importlib", *sys.argv[1:]]))
"""


def test_a_part_of_it(tmp_path: Path) -> None:
    lift(tmp_path)
    run(tmp_path, *(f"tests/ipfs/{name}" for name in LEAN))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_all_of_it(tmp_path: Path) -> None:
    lift(tmp_path)
    run(tmp_path, "tests/ipfs", "-m", "not slow and not outside", "-n", "2")
