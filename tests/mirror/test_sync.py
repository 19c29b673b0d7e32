from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.mirror.conftest import Mirror
from tests.mirror.follower import Follower

from dpip.errors import DiskFull
from dpip.mirror.catalog import PageRecord
from dpip.mirror.coverage import coverage, failing, missing
from dpip.mirror.tombstones import of_project
from dpip.simple.model import Project
from dpip.simple.repository import UpstreamInvalid, UpstreamUnavailable


@pytest.fixture
def follower(mirror: Mirror) -> Follower:
    return Follower(mirror)


def test_everything_comes_in_and_the_next_round_asks_for_nothing(follower: Follower) -> None:
    for number, name in enumerate(["a", "b", "c"], start=1):
        follower.release(name, "1.0", number)
    done = follower.sync()
    assert (done.done, done.files) == (3, 3)
    covered = coverage(follower.mirror.catalog)
    assert covered.complete
    assert (covered.projects, covered.files, covered.stored, covered.serial) == (3, 3, 3, 3)
    asked = follower.mirror.index.asked.copy()
    follower.sync()
    asked["/"] += 1
    assert follower.mirror.index.asked == asked


def test_only_what_changed_is_asked_for(follower: Follower) -> None:
    follower.release("a", "1.0", 1)
    follower.release("b", "1.0", 2)
    follower.sync()
    follower.release("b", "2.0", 3)
    assert follower.sync().files == 1
    assert follower.mirror.index.asked["a"] == 1
    assert len(follower.listed("b")) == 2


def test_without_serials_every_page_is_confirmed(follower: Follower) -> None:
    follower.release("a", "1.0")
    follower.sync()
    follower.release("a", "2.0")
    assert follower.sync().files == 1
    follower.mirror.clock.time += 10
    follower.sync(recheck=60)
    assert follower.mirror.index.asked["a"] == 2


def test_deleted_files_and_projects_leave_tombstones(follower: Follower) -> None:
    for version in ("1.0", "2.0"):
        follower.release("a", version, 1)
    follower.release("b", "1.0", 1)
    follower.sync()
    kept = follower.mirror.index.pages["a"].files[:1]
    follower.change("a", files=kept, last_serial=2)
    del follower.mirror.index.pages["b"]
    follower.sync()
    assert follower.listed("a") == ["a-1.0-py3-none-any.whl"]
    assert follower.gone("a") == {"a-2.0-py3-none-any.whl": "deleted"}
    assert follower.gone("b") == {"b-1.0-py3-none-any.whl": "deleted"}
    assert follower.mirror.catalog.page("b") is None
    assert coverage(follower.mirror.catalog).gone == {"deleted": 2}


def test_what_comes_back_loses_its_tombstone(follower: Follower) -> None:
    follower.release("a", "1.0", 1)
    follower.release("z", "1.0", 1)
    follower.sync()
    page = follower.mirror.index.pages.pop("a")
    follower.sync()
    assert follower.gone("a")
    follower.mirror.index.pages["a"] = replace(page, last_serial=9)
    follower.sync()
    assert not follower.gone("a")
    assert follower.listed("a")


def test_quarantine_and_yank(follower: Follower) -> None:
    follower.release("a", "1.0", 1)
    follower.release("b", "1.0", 1)
    follower.sync()
    follower.change("a", status="quarantined", files=(), last_serial=2)
    [file] = follower.mirror.index.pages["b"].files
    follower.change("b", files=(replace(file, yanked="bad"),), last_serial=3)
    follower.sync()
    page = follower.mirror.catalog.page("a")
    assert page is not None
    assert b'"quarantined"' in page.json
    assert b".whl" not in page.json
    assert follower.gone("a") == {"a-1.0-py3-none-any.whl": "quarantined"}
    [stone] = of_project(follower.mirror.catalog, "b")
    assert (stone.reason.value, stone.detail) == ("yanked", "bad")
    assert follower.listed("b")


def test_a_page_older_than_the_list_is_asked_for_again(follower: Follower) -> None:
    follower.release("a", "1.0", 1)
    follower.release("b", "1.0", 1)
    index = follower.mirror.index
    original = index.fetch
    old = index.pages["a"]
    follower.release("a", "2.0", 5)
    stale = True

    async def fetch(name: str, known: Any = None) -> Any:
        fetched = await original(name, None)
        return replace(fetched, project=old) if stale and name == "a" else fetched

    index.fetch = fetch  # type: ignore[method-assign]
    done = follower.sync()
    assert (done.done, done.failed) == (1, 1)
    assert follower.listed("a") == ["a-1.0-py3-none-any.whl"]
    [late] = failing(follower.mirror.catalog, 9)
    assert "older than its list" in late.problem
    stale = False
    follower.sync()
    assert len(follower.listed("a")) == 1, "its pause is not over"
    follower.mirror.clock.time += 2
    follower.sync()
    assert len(follower.listed("a")) == 2
    assert coverage(follower.mirror.catalog).complete


def test_a_blank_page_without_a_serial_does_not_replace_a_good_one(follower: Follower) -> None:
    follower.release("a", "1.0")
    follower.sync()
    good = follower.mirror.index.pages["a"]
    follower.mirror.index.pages["a"] = Project("a")
    for _ in range(2):
        follower.sync()
        assert follower.listed("a")
        follower.mirror.clock.time += 100
    follower.mirror.index.pages["a"] = good
    follower.sync()
    follower.mirror.index.pages["a"] = Project("a")
    for _ in range(3):
        follower.mirror.clock.time += 100
        follower.sync()
    assert not follower.listed("a")


def test_a_flapping_project_stops_nobody(follower: Follower) -> None:
    for name in "abcdef":
        follower.release(name, "1.0", 1)
    index = follower.mirror.index
    original = index.fetch

    async def fetch(name: str, known: Any = None) -> Any:
        if name == "c":
            raise UpstreamUnavailable("503, come back later")
        return await original(name, known)

    index.fetch = fetch  # type: ignore[method-assign]
    done = follower.sync()
    assert (done.done, done.failed) == (5, 1)
    covered = coverage(follower.mirror.catalog)
    assert not covered.complete
    assert (covered.failing, covered.late) == (1, 0)
    index.fetch = original  # type: ignore[method-assign]
    follower.mirror.clock.time += 2
    assert follower.sync().done == 1


def test_a_missing_file_is_a_failure_with_a_name(follower: Follower) -> None:
    follower.release("a", "1.0", 1)
    follower.mirror.index.files.clear()
    assert follower.sync().failed == 1
    [lacking] = missing(follower.mirror.catalog, 9)
    assert lacking.filename == "a-1.0-py3-none-any.whl"
    assert lacking.filename in failing(follower.mirror.catalog, 9)[0].problem


def test_a_full_disk_ends_the_round(follower: Follower, monkeypatch: pytest.MonkeyPatch) -> None:
    follower.release("a", "1.0", 1)

    def full(*_: Any) -> Any:
        raise DiskFull("no room")

    monkeypatch.setattr(follower.mirror.archives, "keep", full)
    with pytest.raises(DiskFull):
        follower.sync()
    monkeypatch.undo()
    assert follower.sync().done == 1


def test_an_empty_root_list_deletes_nothing(follower: Follower) -> None:
    follower.release("a", "1.0", 1)
    follower.sync()
    follower.mirror.index.pages.clear()
    with pytest.raises(UpstreamInvalid):
        follower.sync()
    assert follower.listed("a")


def test_rules_that_change_are_applied_to_what_is_stored(follower: Follower) -> None:
    for version in ("1.0", "2.0", "3.0"):
        follower.release("a", version, 1)
    follower.release("b", "1.0", 1)
    follower.sync()
    assert follower.sync({"allow": ["a"], "latest": 2}).files == 0
    assert follower.listed("a") == ["a-2.0-py3-none-any.whl", "a-3.0-py3-none-any.whl"]
    assert follower.gone("a") == {"a-1.0-py3-none-any.whl": "filtered"}
    assert follower.gone("b") == {"b-1.0-py3-none-any.whl": "filtered"}
    assert follower.mirror.catalog.page("b") is None
    follower.sync({"allow": ["a"], "latest": 3})
    assert len(follower.listed("a")) == 3
    assert not follower.gone("a")
    follower.sync()
    assert follower.listed("b")
    assert not follower.gone("b")


def test_stricter_rules_hold_at_once_even_with_upstream_down(follower: Follower) -> None:
    follower.release("a", "1.0", 1)
    follower.release("a", "2.0", 2)
    follower.sync({"allow": ["a"]})
    follower.mirror.index.down = True
    follower.sync({"allow": ["a"], "latest": 1})
    assert follower.listed("a") == ["a-2.0-py3-none-any.whl"]
    assert follower.gone("a") == {"a-1.0-py3-none-any.whl": "filtered"}


def test_a_closed_list_of_names_needs_no_root_list(follower: Follower) -> None:
    follower.release("a", "1.0", 1)
    follower.release("b", "1.0", 1)
    follower.sync({"allow": ["a", "nobody"]})
    assert follower.mirror.index.asked["/"] == 0
    assert follower.listed("a")
    assert not follower.listed("b")


def test_a_closure_brings_names_and_keeps_its_files(follower: Follower) -> None:
    for version in ("1.0", "2.0", "3.0"):
        follower.release("dep", version, 1)
    follower.release("root", "1.0", 1)
    chosen = {"dep": frozenset({"dep-1.0-py3-none-any.whl"})}
    follower.sync({"allow": ["root"], "latest": 1}, closure=chosen)
    assert follower.listed("dep") == ["dep-1.0-py3-none-any.whl", "dep-3.0-py3-none-any.whl"]
    assert follower.listed("root")


def test_names_of_another_source_are_left_alone(follower: Follower) -> None:
    follower.release("acme", "1.0", 1)
    follower.release("b", "1.0", 1)
    follower.sync(own=lambda name: name != "acme")
    assert not follower.listed("acme")
    assert follower.listed("b")


def test_a_page_that_another_source_gave_does_not_count_as_stored(follower: Follower) -> None:
    catalog = follower.mirror.catalog
    catalog.put_record(PageRecord("a", 1.0, etag='"x"', source="http://other.invalid/")).result()
    follower.release("a", "1.0", 1)
    follower.sync()
    assert follower.listed("a")
