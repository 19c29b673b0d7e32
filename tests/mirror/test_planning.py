"""Following by a changelog; by the root list where it fails, has gaps, or is another's."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from tests.mirror.conftest import Mirror
from tests.mirror.follower import Follower

from dpip.mirror.coverage import coverage
from dpip.mirror.planning import RELIST
from dpip.simple.changelog import REMOVED, Event
from dpip.simple.repository import UpstreamInvalid, UpstreamUnavailable


@dataclass
class FakeChangelog:
    origin: str = "http://index.invalid/pypi"
    events: list[Event] = field(default_factory=list)
    down: bool = False
    tells_packages: bool = False
    breaks_after: int | None = None
    asked: list[int] = field(default_factory=list)

    async def last_serial(self) -> int:
        if self.down:
            raise UpstreamUnavailable("no XML-RPC here")
        return max((event.serial for event in self.events), default=0)

    async def packages(self) -> dict[str, int]:
        if not self.tells_packages:
            raise UpstreamUnavailable("no such method")
        return {event.name: event.serial for event in self.events}

    async def since(self, serial: int) -> AsyncIterator[Event]:
        self.asked.append(serial)
        for number, event in enumerate(event for event in self.events if event.serial > serial):
            if number == self.breaks_after:
                raise UpstreamInvalid("garbage")
            yield event


class World:
    """An index with a changelog that says what is done to it, and a mirror of it."""

    def __init__(self, mirror: Mirror) -> None:
        self.follower = Follower(mirror)
        self.index = mirror.index
        self.clock = mirror.clock
        self.changelog = FakeChangelog()
        self.serial = 10

    def release(self, name: str, version: str) -> None:
        self.serial += 1
        self.follower.release(name, version, self.serial)
        self.changelog.events.append(Event(name, self.serial, "new release"))

    def remove(self, name: str) -> None:
        self.serial += 1
        del self.index.pages[name]
        self.changelog.events.append(Event(name, self.serial, REMOVED))

    def sync(self, table: dict[str, Any] | None = None) -> str:
        return self.follower.sync(table or {}, changelog=self.changelog).read


@pytest.fixture
def world(mirror: Mirror) -> World:
    world = World(mirror)
    for name in ("a", "b", "c"):
        world.release(name, "1.0")
    assert world.sync() == "root list"
    return world


def test_after_one_root_list_the_changelog_is_enough(world: World) -> None:
    lists = world.index.asked["/"]
    world.release("b", "2.0")
    world.release("new", "1.0")
    assert world.sync() == "changelog"
    assert len(world.follower.listed("b")) == 2
    assert world.follower.listed("new")
    assert (world.index.asked["a"], world.index.asked["/"]) == (1, lists)
    assert coverage(world.follower.mirror.catalog).serial == world.serial
    assert world.sync() == "changelog"
    assert world.changelog.asked == [13, 15]
    assert world.index.asked["b"] == 2


def test_a_removal_needs_no_second_look(world: World) -> None:
    world.remove("b")
    assert world.sync() == "changelog"
    assert world.follower.gone("b") == {"b-1.0-py3-none-any.whl": "deleted"}
    world.release("b", "1.0")
    world.sync()
    assert world.follower.listed("b")
    assert not world.follower.gone("b")


def test_a_page_older_than_the_changelog_is_asked_for_again(world: World) -> None:
    world.changelog.events.append(Event("b", 99, "new release"))
    world.sync()
    assert coverage(world.follower.mirror.catalog).failing == 1
    world.follower.release("b", "2.0", 99)
    world.clock.time += 10
    world.sync()
    assert len(world.follower.listed("b")) == 2


def test_what_a_broken_changelog_tells_is_not_half_believed(world: World) -> None:
    world.release("b", "2.0")
    world.release("c", "2.0")
    world.changelog.breaks_after = 1
    assert world.sync() == "root list"
    assert len(world.follower.listed("c")) == 2
    world.changelog.breaks_after = None
    assert world.sync() == "changelog"
    assert world.changelog.asked[-1] == world.serial


def test_an_upstream_that_ends_its_changelog_is_followed_by_its_list(world: World) -> None:
    world.changelog.down = True
    world.release("b", "2.0")
    assert world.sync() == "root list"
    assert len(world.follower.listed("b")) == 2
    world.changelog.down = False
    assert world.sync() == "changelog"


def test_serials_of_another_upstream_mean_nothing(world: World) -> None:
    world.changelog.origin = "http://other.invalid/pypi"
    assert world.sync() == "root list"
    assert world.sync() == "changelog"


def test_once_a_day_the_root_list_is_compared(world: World) -> None:
    world.clock.time += RELIST - 1
    assert world.sync() == "changelog"
    # A gap: it happened, and the changelog did not say so.
    world.follower.release("silent", "1.0", 20)
    assert world.sync() == "changelog"
    assert not world.follower.listed("silent")
    world.clock.time += 1
    assert world.sync() == "root list"
    assert world.follower.listed("silent")


def test_rules_that_change_need_the_whole_list(world: World) -> None:
    assert world.sync({"deny": ["a"]}) == "root list"
    world.release("a", "2.0")
    assert world.sync({"deny": ["a"]}) == "changelog"
    assert not world.follower.listed("a")


def test_with_a_closed_list_only_what_changed_is_asked_for(world: World) -> None:
    rules = {"allow": ["a", "b"]}
    assert world.sync(rules) == "pages"
    asked = world.index.asked.copy()
    world.release("b", "2.0")
    assert world.sync(rules) == "changelog"
    assert world.index.asked - asked == {
        "b": 1,
        "http://index.invalid/files/b-2.0-py3-none-any.whl": 1,
    }


@pytest.mark.parametrize("tells", [True, False])
def test_serials_that_the_list_lacks_come_from_beside_it(mirror: Mirror, tells: bool) -> None:
    world = World(mirror)
    world.changelog.tells_packages = tells
    for name in ("a", "b", "c"):
        world.release(name, "1.0")
        world.follower.change(name, last_serial=None)
    world.sync()
    world.release("b", "2.0")
    world.follower.change("b", last_serial=None)
    world.clock.time += RELIST
    assert world.sync() == "root list"
    assert len(world.follower.listed("b")) == 2
    assert world.index.asked["a"] == (1 if tells else 2)
    assert coverage(mirror.catalog).serial == world.serial
