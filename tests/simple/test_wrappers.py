"""Every name has one source: the rules that keep a private name private."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simple.fakes import FakePages

from dpip.errors import UsageError
from dpip.simple.model import Project, ProjectEntry
from dpip.simple.render import render
from dpip.simple.repository import (
    PageSource,
    ProjectNotFound,
    StoredPage,
    UpstreamUnavailable,
)
from dpip.simple.routing import Routes
from dpip.simple.wrappers import RoutedPages

names = st.from_regex(r"[a-d](-?[a-d]){0,4}", fullmatch=True)


class Shelf:
    """A PageSource of names; remembers what it was asked."""

    def __init__(self, *held: str, error: Exception | None = None) -> None:
        self.held = held
        self.error = error
        self.asked: list[str] = []

    def cached(self, name: str) -> StoredPage | None:
        self.asked.append(name)
        return None

    async def page(self, name: str) -> StoredPage:
        self.asked.append(name)
        if self.error is not None:
            raise self.error
        if name not in self.held:
            raise ProjectNotFound(name)
        return render(Project(name))

    async def projects(self) -> AsyncIterator[ProjectEntry]:
        for name in sorted(self.held):
            yield ProjectEntry(name)


def routed(patterns: dict[str, str], **shelves: Shelf) -> RoutedPages:
    routes = Routes.from_patterns(patterns)
    return RoutedPages(lambda: routes, shelves)


def listed(pages: PageSource) -> list[str]:
    async def main() -> list[str]:
        return [entry.name async for entry in pages.projects()]

    return asyncio.run(main())


@pytest.mark.parametrize(
    "make",
    [
        lambda inner: inner,
        lambda inner: routed({}, upstream=inner),
        lambda inner: routed({"x-*": "private"}, upstream=inner, private=Shelf()),
    ],
)
def test_every_wrapper_is_a_source_of_pages(make: Callable[[Shelf], PageSource]) -> None:
    inner = Shelf("a", "b-c")
    pages = make(inner)
    assert asyncio.run(pages.page("a")) == render(Project("a"))
    with pytest.raises(ProjectNotFound):
        asyncio.run(pages.page("absent"))
    assert listed(pages) == ["a", "b-c"]
    assert listed(pages) == ["a", "b-c"]
    inner.error = UpstreamUnavailable("down")
    with pytest.raises(UpstreamUnavailable):
        asyncio.run(pages.page("a"))


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("flask", "upstream"),
        ("acme", "private"),
        ("acme-core", "private"),
        ("acme-core-x", "private"),
        ("acme-labs", "labs"),
        ("acme-labs-x", "labs"),
        ("acme-public", "upstream"),
        ("acme-public-x", "private"),
        ("acmeology", "upstream"),
        ("not-acme-core", "upstream"),
        ("tool", "private"),
        ("tool-x", "upstream"),
    ],
)
def test_routes(name: str, source: str) -> None:
    routes = Routes.from_patterns(
        {
            "Acme_*": "private",
            "acme.labs-*": "labs",
            "acme-public": "upstream",
            "Tool": "private",
        }
    )
    assert routes.source_of(name) == source


@pytest.mark.parametrize("pattern", ["", "-*", "acme*", "*-acme", "a*b", "../x", "a b", "**"])
def test_patterns_that_are_none(pattern: str) -> None:
    with pytest.raises(UsageError):
        Routes.from_patterns({pattern: "private"})


def test_one_pattern_has_one_source() -> None:
    with pytest.raises(UsageError, match="both"):
        Routes.from_patterns({"a-b": "one", "A_B": "two"})
    assert Routes.from_patterns({"a-b": "one", "A_B": "one"}).source_of("a-b") == "one"


def test_a_lone_star_is_the_default() -> None:
    assert Routes.from_patterns({"*": "private"}).source_of("anything") == "private"


@given(
    name=names,
    patterns=st.dictionaries(
        st.one_of(names, names.map(lambda n: f"{n}-*")), st.sampled_from(["p", "q"])
    ),
)
def test_a_name_is_asked_at_its_source_and_nowhere_else(
    name: str, patterns: dict[str, str]
) -> None:
    shelves = {source: Shelf(name) for source in ("p", "q", "upstream")}
    pages = routed(patterns, **shelves)
    pages.cached(name)
    asyncio.run(pages.page(name))
    own = Routes.from_patterns(patterns).source_of(name)
    assert [source for source, shelf in shelves.items() if shelf.asked] == [own]
    assert listed(pages) == [name]


@pytest.mark.parametrize("error", [ProjectNotFound("no"), UpstreamUnavailable("down")])
def test_a_private_name_never_falls_through(error: Exception) -> None:
    private, upstream = Shelf(error=error), Shelf("acme-core")
    index = routed({"acme-*": "private"}, private=private, upstream=upstream)
    with pytest.raises(type(error)):
        asyncio.run(index.page("acme-core"))
    assert upstream.asked == []


def test_the_list_hides_names_of_the_wrong_source() -> None:
    private = Shelf("acme-core", "acme-x", "stranger")
    upstream = Shelf("aaa", "acme-core", "zzz", "Acme_Evil")
    index = routed({"acme-*": "private"}, private=private, upstream=upstream)
    assert listed(index) == ["aaa", "acme-core", "acme-x", "zzz"]


def test_a_source_that_does_not_exist_is_an_error_at_once() -> None:
    with pytest.raises(UsageError, match="'private'"):
        routed({"a": "private"}, upstream=Shelf())


def test_pages_are_routed_and_routes_may_change() -> None:
    private, upstream = FakePages(), FakePages()
    for pages, version in ((private, "1"), (upstream, "2")):
        pages.add(Project("acme", versions=(version,)))
    table = [Routes()]
    index = RoutedPages(lambda: table[0], {"private": private, "upstream": upstream})
    assert index.cached("acme") is upstream.stored["acme"]
    table[0] = Routes.from_patterns({"acme": "private"})
    assert index.cached("acme") is private.stored["acme"]
    del private.stored["acme"]
    assert index.cached("acme") is None
    with pytest.raises(ProjectNotFound):
        asyncio.run(index.page("acme"))
