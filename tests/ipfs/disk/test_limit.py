"""The size limit of a store is kept, by what was used longest ago."""

from __future__ import annotations

import pytest
from tests.ipfs.archive import made
from tests.ipfs.conformance.blockstore import fill
from tests.ipfs.disk.conftest import Adder, Clock

from dpip.ipfs.disk import limit
from dpip.ipfs.disk.archives import Archive, Archives
from dpip.ipfs.disk.fsck import check
from dpip.ipfs.disk.pins import Pins

TEXT = 40_000


@pytest.fixture
def several(add: Adder, clock: Clock) -> list[Archive]:
    """Six archives with content of their own, a day apart, the last one a day old."""
    found = []
    for n in range(6):
        data = made.wheel({f"demo/{n}.txt": made.text(n, TEXT)})
        found.append(add(data, f"demo-{n}-py3-none-any.whl"))
        clock.now += 86400
    return found


def left(archives: Archives) -> set[str]:
    return {one.filename[5] for one in archives.listing()}


def test_those_used_longest_ago_go_until_the_rest_fits(
    several: list[Archive], archives: Archives, clock: Clock
) -> None:
    archives.touch([several[0].sha256, "0" * 64])
    clock.now += 3600
    full = limit.size(archives)
    told: list[str] = []
    done = limit.enforce(archives, full // 2, forget=told.append)
    assert done.size == limit.size(archives) <= full // 2
    assert done.freed == full - done.size
    gone = {str(n) for n in range(6)} - left(archives)
    assert gone == {str(n + 1) for n in range(done.removed)}
    assert told == [several[int(n)].sha256 for n in sorted(gone)]
    assert limit.enforce(archives, full // 2).removed == 0
    assert not list(check(archives))


def test_no_limit_and_room_enough_remove_nothing(
    several: list[Archive], archives: Archives
) -> None:
    assert limit.enforce(archives, 0).removed == 0
    assert limit.enforce(archives, limit.size(archives)).removed == 0
    assert limit.plan(archives, limit.size(archives)).archives == []
    assert len(left(archives)) == 6


def test_what_is_pinned_spared_or_in_use_stays(
    several: list[Archive], archives: Archives, clock: Clock
) -> None:
    Pins(archives.store).add(several[1].root, "mine")
    archives.touch([several[3].sha256])
    limit.enforce(archives, 1, spared={several[2].sha256})
    assert left(archives) == {"1", "2", "3"}
    for archive in several[1:4]:
        assert archives.open(archive.sha256).exists()


def test_a_plan_is_what_is_done(several: list[Archive], archives: Archives) -> None:
    room = limit.size(archives) // 2
    planned = limit.plan(archives, room)
    assert len(left(archives)) == 6
    assert limit.enforce(archives, room).removed == len(planned.archives) > 0


def test_garbage_that_is_too_young_makes_no_archive_go(
    several: list[Archive], archives: Archives
) -> None:
    full = limit.size(archives)
    fill(archives.store, [made.text(99, 10 * TEXT)])
    assert limit.size(archives) > full * 1.2
    assert limit.enforce(archives, int(full * 1.2)).removed == 0


def test_a_use_after_the_plan_keeps_an_archive(
    several: list[Archive], archives: Archives, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = limit.plan(archives, 1)
    archives.touch([several[4].sha256])
    monkeypatch.setattr(limit, "plan", lambda *_, **__: planned)
    told: list[str] = []
    limit.enforce(archives, 1, forget=told.append)
    assert left(archives) == {"4"}
    assert several[4].sha256 not in told
    assert not list(check(archives))


def test_one_that_can_never_fit_goes_alone(
    several: list[Archive], add: Adder, archives: Archives, clock: Clock
) -> None:
    full = limit.size(archives)
    add(made.wheel({"demo/big.txt": made.text(7, 20 * TEXT)}), "demo-B-py3-none-any.whl")
    clock.now += 86400
    limit.enforce(archives, int(full * 1.2))
    assert left(archives) == set("012345")
