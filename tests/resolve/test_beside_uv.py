"""Random scenarios, resolved by uv and by us, on the same index.

Where both answer for one environment the pins must be the same, but for ties that the order
of the search decides. Where only one answers, the rules of `validity` say who is right; what
differs by choice (decision 10) is left out of the scenarios or judged by our rule.

`DPIP_EXAMPLES=2000` looks longer.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.version import Version
from tests import peers
from tests.resolve.random_scenarios import Scenario, scenario
from tests.resolve.scenario_index import ScenarioIndex
from tests.resolve.validity import Judge, environment, tags_of

from dpip.cli import main

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

EXAMPLES = int(os.environ.get("DPIP_EXAMPLES") or 200)
TIES = 0.02
"""The part of the answers that may differ in a choice between equals."""
_LINE = re.compile(r"([\w.-]+)(?:\[[^]]*\])?==([^\s;\\]+)")
Pins = dict[str, str]


class Both:
    """Runs a scenario through both tools."""

    def __init__(self, index: ScenarioIndex, room: Path) -> None:
        self.uv = peers.require("uv")
        self.index = index
        self.room = room

    def write(self, asked: Scenario) -> None:
        self.index.serve(asked)
        (self.room / "r.in").write_text("\n".join(asked["root"]["requires"]) + "\n")
        (self.room / "c.in").write_text("\n".join(asked["constraints"]) + "\n")

    def words(self, asked: Scenario) -> list[str]:
        options = asked["resolver_options"]
        words = ["--index-url", self.index.url, "--python-version", options.get("python", "3.12")]
        words += ["--universal"] if options.get("universal") else []
        for name, word in (
            ("python_platform", "--python-platform"),
            ("resolution", "--resolution"),
        ):
            words += [word, options[name]] if name in options else []
        for name in options.get("no_build", ()):
            words += ["--only-binary", name]
        for name in options.get("no_binary", ()):
            words += ["--no-binary", name]
        return [*words, "-c", str(self.room / "c.in")]

    def ours(self, asked: Scenario) -> Pins | None:
        out = self.room / "out.txt"
        early = ["--pre"] if asked["resolver_options"].get("prereleases") else []
        words = ["resolve", "-q", "--no-cache", *self.words(asked), *early, "-o", str(out)]
        code = main.main([*words, "-r", str(self.room / "r.in")])
        assert code in {0, 1}
        return None if code else pins(out.read_text())

    def theirs(self, asked: Scenario) -> Pins | None:
        early = asked["resolver_options"].get("prereleases")
        words = [str(self.uv), "pip", "compile", "-q", "--no-config", "--no-header"]
        words += ["--no-annotate", "--python", sys.executable, "--no-cache", *self.words(asked)]
        words += ["--prerelease", "allow"] if early else []
        done = subprocess.run(
            [*words, str(self.room / "r.in")],
            capture_output=True,
            text=True,
            check=False,
            env={"PATH": os.environ["PATH"], "HOME": str(self.room)},
        )
        return None if done.returncode else pins(done.stdout)


def pins(text: str) -> Pins:
    found = (_LINE.match(line) for line in text.splitlines())
    return {match[1]: str(Version(match[2])) for match in found if match}


@pytest.fixture
def both(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Both]:
    monkeypatch.setenv("DPIP_CACHE_DIR", str(tmp_path / "cache"))
    with ScenarioIndex() as index:
        yield Both(index, tmp_path)


def test_one_environment(both: Both, capsys: pytest.CaptureFixture[str]) -> None:
    answered, ties = 0, []
    for number in range(EXAMPLES):
        asked = scenario(number)
        both.write(asked)
        ours, theirs = both.ours(asked), both.theirs(asked)
        capsys.readouterr()
        options = asked["resolver_options"]
        python, system = options.get("python", "3.12"), options.get("python_platform", "linux")
        judge = Judge(asked, environment(python, system), tags_of(python, system))
        if ours is None:
            assert theirs is None or judge.fault(theirs), f"scenario {number}: uv has {theirs}"
            continue
        assert not judge.fault(ours), f"scenario {number}"
        answered += 1
        if theirs is not None and theirs != ours and not judge.fault(theirs):
            ties.append((number, ours, theirs))
    assert answered > EXAMPLES // 4
    assert len(ties) <= 1 + TIES * answered, ties


def test_all_environments(both: Both, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(EXAMPLES // 2):
        asked = scenario(number, universal=True)
        both.write(asked)
        ours, theirs = both.ours(asked), both.theirs(asked)
        capsys.readouterr()
        assert ours is not None or theirs is None, f"scenario {number}: only uv has an answer"
