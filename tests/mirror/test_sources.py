from __future__ import annotations

import asyncio

import pytest
from tests.mirror.conftest import Mirror
from tests.mirror.fakes import FakeIndex

from dpip.errors import UsageError
from dpip.mirror.refresh import Policy
from dpip.mirror.repository import Pages
from dpip.mirror.source import PageSource
from dpip.mirror.sources import PRIVATE, Sources, row
from dpip.simple.render import render
from dpip.simple.repository import ProjectNotFound
from dpip.simple.wrappers import RoutedPages

OTHER = "http://other.invalid/simple/"


def sources(mirror: Mirror, other: FakeIndex, table: dict[str, str]) -> Sources:
    asked: dict[str, PageSource] = {"upstream": mirror.index, PRIVATE: FakeIndex(), OTHER: other}

    def make(source: str) -> Pages:
        return Pages(
            upstream=asked[source],
            source=source,
            catalog=mirror.catalog,
            render=render,
            policy=Policy(),
            now=mirror.clock,
        )

    return Sources(table, make)


def test_a_private_name_is_never_asked_for_upstream(mirror: Mirror) -> None:
    mirror.index.add("acme-tool", "acme_tool-9.9.tar.gz", b"a stranger's")
    known = sources(mirror, FakeIndex(), {"acme-*": PRIVATE})
    pages = RoutedPages(lambda: known.routes, known.pages)
    with pytest.raises(ProjectNotFound):
        asyncio.run(pages.page("acme-tool"))
    assert not mirror.index.asked


def test_a_page_from_upstream_is_not_served_once_its_name_is_private(mirror: Mirror) -> None:
    mirror.index.add("acme-tool", "acme_tool-9.9.tar.gz", b"a stranger's")
    known = sources(mirror, FakeIndex(), {})
    pages = RoutedPages(lambda: known.routes, known.pages)

    async def story() -> None:
        assert b"9.9" in (await pages.page("acme-tool")).json
        known.use({"acme-tool": PRIVATE})
        assert pages.cached("acme-tool") is None
        with pytest.raises(ProjectNotFound):
            await pages.page("acme-tool")
        known.use({})
        mirror.clock.time += 301
        assert b"9.9" in (await pages.page("acme-tool")).json

    asyncio.run(story())


def test_a_name_is_asked_of_its_own_index_alone(mirror: Mirror) -> None:
    other = FakeIndex()
    other.add("acme-tool", "acme_tool-1.0.tar.gz", b"ours")
    mirror.index.add("acme-tool", "acme_tool-9.9.tar.gz", b"a stranger's")
    mirror.index.add("flask", "flask-1.0.tar.gz", b"flask")
    known = sources(mirror, other, {})
    known.use({"acme-tool": OTHER})
    pages = RoutedPages(lambda: known.routes, known.pages)

    async def story() -> None:
        assert b"1.0" in (await pages.page("acme-tool")).json
        await pages.page("flask")
        assert [entry.name async for entry in pages.projects()] == ["acme-tool", "flask"]

    asyncio.run(story())
    assert mirror.index.asked["acme-tool"] == 0
    assert other.asked["flask"] == 0


@pytest.mark.parametrize(
    ("pattern", "source"), [("../x", PRIVATE), ("*x", PRIVATE), ("x", "somewhere"), ("", PRIVATE)]
)
def test_rows_that_make_no_sense(pattern: str, source: str) -> None:
    with pytest.raises(UsageError):
        row(pattern, source)


@pytest.mark.parametrize(
    ("pattern", "stored"),
    [("Acme_Tool", "acme-tool"), ("Acme_*", "acme-*"), ("acme.x-*", "acme-x-*"), ("*", "*")],
)
def test_rows_have_one_spelling(pattern: str, stored: str) -> None:
    assert row(pattern, PRIVATE) == (stored, PRIVATE)
    assert row(stored, PRIVATE) == (stored, PRIVATE)
