"""What became of files: every way out, and every way back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.mirror.conftest import Mirror
from tests.mirror.follower import Follower

from dpip.mirror.coverage import coverage
from dpip.mirror.tombstones import Reason, gone, of_project

ONE, TWO = "a-1.0-py3-none-any.whl", "a-2.0-py3-none-any.whl"


@pytest.fixture(params=[True, False], ids=["serials", "no serials"])
def follower(mirror: Mirror, request: pytest.FixtureRequest) -> Follower:
    """A mirror with two releases of `a`, of an upstream that tells serials, or none."""
    follower = Follower(mirror)
    follower.serials = request.param
    for version in ("1.0", "2.0"):
        follower.release("a", version)
    say(follower)
    follower.sync()
    assert follower.listed("a") == [ONE, TWO]
    return follower


def say(follower: Follower, **changes: object) -> None:
    """Change the page of `a`, with a newer serial where there are serials."""
    page = follower.mirror.index.pages["a"]
    serial = (page.last_serial or 0) + 1 if follower.serials else None
    follower.change("a", last_serial=serial, **changes)


def rounds(follower: Follower, count: int) -> None:
    for _ in range(count):
        follower.mirror.clock.time += 4000
        follower.sync()


def test_a_quarantine_hides_at_once_and_its_end_brings_back(follower: Follower) -> None:
    files = follower.mirror.index.pages["a"].files
    for shown in ((), files):
        # Some indexes still list the files of a project in quarantine.
        say(follower, status="quarantined", status_reason="malware?", files=shown)
        follower.sync()
        assert not follower.listed("a")
        assert follower.gone("a") == {ONE: "quarantined", TWO: "quarantined"}
        assert {t.detail for t in of_project(follower.mirror.catalog, "a")} <= {"malware?", ""}
        assert coverage(follower.mirror.catalog).complete
    say(follower, status="active", status_reason=None, files=files)
    follower.sync()
    assert follower.listed("a") == [ONE, TWO]
    assert not follower.gone("a")


def test_a_project_that_is_gone_leaves_the_list_and_comes_back(follower: Follower) -> None:
    follower.release("z", "1.0")
    page = follower.mirror.index.pages.pop("a")
    follower.sync()
    assert follower.gone("a") == {ONE: "deleted", TWO: "deleted"}
    follower.mirror.index.pages["a"] = page
    say(follower)
    follower.sync()
    assert follower.listed("a") == [ONE, TWO]
    assert not follower.gone("a")


def test_a_project_without_a_page_that_stays_on_the_list_is_believed_in_time(
    mirror: Mirror,
) -> None:
    follower = Follower(mirror)
    follower.release("a", "1.0", 1)
    follower.sync()
    page = mirror.index.pages["a"]
    follower.sync()
    mirror.index.pages["a"] = replace(page, last_serial=2)
    fetch, projects = mirror.index.fetch, list(mirror.index.pages)
    assert projects == ["a"]

    async def missing(name: str, known: object = None) -> object:
        from dpip.simple.repository import ProjectNotFound

        raise ProjectNotFound(name)

    mirror.index.fetch = missing  # type: ignore[method-assign, assignment]
    rounds(follower, 2)
    assert follower.listed("a"), "a contradiction is not believed at first"
    rounds(follower, 1)
    assert follower.gone("a") == {ONE: "deleted"}
    mirror.index.fetch = fetch  # type: ignore[method-assign]
    mirror.index.pages["a"] = replace(page, last_serial=3)
    rounds(follower, 1)
    assert follower.listed("a")
    assert not follower.gone("a")


def test_a_yank_and_its_end(follower: Follower) -> None:
    one, two = follower.mirror.index.pages["a"].files
    say(follower, files=(replace(one, yanked="broken"), two))
    follower.sync()
    assert follower.gone("a") == {ONE: "yanked"}
    assert len(follower.listed("a")) == 2
    say(follower, files=(one, two))
    follower.sync()
    assert not follower.gone("a")


def test_a_name_that_stands_for_other_bytes_is_both_with_a_reason(follower: Follower) -> None:
    one, two = follower.mirror.index.pages["a"].files
    follower.change("a", files=(two,))
    other = follower.mirror.index.add("a", ONE, b"other bytes" * 99)
    say(follower)
    rounds(follower, 1)
    [stone] = of_project(follower.mirror.catalog, "a")
    assert (stone.filename, stone.reason.value, stone.key) == (ONE, "replaced", one.sha256)
    assert stone.detail == f"sha256 {one.sha256} is now {other.sha256}"
    catalog, archives = follower.mirror.catalog, follower.mirror.archives
    assert {file.key for file in catalog.files("a")} == {other.sha256, two.sha256}
    assert gone(catalog, [Reason.REPLACED], follower.mirror.clock() + 1) == {one.sha256}
    for file in (one, other):
        assert file.sha256 is not None
        assert archives.find(file.sha256, ONE) is not None
        assert catalog.file(file.sha256, ONE) is not None
    say(follower, files=(two, replace(other, yanked="")))
    follower.sync()
    say(follower, files=(two, other))
    follower.sync()
    assert coverage(catalog).complete


def test_what_was_replaced_is_remembered(follower: Follower) -> None:
    one, two = follower.mirror.index.pages["a"].files
    follower.change("a", files=(two,))
    follower.mirror.index.add("a", ONE, b"other bytes" * 99)
    say(follower)
    follower.sync()
    follower.release("a", "3.0")
    say(follower)
    follower.sync()
    assert follower.gone("a") == {ONE: "replaced"}
    assert of_project(follower.mirror.catalog, "a")[0].key == one.sha256
