from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from tests import peers
from tests.resolve.indexes import (
    LINUX,
    World,
    given,
    load_scenario,
    pins,
    replay,
    scenario_world,
)

from dpip.resolve import environment, names
from dpip.resolve.request import ALL, Formats, Releases, Request
from dpip.resolve.resolution import Solution


def scenarios(*, universal: bool) -> list[Path]:
    base = os.environ.get("DPIP_BENCH_DATA") or peers.ROOT.parent / "shared" / "bench"
    found = sorted((Path(base) / "packse" / "scenarios").rglob("*.toml"))
    return [each for each in found if _is_universal(each) is universal] or [Path("none")]


def _is_universal(path: Path) -> bool:
    return bool(load_scenario(path).get("resolver_options", {}).get("universal"))


def scenario_request(scenario: dict[str, Any]) -> Request:
    options = scenario.get("resolver_options", {})
    python = options.get("python") or scenario.get("environment", {}).get("python", "3.12")
    target = environment.target(python, options.get("python_platform", "linux"))
    return Request(
        given(*scenario["root"].get("requires", ())),
        target,
        resolution=options.get("resolution", "highest"),
        releases=Releases(frozenset([ALL] if options.get("prereleases") else [])),
        formats=Formats(
            frozenset(options.get("no_binary", ())), frozenset(options.get("no_build", ()))
        ),
        universal=bool(options.get("universal")),
        required_environments=tuple(options.get("required_environments", ())),
    )


ONLY_AS_A_SECOND_RUN = {"preferences-dependent-forking-conflicting"}
"""Says "no" for a run that starts from the versions of an earlier one, without its splits."""


@pytest.mark.parametrize("path", scenarios(universal=True), ids=lambda path: path.stem)
def test_packse_universal(path: Path) -> None:
    peers.bench_data("packse")
    scenario = load_scenario(path)
    answer = scenario_world(scenario).answer(scenario_request(scenario))
    expected = scenario["expected"]["satisfiable"]
    if scenario["name"] not in ONLY_AS_A_SECOND_RUN:
        assert isinstance(answer, Solution) is expected


@pytest.mark.parametrize("path", scenarios(universal=False), ids=lambda path: path.stem)
def test_packse(path: Path) -> None:
    peers.bench_data("packse")
    scenario = load_scenario(path)
    expected = scenario["expected"]
    answer = pins(scenario_world(scenario).answer(scenario_request(scenario)))
    assert (answer is not None) == expected["satisfiable"]
    if answer is not None and "packages" in expected:
        assert answer == expected["packages"]


@pytest.mark.parametrize("name", ["airflow", "boto3", "jupyter", "tensorflow", "trio"])
def test_the_pins_of_recorded_inputs(name: str) -> None:
    data = peers.bench_data("resolve")
    world = World(replay(data / "data"))
    lines = (data / "inputs" / f"{name}.in").read_text("utf-8").split()
    target = environment.target("3.12.1", "x86_64-manylinux_2_39")
    answer = pins(world.answer(Request(given(*lines), target)))
    expected = read_pins(data / "expected" / f"{name}.uv.txt")
    assert answer == expected


def read_pins(path: Path) -> dict[str, str]:
    found = re.findall(r"^([\w.-]+)==([^\s;]+)", path.read_text("utf-8"), re.MULTILINE)
    return {names.normalize(name): version for name, version in found}


def test_linux_is_a_target() -> None:
    world = World()
    world.release("a", "1")
    assert pins(world.answer(Request(given("a"), LINUX))) == {"a": "1"}


@pytest.mark.parametrize("name", ["boto3", "jupyter", "tensorflow", "trio"])
def test_the_universal_answer_holds_for_the_target(name: str) -> None:
    data = peers.bench_data("resolve")
    lines = (data / "inputs" / f"{name}.in").read_text("utf-8").split()
    target = environment.target("3.12.1", "x86_64-manylinux_2_39")
    request = Request(given(*lines), target, universal=True)
    outcome = World(replay(data / "data")).answer(request)
    assert isinstance(outcome, Solution)
    active = {pin.name: pin.version for pin in outcome.pins if target.active(pin.marker)}
    assert active == read_pins(data / "expected" / f"{name}.uv.txt")
