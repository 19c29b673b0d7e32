"""Recorded inputs against an index that answers ranges in every way that it can be told to."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import peers

from dpip.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

DEFAULTS = {"pep658": 1, "range": 1, "lie_range": 0, "suffix_range": 1, "head": 1, "html": 0}
SWITCHES = {
    "metadata files": {},
    "html": {"html": 1},
    "ranges": {"pep658": 0},
    "no-head": {"pep658": 0, "head": 0},
    "no-suffix-range": {"pep658": 0, "suffix_range": 0},
    "lie-range": {"pep658": 0, "lie_range": 1},
    "no-range": {"pep658": 0, "range": 0},
    "html without metadata files": {"html": 1, "pep658": 0},
}


@pytest.fixture(scope="module")
def replay() -> Iterator[str]:
    script = peers.bench_data("resolve") / "replay_index.py"
    process = subprocess.Popen(
        [sys.executable, str(script), "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    yield f"http://{process.stdout.readline().split()[2]}"
    process.terminate()
    process.wait()
    process.stdout.close()


@pytest.mark.parametrize("case", ["trio", "boto3"])
@pytest.mark.parametrize("switch", SWITCHES)
def test_the_pins_are_the_recorded_ones(
    replay: str, tmp_path: Path, switch: str, case: str
) -> None:
    wanted = "&".join(f"{k}={v}" for k, v in {**DEFAULTS, **SWITCHES[switch]}.items())
    ask(f"{replay}/_config?{wanted}")
    ask(f"{replay}/_reset")
    data = peers.bench_data("resolve")
    out = tmp_path / "out.txt"
    words = ["-r", str(data / "inputs" / f"{case}.in"), "--python-version", "3.12"]
    places = ["--index-url", f"{replay}/simple", "--cache-dir", str(tmp_path / "cache")]
    assert main.main(["resolve", *words, *places, "-o", str(out)]) == 0
    expected = (data / "expected" / f"{case}.uv.txt").read_text()
    assert pins(out.read_text()) == pins(expected)
    heads = ask(f"{replay}/_stats")["by_kind"].get("head", 0)
    assert heads == 0


def ask(url: str) -> dict[str, dict[str, int]]:
    with urllib.request.urlopen(url) as answer:
        found: dict[str, dict[str, int]] = json.load(answer)
    return found


def pins(text: str) -> list[str]:
    return [line.split()[0] for line in text.splitlines() if "==" in line and line[0] not in "# "]
