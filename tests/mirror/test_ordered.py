from __future__ import annotations

import asyncio

import pytest
from tests.mirror.fakes import FakeIndex

from dpip.mirror.hosts import ByScheme
from dpip.mirror.ordered import Ordered
from dpip.mirror.subscribed import NoHead
from dpip.simple.repository import ProjectNotFound, UpstreamUnavailable
from dpip.simple.upstream import Fetched, Validators


class Failing(FakeIndex):
    """An index that answers every question with one error."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def fetch(self, name: str, known: Validators | None = None) -> Fetched:
        raise self.error


def has(name: str, filename: str) -> FakeIndex:
    index = FakeIndex()
    index.add(name, filename, b"content")
    return index


def first_file(*sources: FakeIndex, name: str = "thing") -> str:
    page = asyncio.run(Ordered(sources).fetch(name)).project
    assert page is not None
    return page.files[0].filename


def test_the_first_index_that_has_a_name_is_its_source() -> None:
    low, high = has("thing", "thing-1.tar.gz"), has("thing", "thing-9.tar.gz")
    assert first_file(low, high) == "thing-1.tar.gz"
    assert first_file(FakeIndex(), high) == "thing-9.tar.gz"
    with pytest.raises(ProjectNotFound):
        first_file(FakeIndex(), FakeIndex())


def test_an_outage_does_not_change_where_a_name_comes_from() -> None:
    down = Failing(UpstreamUnavailable("down"))
    with pytest.raises(UpstreamUnavailable):
        first_file(down, has("thing", "thing-9.tar.gz"))


def test_an_index_without_any_head_is_passed_over() -> None:
    unknown = Failing(NoHead("no head yet"))
    assert first_file(unknown, has("thing", "thing-1.tar.gz")) == "thing-1.tar.gz"
    with pytest.raises(NoHead):
        first_file(unknown)


def test_files_are_read_by_the_scheme_of_their_url() -> None:
    web, content = FakeIndex(), FakeIndex()
    chosen = ByScheme(web, "ipfs://", content)
    assert chosen.source_of("ipfs://cid/file") is content
    assert chosen.source_of("https://host/file") is web
