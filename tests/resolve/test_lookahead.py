"""How many rounds it takes: the number is the point, not the answer."""

from __future__ import annotations

from tests.resolve.indexes import LINUX, World, given, pins

from dpip.resolve.facts import InMemory
from dpip.resolve.request import Request
from dpip.resolve.resolution import NeedMore
from dpip.resolve.session import Session


def test_all_that_is_in_sight_comes_in_one_round() -> None:
    world = World()
    for name in "abcdefgh":
        world.release(name, "1", [f"{name}{name}"])
        world.release(name * 2, "1")
    assert pins(world.answer(Request(given(*"abcdefgh"), LINUX))) is not None
    # pages, metadata, pages of what they need, metadata of those
    assert world.rounds == 4


def test_packages_walk_down_side_by_side_and_ever_faster() -> None:
    world = World()
    names = [f"p{place}" for place in range(10)]
    for name in names:
        for version in range(1, 41):
            world.release(name, str(version), ["core>=2"] if version > 10 else [])
    world.release("core", "1")
    world.release("core", "2")
    assert pins(world.answer(Request(given("core==1", *names), LINUX))) == {
        "core": "1",
        **dict.fromkeys(names, "10"),
    }
    assert world.rounds < 12


def test_a_lone_candidate_brings_no_others() -> None:
    world = World()
    for version in range(1, 20):
        world.release("a", str(version))
    world.answer(Request(given("a"), LINUX))
    assert world.asked == ["a", "a-19-py3-none-any.whl"]


def test_a_version_that_is_refused_costs_no_pages() -> None:
    world = World()
    world.release("a", "2", ["core==2", "useless"])
    world.release("a", "1")
    world.release("core", "1")
    world.release("core", "2")
    assert pins(world.answer(Request(given("core==1", "a"), LINUX))) == {"core": "1", "a": "1"}
    assert "useless" not in world.asked


def test_looking_ahead_asks_only_for_what_is_unknown() -> None:
    world = World()
    world.release("a", "1", ["b"])
    world.release("b", "1")
    known = InMemory()
    session = Session(Request(given("a"), LINUX), known)
    asked: list[str] = []
    while isinstance(outcome := session.run(), NeedMore):
        wants = outcome.wants
        asked += [*wants.projects, *(file.filename for file in (*wants.metadata, *wants.ahead))]
        world.give(known, wants)
    assert len(asked) == len(set(asked)) == 4
