"""Mirrors in one process: news, a partition, a liar, and kills at any time.

Twenty of them make an hour of gossip when they join, so the fast tests take six.
"""

from __future__ import annotations

import asyncio
import dataclasses
from random import Random
from typing import TYPE_CHECKING

import pytest
from tests.federation.mirrors import LIAR, RELAY, SOURCE, Mirrors
from tests.federation.stores import Stores

from dpip.federation.upkeep import journals
from dpip.simple.model import Project
from dpip.simple.repository import UpstreamUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from pathlib import Path

MANY = [6, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
NAMES = [f"project-{number}" for number in range(4)]


def story(told: Callable[[Mirrors], Coroutine[None, None, None]], home: Path, count: int) -> None:
    async def run() -> None:
        with Mirrors(count, home) as mirrors:
            try:
                await told(mirrors)
            finally:
                for number in set(range(count)) - mirrors.down:
                    mirrors.parts[number].close()

    asyncio.run(run())


def release(mirrors: Mirrors, name: str, version: object) -> None:
    data = f"{name} {version}".encode()
    mirrors.index.add(name, f"{name.replace('-', '_')}-{version}.tar.gz", data)


def same_everywhere(mirrors: Mirrors) -> None:
    for name in NAMES:
        for number in set(range(len(mirrors))) - {LIAR}:
            assert mirrors.shown(number, name) == mirrors.truth(name), (number, name)


@pytest.mark.parametrize("count", MANY)
def test_news_of_every_kind_reaches_everybody(tmp_path: Path, count: int) -> None:
    async def told(mirrors: Mirrors) -> None:
        for name in NAMES:
            release(mirrors, name, 1)
            await mirrors.look(SOURCE, name)
        await mirrors.converge()
        same_everywhere(mirrors)
        release(mirrors, NAMES[0], 2)
        page = mirrors.index.pages[NAMES[1]]
        mirrors.index.pages[NAMES[1]] = dataclasses.replace(page, status="quarantined")
        del mirrors.index.pages[NAMES[2]]
        for name in NAMES:
            await mirrors.look(SOURCE, name)
        await mirrors.converge()
        same_everywhere(mirrors)
        assert mirrors.shown(count - 1, NAMES[1]) == set()
        assert mirrors.shown(count - 1, NAMES[2]) is None

    story(told, tmp_path, count)


@pytest.mark.parametrize("count", MANY)
def test_two_halves_of_a_network_find_together(tmp_path: Path, count: int) -> None:
    async def told(mirrors: Mirrors) -> None:
        release(mirrors, NAMES[0], 1)
        await mirrors.look(SOURCE, NAMES[0])
        await mirrors.converge()
        mirrors.network.part([f"node{number}" for number in range(count // 2, count)])
        release(mirrors, NAMES[0], 2)
        release(mirrors, NAMES[1], 1)
        for name in NAMES:
            await mirrors.look(SOURCE, name)
        await mirrors.converge(rounds=2, steps=3)
        assert mirrors.shown(count // 2 - 1, NAMES[1]) == mirrors.truth(NAMES[1])
        assert mirrors.shown(count - 1, NAMES[1]) is None
        mirrors.network.heal()
        mirrors.advance(60)
        await mirrors.converge()
        same_everywhere(mirrors)

    story(told, tmp_path, count)


@pytest.mark.parametrize("count", MANY)
def test_a_liar_is_believed_by_nobody(tmp_path: Path, count: int) -> None:
    async def told(mirrors: Mirrors) -> None:
        release(mirrors, NAMES[0], 1)
        await mirrors.look(SOURCE, NAMES[0])
        await mirrors.converge()
        mirrors.forged.pages[NAMES[0]] = Project(NAMES[0], last_serial=10**9)
        for name in NAMES:
            mirrors.forged.add(name, f"{name.replace('-', '_')}-9.tar.gz", b"forged")
            await mirrors.look(LIAR, name)
        await mirrors.converge()
        del mirrors.forged.pages[NAMES[0]]
        await mirrors.look(LIAR, NAMES[0])
        await mirrors.converge()
        same_everywhere(mirrors)

    story(told, tmp_path, count)


@pytest.mark.parametrize("count", MANY)
def test_bytes_come_from_peers_in_either_half_and_never_a_wrong_one(
    tmp_path: Path, count: int
) -> None:
    """Upstream is cut off, then the halves from each other; in one half a node has other bytes."""

    async def told(mirrors: Mirrors) -> None:
        release(mirrors, NAMES[0], 1)
        await mirrors.look(SOURCE, NAMES[0])
        await mirrors.converge()
        [right] = mirrors.index.files.values()
        stores = Stores(mirrors)
        one, other = range(RELAY, count // 2), range(count // 2, count)
        assert await stores.get(SOURCE, NAMES[0]) == right
        mirrors.index.down = True
        stores.forge(LIAR, NAMES[0], b"forged")
        apart = [f"node{number}" for number in (SOURCE, *one)]
        mirrors.network.part(apart)
        for number in one:
            assert await stores.get(number, NAMES[0]) == right
        for number in other:
            with pytest.raises(UpstreamUnavailable):
                await stores.get(number, NAMES[0])
            assert stores[number].savings.total.refused > 0, "what the liar offered"
        mirrors.network.heal()
        assert await stores.get(other[0], NAMES[0]) == right
        mirrors.network.part(apart)
        for number in other:
            assert await stores.get(number, NAMES[0]) == right
        assert all(stores[number].savings.total.files == 1 for number in (*one, *other))
        await stores.close()

    story(told, tmp_path, count)


def test_a_page_stays_while_news_of_it_is_not_complete(tmp_path: Path) -> None:
    """The news of files comes before that of their project: it says nothing of a deletion."""

    async def told(mirrors: Mirrors) -> None:
        release(mirrors, NAMES[0], 1)
        for number in (SOURCE, RELAY):
            await mirrors.look(number, NAMES[0])
        file, project = mirrors.parts[SOURCE].announcer.news(NAMES[0])
        for kobj in (file, project):
            mirrors.hears(RELAY, SOURCE, kobj)
            await mirrors.parts[RELAY].adopter.step()
            assert mirrors.shown(RELAY, NAMES[0]) == mirrors.truth(NAMES[0]), kobj.rid
        await mirrors.converge()
        del mirrors.index.pages[NAMES[0]]
        await mirrors.look(SOURCE, NAMES[0])
        await mirrors.converge()
        assert mirrors.shown(RELAY, NAMES[0]) is None
        release(mirrors, NAMES[0], 2)
        await mirrors.look(SOURCE, NAMES[0])
        await mirrors.look(RELAY, NAMES[0])
        mirrors.hears(RELAY, SOURCE, mirrors.parts[SOURCE].announcer.news(NAMES[0])[0])
        await mirrors.parts[RELAY].adopter.step()
        assert mirrors.shown(RELAY, NAMES[0]) == mirrors.truth(NAMES[0])

    story(told, tmp_path, 3)


def test_what_a_lost_node_told_some_is_learned_from_them(tmp_path: Path) -> None:
    async def told(mirrors: Mirrors) -> None:
        release(mirrors, NAMES[0], 1)
        await mirrors.look(SOURCE, NAMES[0])
        await mirrors.converge()
        release(mirrors, NAMES[0], 2)
        await mirrors.look(SOURCE, NAMES[0])
        await mirrors.turn(SOURCE)
        mirrors[SOURCE].processor.flush_kobj_queue()
        mirrors[SOURCE].network.outbox.drop(mirrors[3].identity.rid)
        mirrors.settle(rounds=3)
        mirrors.kill(SOURCE)
        await mirrors.converge(rounds=3, steps=3)
        assert mirrors.shown(RELAY, NAMES[0]) == mirrors.truth(NAMES[0])
        assert mirrors.shown(3, NAMES[0]) != mirrors.truth(NAMES[0])
        for neighbour, kinds in journals(mirrors[3]):
            mirrors[3].network.catch_up(neighbour, kinds)
        await mirrors.converge(rounds=3, steps=3)
        assert mirrors.shown(3, NAMES[0]) == mirrors.truth(NAMES[0])

    story(told, tmp_path, 4)


SEEDS = [*range(3), *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 40))]


@pytest.mark.parametrize("seed", SEEDS)
def test_whoever_is_killed_whenever_nothing_is_lost_and_nothing_wrong_is_taken(
    tmp_path: Path, seed: int
) -> None:
    """Random releases, deletions, lies, kills, restarts and partitions; then quiet."""
    random = Random(seed)
    count = random.choice([3, 5, 8])

    async def told(mirrors: Mirrors) -> None:
        history: dict[str, list[set[str] | None]] = {name: [None] for name in NAMES}
        for turn in range(40):
            await _something_happens(mirrors, random, turn)
            for name in NAMES:
                history[name].append(mirrors.truth(name))
            for _ in range(random.randrange(3)):
                mirrors.step()
                mirrors.advance(random.choice([0, 0.5, 5]))
            for number in set(range(count)) - mirrors.down:
                if random.random() < 0.5:
                    await mirrors.turn(number)
                for name in NAMES:
                    if number != LIAR:
                        assert mirrors.shown(number, name) in history[name]
        mirrors.network.heal()
        for number in sorted(mirrors.down):
            mirrors.restart(number)
        for name in NAMES:
            await mirrors.look(SOURCE, name)
        mirrors.advance(120)
        await mirrors.converge()
        same_everywhere(mirrors)

    story(told, tmp_path, count)


async def _something_happens(mirrors: Mirrors, random: Random, turn: int) -> None:
    name, number = random.choice(NAMES), random.randrange(len(mirrors))
    match random.choice(["release", "release", "delete", "hide", "kill", "kill", "part", "lie"]):
        case "release":
            release(mirrors, name, turn)
        case "delete":
            mirrors.index.pages.pop(name, None)
        case "hide" if name in mirrors.index.pages:
            page = mirrors.index.pages[name]
            status = "active" if page.status == "quarantined" else "quarantined"
            mirrors.index.pages[name] = dataclasses.replace(page, status=status)
        case "kill" if number in mirrors.down:
            mirrors.restart(number)
        case "kill":
            mirrors.kill(number)
        case "part":
            some = [f"node{one}" for one in range(len(mirrors)) if random.random() < 0.5]
            mirrors.network.part(some if random.random() < 0.5 else [])
        case "lie" if LIAR not in mirrors.down:
            mirrors.forged.add(name, f"{name.replace('-', '_')}-{turn}.tar.gz", b"forged")
            await mirrors.look(LIAR, name)
    if SOURCE not in mirrors.down:
        await mirrors.look(SOURCE, name)
