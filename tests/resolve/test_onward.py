from __future__ import annotations

import time

from tests.resolve.indexes import LINUX, World, given

from dpip.resolve.facts import CandidateFile, Dependencies, Project, Unavailable, Wants
from dpip.resolve.gather import Gathered
from dpip.resolve.request import Request
from dpip.resolve.resolution import NeedMore
from dpip.resolve.session import Session


class Served:
    """Pages and records of a world; notes what was asked for."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.asked: list[str] = []

    def project(self, name: str) -> Project | Unavailable:
        self.asked.append(name)
        return self.world.facts.projects.get(name) or Unavailable("not-found")

    def read(self, file: CandidateFile) -> Dependencies | Unavailable:
        self.asked.append(file.filename)
        return self.world.facts.metadata[file.filename]

    def at_hand(self, _: object) -> None:
        return None


def after_one_round(world: World, *texts: str) -> list[str]:
    """Return what is asked for although the solver has only had its first turn."""
    served = Served(world)
    gathered = Gathered(served, lambda: served, lambda: served)  # type: ignore[arg-type, return-value]
    outcome = Session(Request(given(*texts), LINUX), gathered).run()
    assert isinstance(outcome, NeedMore)
    gathered.gather(outcome.wants)
    deadline = time.monotonic() + 5
    seen = -1
    while seen != len(served.asked) and time.monotonic() < deadline:
        seen = len(served.asked)
        time.sleep(0.1)
    gathered.close()
    return served.asked


def test_one_answer_leads_to_the_next_question() -> None:
    world = World()
    world.release("a", "2", ["b<3; sys_platform == 'linux'", "w; sys_platform == 'win32'"])
    world.release("a", "1")
    world.release("b", "3")
    world.release("b", "2", ["c"], extras={"x": ["d"]})
    world.release("c", "1")
    world.release("d", "1")
    assert after_one_round(world, "a<3") == [
        "a", "a-2-py3-none-any.whl", "b", "b-2-py3-none-any.whl", "c", "c-1-py3-none-any.whl",
    ]  # fmt: skip


def test_extras_that_are_asked_for_are_followed() -> None:
    world = World()
    world.release("b", "2", extras={"x": ["d"], "y": ["e"]})
    world.release("d", "1")
    world.release("e", "1")
    asked = after_one_round(world, "b[x]")
    assert "d" in asked
    assert "e" not in asked


def test_nothing_is_built_on_a_guess() -> None:
    world = World()
    world.release("a", "1", tags=())
    assert after_one_round(world, "a") == ["a"]


def test_a_marker_that_is_none_is_left_for_the_solver_to_meet() -> None:
    world = World()
    world.release("a", "1", ["b"])
    record = world.facts.metadata["a-1-py3-none-any.whl"]
    assert isinstance(record, Dependencies)
    broken = [each.__class__(each.name, marker="nonsense !") for each in record.requires]
    world.facts.metadata["a-1-py3-none-any.whl"] = record.__class__("a", "1", tuple(broken))
    assert after_one_round(world, "a") == ["a", "a-1-py3-none-any.whl"]
    assert Wants().onward is None
