"""Neighbours and upstream after the same file: whoever is right first, and each byte once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.mirror.conftest import Mirror
from tests.mirror.fakes import BASE
from tests.mirror.test_ingest import DATA, NAME, SHA256, listed, receive

from dpip.mirror import hedge
from dpip.mirror.catalog import FileRecord
from dpip.mirror.hedge import Gift, Progress
from dpip.simple.repository import ArrivingFile, FileNotFound, UpstreamUnavailable

Play = Callable[[Path, Progress], Awaitable[bool]]
HALF = len(DATA) // 2


@dataclass
class Neighbour:
    """Plays one part for each time it is asked; the last one again and again."""

    plays: list[Play]
    asked: list[bool] = field(default_factory=list)
    gifts: list[Gift] = field(default_factory=list)
    wasted: int = 0
    beside: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)

    async def obtain(
        self, record: FileRecord, place: Path, progress: Progress, *, insistent: bool = False
    ) -> Gift | None:
        play = self.plays[min(len(self.asked), len(self.plays) - 1)]
        self.asked.append(insistent)
        try:
            given = await play(place, progress)
        finally:
            self.ended.set()
        return Gift(place.stat().st_size, "whole") if given else None

    async def metadata(self, record: FileRecord) -> bytes | None:
        return None

    def settle(self, gift: Gift | None, progress: Progress, beside: int) -> None:
        if gift is None:
            self.wasted += progress.came
        else:
            self.gifts.append(gift)
            self.beside += beside


async def gives(place: Path, progress: Progress) -> bool:
    progress.offered, progress.came = True, len(DATA)
    place.write_bytes(DATA)
    return True


async def has_nothing(place: Path, progress: Progress) -> bool:
    return False


async def stalls_midway(place: Path, progress: Progress) -> bool:
    progress.offered, progress.came, progress.share = True, HALF, 0.5
    place.write_bytes(DATA[:HALF])
    await asyncio.Event().wait()
    return True


async def dies_midway(place: Path, progress: Progress) -> bool:
    progress.offered, progress.came, progress.share = True, HALF, 0.5
    place.write_bytes(DATA[:HALF])
    await asyncio.sleep(0)
    place.unlink()
    return False


def gives_after(event: asyncio.Event) -> Play:
    async def play(place: Path, progress: Progress) -> bool:
        await event.wait()
        return await gives(place, progress)

    return play


@asynccontextmanager
async def beside(mirror: Mirror, *plays: Play) -> AsyncIterator[Neighbour]:
    neighbour = Neighbour(list(plays))
    mirror.ingest._nearby = neighbour
    try:
        yield neighbour
    finally:
        await mirror.ingest.close()
        assert list((mirror.home / "archives/arriving").glob("making-*")) == []


def upstream_transfers(mirror: Mirror) -> int:
    return mirror.index.asked[BASE + NAME]


def test_upstream_is_not_asked_while_a_neighbour_does_well(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        async with beside(mirror, gives) as neighbour:
            assert await asyncio.gather(*(receive(files) for _ in range(20))) == [DATA] * 20
        assert neighbour.asked == [False]
        assert (neighbour.gifts, neighbour.beside) == ([Gift(len(DATA), "whole")], 0)
        assert neighbour.wasted == 0

    asyncio.run(story())
    assert upstream_transfers(mirror) == 0
    archive = mirror.catalog.archive(SHA256)
    assert archive is not None
    assert archive.origin == "peer"


@pytest.mark.parametrize("play", [stalls_midway, dies_midway, has_nothing])
def test_a_neighbour_that_does_badly_costs_only_time(mirror: Mirror, play: Play) -> None:
    async def story() -> None:
        files = await listed(mirror)
        async with beside(mirror, play) as neighbour:
            assert await receive(files) == DATA
            await neighbour.ended.wait()
        assert neighbour.gifts == []
        assert neighbour.wasted == (0 if play is has_nothing else HALF)

    asyncio.run(story())
    assert upstream_transfers(mirror) == 1
    archive = mirror.catalog.archive(SHA256)
    assert archive is not None
    assert archive.origin == "upstream"


def test_a_neighbour_that_is_slower_than_upstream_is_not_alone_for_long(mirror: Mirror) -> None:
    async def crawls(place: Path, progress: Progress) -> bool:
        while True:
            progress.offered, progress.came = True, progress.came + 1
            progress.share = min(0.9, progress.share + 0.0001)
            await asyncio.sleep(0.01)

    async def story() -> None:
        files = await listed(mirror)
        mirror.ingest._rate = 50e6
        async with beside(mirror, crawls) as neighbour:
            assert await receive(files) == DATA
        assert neighbour.wasted > 0

    asyncio.run(story())
    assert upstream_transfers(mirror) == 1


def test_a_neighbour_overtakes_an_upstream_that_stalls_midway(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        ready = asyncio.Event()
        mirror.index.gate = asyncio.Event()
        async with beside(mirror, gives_after(ready)) as neighbour:
            opened = await files.open(SHA256, NAME)
            assert isinstance(opened, ArrivingFile)
            beginning = await anext(opened.chunks)
            ready.set()
            rest = [chunk async for chunk in opened.chunks]
            assert beginning + b"".join(rest) == DATA
        assert neighbour.gifts == [Gift(len(DATA), "whole")]
        assert 0 < neighbour.beside < len(DATA), "what upstream sent is told, once"

    asyncio.run(story())
    assert files_are_right(mirror)


def test_upstream_is_cut_off_and_neighbours_are_asked_again(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        mirror.index.down = True
        async with beside(mirror, has_nothing, gives) as neighbour:
            assert await receive(files) == DATA
        assert neighbour.asked == [False, True]

    asyncio.run(story())
    assert files_are_right(mirror)


def test_upstream_dies_midway_and_neighbours_give_the_rest(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        mirror.index.break_after, mirror.index.ranges = 1_000_000, False
        async with beside(mirror, has_nothing, gives) as neighbour:
            assert await receive(files) == DATA
        assert neighbour.beside >= 1_000_000

    asyncio.run(story())
    assert files_are_right(mirror)


def test_a_file_that_upstream_has_deleted_comes_from_neighbours(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        del mirror.index.files[BASE + NAME]
        async with beside(mirror, has_nothing, gives):
            assert await receive(files) == DATA

    asyncio.run(story())


def test_where_nobody_has_it_upstream_says_why(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        async with beside(mirror, has_nothing) as neighbour:
            mirror.index.down = True
            with pytest.raises(UpstreamUnavailable, match="down"):
                await receive(files)
            mirror.index.down = False
            del mirror.index.files[BASE + NAME]
            with pytest.raises(FileNotFound):
                await receive(files)
        assert neighbour.asked == [False, True] * 2

    asyncio.run(story())


@pytest.mark.parametrize("left", [DATA[:HALF], b"?" * HALF, DATA + b"?"], ids=len)
def test_what_an_earlier_fetch_left_does_not_spoil_a_gift(mirror: Mirror, left: bytes) -> None:
    async def story() -> None:
        files = await listed(mirror)
        mirror.archives.part(SHA256).write_bytes(left)
        async with beside(mirror, gives):
            assert await receive(files) == DATA

    asyncio.run(story())
    assert files_are_right(mirror)


def test_offline_neighbours_are_all_there_is(mirror: Mirror) -> None:
    async def story() -> None:
        await listed(mirror)
        mirror.ingest._offline = True
        async with beside(mirror, has_nothing, gives) as neighbour:
            with pytest.raises(UpstreamUnavailable, match="not stored"):
                await receive(mirror.files())
            assert await receive(mirror.files()) == DATA
        assert neighbour.asked == [True, True]

    asyncio.run(story())
    assert upstream_transfers(mirror) == 0


def test_any_order_of_events_ends_in_the_right_file(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides at random speeds, breaking off at random: whoever wins, the bytes are right."""
    monkeypatch.setattr(hedge, "QUIET", 0.005)
    chance = random.Random(5)

    def at_random() -> Play:
        pause, good = chance.random() * 0.02, chance.random() < 0.7

        async def play(place: Path, progress: Progress) -> bool:
            progress.offered = True
            await asyncio.sleep(pause)
            return good and await gives(place, progress)

        return play

    async def story() -> None:
        files = await listed(mirror)
        for _ in range(40):
            mirror.index.break_after = chance.choice([None, 200_000, 1_500_000])
            mirror.index.delay = chance.random() * 0.005
            async with beside(mirror, at_random(), gives):
                got = await asyncio.gather(*(receive(files) for _ in range(2)))
                assert got == [DATA, DATA]
            mirror.archives.remove(SHA256)
            await asyncio.wrap_future(mirror.catalog.drop_archive(SHA256))

    asyncio.run(story())


def files_are_right(mirror: Mirror) -> bool:
    whole = mirror.archives.find(SHA256, NAME)
    return whole is not None and whole.path.read_bytes() == DATA
