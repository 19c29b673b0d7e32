"""Killed at any instant, a store is sound and has all that was promised to be in it."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dpip.ipfs.disk.archives import Archives
from dpip.ipfs.disk.compact import compact
from dpip.ipfs.disk.fsck import check
from dpip.ipfs.disk.store import DiskBlockstore

ROOT = Path(__file__).resolve().parents[3]


def work_and_kill(folder: Path, seed: int, lines: int, seconds: float) -> list[str]:
    """Let the worker print so many lines and go on for so long, kill it, return all lines."""
    command = [sys.executable, "-m", "tests.ipfs.disk.worker", str(folder), str(seed)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        first = process.stdout.readline()
        printed = [process.stdout.readline() for _ in range(lines)]
        time.sleep(seconds)
    finally:
        process.kill()
        rest, errors = process.stdout.read(), process.stderr.read()
        process.stdout.close()
        process.stderr.close()
        process.wait()
    assert first == "ready\n", errors
    assert "Traceback" not in errors, errors
    return [*"".join(printed).splitlines(), *rest.splitlines()]


def run(folder: Path, times: int, seed: int) -> int:
    """Kill a worker so many times on one store; return how often an archive was there after."""
    choice = random.Random(seed)
    promised: set[str] = set()
    there = 0
    for turn in range(times):
        lines, seconds = choice.randrange(4), choice.uniform(0.0, 0.3)
        for line in work_and_kill(folder, choice.randrange(10**9), lines, seconds):
            word, sha256 = line.split()
            (promised.add if word == "kept" else promised.discard)(sha256)
        store = DiskBlockstore(folder)
        archives = Archives(store)
        findings = [one for one in check(archives) if one.kind != "stray-file"]
        assert not findings, (turn, findings)
        for sha256 in promised:
            data = archives.open(sha256).read_bytes()
            assert hashlib.sha256(data).hexdigest() == sha256
            there += 1
        if turn % 5 == 4:
            compact(store, dead=0.0)
        store.close()
    return there


def test_a_few_kills_lose_nothing(tmp_path: Path) -> None:
    assert run(tmp_path / "store", 4, seed=random.randrange(10**9)) >= 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_hundred_kills_lose_nothing(tmp_path: Path) -> None:
    assert run(tmp_path / "store", 100, seed=random.randrange(10**9)) > 0
