"""Random scenarios, judged by rules that know nothing of the solver.

`DPIP_EXAMPLES=5000` looks longer.
"""

from __future__ import annotations

import os
import random

import pytest
from packaging.markers import Marker
from tests.resolve import indexes
from tests.resolve.indexes import scenario_world
from tests.resolve.random_scenarios import Scenario, scenario
from tests.resolve.validity import Judge, environment, environments, tags_of

from dpip.resolve import algebra
from dpip.resolve import environment as targets
from dpip.resolve.facts import InMemory, Wants
from dpip.resolve.request import ALL, Formats, Releases, Request
from dpip.resolve.resolution import Impossible, NeedMore, Pin, Solution
from dpip.resolve.session import Session

EXAMPLES = int(os.environ.get("DPIP_EXAMPLES") or 60)
SLICES = 4


def request_of(asked: Scenario, *, constraints: tuple[str, ...] = ()) -> Request:
    options = asked["resolver_options"]
    python, platform = options.get("python", "3.12"), options.get("python_platform", "linux")
    return Request(
        indexes.given(*asked["root"]["requires"]),
        targets.target(python, platform),
        constraints=indexes.given(*asked["constraints"], *constraints),
        resolution=options.get("resolution", "highest"),
        releases=Releases(frozenset([ALL] if options.get("prereleases") else [])),
        formats=Formats(
            frozenset(options.get("no_binary", ())), frozenset(options.get("no_build", ()))
        ),
        universal=options.get("universal", False),
        requires_python=f">={python}" if options.get("universal") else "",
    )


def numbers(part: int) -> range:
    return range(part * EXAMPLES // SLICES, (part + 1) * EXAMPLES // SLICES)


@pytest.mark.parametrize("part", range(SLICES))
def test_one_environment(part: int) -> None:
    for number in numbers(part):
        asked = scenario(number)
        options = asked["resolver_options"]
        python, system = options.get("python", "3.12"), options.get("python_platform", "linux")
        judge = Judge(asked, environment(python, system), tags_of(python, system))
        found = indexes.pins(scenario_world(asked).answer(request_of(asked)))
        if found is None:
            assert not judge.answers(), f"scenario {number} has an answer"
        else:
            assert not judge.fault(found), f"scenario {number}"


def active(pins: tuple[Pin, ...], where: dict[str, str]) -> list[tuple[str, str]]:
    return [
        (pin.name, pin.version)
        for pin in pins
        if not pin.marker or Marker(pin.marker).evaluate({**where, "extra": ""})
    ]


@pytest.mark.parametrize("part", range(SLICES))
def test_all_environments(part: int) -> None:
    for number in numbers(part):
        asked = scenario(number, universal=True)
        outcome = scenario_world(asked).answer(request_of(asked))
        if isinstance(outcome, Impossible):
            continue
        for where in environments(asked["resolver_options"].get("python", "3.12")):
            here = active(outcome.pins, where)
            assert len(dict(here)) == len(here), f"scenario {number}: two versions in {where}"
            fault = Judge(asked, where).fault(dict(here))
            assert not fault, f"scenario {number}: {fault} in {where}"


def told(outcome: Solution | Impossible) -> list[tuple[str, str, str]]:
    if isinstance(outcome, Impossible):
        return []
    return [(pin.name, pin.version, pin.marker) for pin in outcome.pins]


def meant(outcome: Solution | Impossible) -> list[tuple[str, str, algebra.Marker]]:
    possible = algebra.of("sys_platform != 'linux' or os_name == 'posix'")
    return [
        (name, version, algebra.both(algebra.of(marker), possible))
        for name, version, marker in told(outcome)
    ]


def run_shuffled(asked: Scenario, chance: random.Random) -> Solution | Impossible:
    """Resolve with answers that come in any order, some of them rounds before they are asked."""
    world, known = scenario_world(asked), InMemory()
    for name, page in world.facts.projects.items():
        if chance.random() < 0.4:
            known.projects[name] = page
    session = Session(request_of(asked), known)
    while isinstance(outcome := session.run(), NeedMore):
        wants = outcome.wants
        projects = chance.sample(wants.projects, len(wants.projects))
        metadata = chance.sample(wants.metadata, len(wants.metadata))
        ahead = [file for file in wants.ahead if chance.random() < 0.5]
        world.give(known, Wants(tuple(projects), tuple(metadata), (), tuple(ahead)))
    return outcome


@pytest.mark.parametrize("part", range(SLICES))
def test_a_universal_answer_is_the_same_in_every_order(part: int) -> None:
    for number in numbers(part):
        asked, chance = scenario(number, universal=True), random.Random(number)
        first = scenario_world(asked).answer(request_of(asked))
        for _ in range(3):
            assert told(run_shuffled(asked, chance)) == told(first), f"scenario {number}"


@pytest.mark.parametrize("part", range(SLICES))
def test_a_universal_answer_as_constraints_leads_to_itself(part: int) -> None:
    for number in numbers(part):
        asked = scenario(number, universal=True)
        first = scenario_world(asked).answer(request_of(asked))
        if isinstance(first, Impossible):
            continue
        bounds = tuple(
            f"{pin.name}==={pin.version}" + (f" ; {pin.marker}" if pin.marker else "")
            for pin in first.pins
        )
        again = scenario_world(asked).answer(request_of(asked, constraints=bounds))
        assert meant(again) == meant(first), f"scenario {number}"
