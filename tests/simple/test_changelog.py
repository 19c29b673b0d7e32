from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar
from xmlrpc.client import dumps

import pytest
from tests.simple.fixture_index import FixtureIndex

from dpip.simple import changelog
from dpip.simple.changelog import Changelog, Event, changelog_url
from dpip.simple.repository import UpstreamInvalid, UpstreamUnavailable
from dpip.simple.upstream import Upstream

T = TypeVar("T")
EVENTS: list[tuple[Any, ...]] = [
    ("Demo.One", "1.0", 1_700_000_000, "new release", 5),
    ("not a name!", None, 1_700_000_001, "create", 6),
    ("other", None, 1_700_000_002, "remove project", 8),
]


@pytest.fixture
def index() -> Iterator[FixtureIndex]:
    with FixtureIndex() as index:
        index.switches.changelog = list(EVENTS)
        yield index


def ask(index: FixtureIndex, question: Callable[[Changelog], Awaitable[T]]) -> T:
    async def main() -> T:
        upstream = Upstream(index.url, timeout=5)
        try:
            found = upstream.changelog()
            assert found is not None
            return await question(found)
        finally:
            await upstream.aclose()

    return asyncio.run(main())


def since(index: FixtureIndex, serial: int) -> list[Event]:
    async def events(changelog: Changelog) -> list[Event]:
        return [event async for event in changelog.since(serial)]

    return ask(index, events)


def last(index: FixtureIndex) -> int:
    return ask(index, lambda changelog: changelog.last_serial())


def packages(index: FixtureIndex) -> dict[str, int]:
    return ask(index, lambda changelog: changelog.packages())


def test_events_come_in_order_and_page_by_page(index: FixtureIndex) -> None:
    index.switches.changelog_page = 1
    assert last(index) == 8
    events = since(index, 0)
    assert events == [Event("demo-one", 5, "new release"), Event("other", 8, "remove project")]
    assert [event.is_removal for event in events] == [False, True]
    assert since(index, 5) == events[1:]
    assert since(index, 8) == []
    assert packages(index) == {"demo-one": 5, "other": 8}


@pytest.mark.parametrize(
    "event",
    [
        ("demo",),
        "demo",
        (7, "1", 1, "create", 9),
        ("demo", "1", 1, "create", "9"),
        ("demo", "1", 1, "create", True),
        {"name": "demo"},
    ],
)
def test_events_of_the_wrong_kind_are_invalid(index: FixtureIndex, event: Any) -> None:
    body = dumps(([event],), methodresponse=True, allow_none=True).encode()
    index.switches.changelog_answer = body
    with pytest.raises(UpstreamInvalid):
        since(index, 0)
    for question in (last, packages):
        with pytest.raises(UpstreamInvalid):
            question(index)


def test_an_upstream_that_goes_round_in_circles_is_left(index: FixtureIndex) -> None:
    index.switches.changelog_answer = dumps(
        (EVENTS,), methodresponse=True, allow_none=True
    ).encode()
    with pytest.raises(UpstreamInvalid, match=r"order|again"):
        since(index, 0)


def test_too_many_events_are_given_up(index: FixtureIndex, monkeypatch: pytest.MonkeyPatch) -> None:
    index.switches.changelog_page = 1
    monkeypatch.setattr(changelog, "MOST_PAGES", 2)
    with pytest.raises(UpstreamUnavailable, match="too many"):
        since(index, 0)


def test_where_it_is_not_offered_it_is_unavailable(index: FixtureIndex) -> None:
    index.switches.changelog = None
    with pytest.raises(UpstreamUnavailable):
        last(index)


def test_where_a_changelog_would_be() -> None:
    assert changelog_url("https://u:p@host/simple/") == "https://u:p@host/pypi"
    assert changelog_url("https://host/root/index/simple") == "https://host/root/index/pypi"
    assert changelog_url("https://host/api/pypi/x/") is None
