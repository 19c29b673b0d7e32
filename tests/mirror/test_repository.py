from __future__ import annotations

import asyncio
import dataclasses
import json

import pytest
from tests.mirror.conftest import Mirror

from dpip.mirror.judging import Judging, from_files
from dpip.mirror.scope import Scope
from dpip.mirror.selected import Selected
from dpip.mirror.selection import read_selection
from dpip.simple.model import File, Project
from dpip.simple.repository import ProjectNotFound, StoredPage, UpstreamUnavailable
from dpip.simple.upstream import Fetched, Validators

DATA = b"some bytes of an sdist"


def test_a_page_is_asked_for_once_and_then_served_from_memory(mirror: Mirror) -> None:
    file = mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
    pages = mirror.pages()

    async def story() -> None:
        assert pages.cached("thing") is None
        page = await pages.page("thing")
        assert f"../../files/{file.sha256}/thing-1.0.tar.gz" in page.html.decode()
        assert pages.cached("thing") is page
        assert await pages.page("thing") is page

    asyncio.run(story())
    assert mirror.index.asked["thing"] == 1


def test_many_requests_share_one_question(mirror: Mirror) -> None:
    mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
    mirror.index.delay = 0.01
    pages = mirror.pages()

    async def story() -> None:
        got = await asyncio.gather(*(pages.page("thing") for _ in range(50)))
        assert len({page.etag for page in got}) == 1

    asyncio.run(story())
    assert mirror.index.asked["thing"] == 1


def test_a_reader_that_leaves_does_not_stop_the_question(mirror: Mirror) -> None:
    mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
    mirror.index.delay = 0.01
    pages = mirror.pages()

    async def story() -> None:
        first = asyncio.create_task(pages.page("thing"))
        await asyncio.sleep(0)
        second = asyncio.create_task(pages.page("thing"))
        await asyncio.sleep(0)
        first.cancel()
        assert (await second).name == "thing"

    asyncio.run(story())


def test_an_unchanged_page_is_confirmed_not_rendered(mirror: Mirror) -> None:
    mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
    pages = mirror.pages()

    async def story() -> None:
        first = await pages.page("thing")
        mirror.clock.time += 301
        assert await pages.page("thing") is first
        mirror.index.add("thing", "thing-1.1.tar.gz", b"new")
        assert await pages.page("thing") is first
        mirror.clock.time += 301
        second = await pages.page("thing")
        assert second.etag != first.etag
        assert b"thing-1.1.tar.gz" in second.json

    asyncio.run(story())
    assert mirror.index.asked["thing"] == 3


def test_a_fresh_page_tells_its_validator_unread(mirror: Mirror) -> None:
    mirror.index.add("thing", "thing-1.0.tar.gz", DATA)

    async def story() -> None:
        page = await mirror.pages().page("thing")
        restarted = mirror.pages()
        assert await restarted.validator("thing") == page.etag
        assert restarted.cached("thing") is None, "it was not read"
        assert await restarted.validator("other") is None
        mirror.clock.time += 301
        assert await restarted.validator("thing") is None, "upstream must be asked"

    asyncio.run(story())
    assert mirror.index.asked["thing"] == 1


def test_a_stale_page_is_served_and_marked_while_upstream_is_down(mirror: Mirror) -> None:
    mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
    pages = mirror.pages()

    async def story() -> None:
        assert not (await pages.page("thing")).stale
        mirror.clock.time += 301
        mirror.index.down = True
        for _ in range(5):
            assert (await pages.page("thing")).stale
        assert mirror.index.asked["thing"] == 2, "a pause follows a failure"
        assert pages.cached("thing") is None
        mirror.index.down = False
        mirror.clock.time += 3
        assert not (await pages.page("thing")).stale

    asyncio.run(story())


def test_a_slow_upstream_is_not_waited_for_behind_a_stored_page(mirror: Mirror) -> None:
    mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
    pages = mirror.pages(patience=0.01)

    async def story() -> None:
        await pages.page("thing")
        mirror.clock.time += 301
        mirror.index.gate = asyncio.Event()
        assert (await pages.page("thing")).stale
        mirror.index.gate.set()
        await asyncio.sleep(0.01)
        assert pages.cached("thing") is not None

    asyncio.run(story())


def test_pages_survive_a_restart_offline(mirror: Mirror) -> None:
    mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
    before = asyncio.run(mirror.pages().page("thing"))
    mirror.index.down = True
    after = asyncio.run(mirror.pages(offline=True).page("thing"))
    assert dataclasses.replace(after, stale=False) == before
    with pytest.raises(ProjectNotFound):
        asyncio.run(mirror.pages(offline=True).page("other"))


def test_an_absent_project_is_remembered_shortly(mirror: Mirror) -> None:
    pages = mirror.pages()

    async def story() -> None:
        for _ in range(3):
            with pytest.raises(ProjectNotFound):
                await pages.page("thing")
        assert mirror.index.asked["thing"] == 1
        mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
        mirror.clock.time += 21
        assert (await pages.page("thing")).name == "thing"

    asyncio.run(story())


def test_a_removed_project_is_gone_here_too(mirror: Mirror) -> None:
    mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
    pages = mirror.pages()

    async def story() -> None:
        await pages.page("thing")
        del mirror.index.pages["thing"]
        mirror.clock.time += 301
        with pytest.raises(ProjectNotFound):
            await pages.page("thing")

    asyncio.run(story())
    assert mirror.catalog.page("thing") is None


def test_nothing_stored_and_upstream_down_is_said(mirror: Mirror) -> None:
    mirror.index.down = True
    pages = mirror.pages()

    async def story() -> None:
        for _ in range(2):
            with pytest.raises(UpstreamUnavailable):
                await pages.page("thing")

    asyncio.run(story())
    assert mirror.index.asked["thing"] == 1


def test_file_names_with_path_tricks_are_not_listed(mirror: Mirror) -> None:
    mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
    mirror.index.add("thing", "../../etc/thing-1.0.tar.gz", DATA)
    mirror.index.add("thing", ".thing-1.0.tar.gz", DATA)
    page = asyncio.run(mirror.pages().page("thing"))
    names = [file["filename"] for file in json.loads(page.json)["files"]]
    assert names == ["thing-1.0.tar.gz"]


def test_root_list_falls_back_to_what_is_stored(mirror: Mirror) -> None:
    for name in ("b", "a", "c"):
        mirror.index.pages[name] = Project(name)
    pages = mirror.pages()

    async def names() -> list[str]:
        return [entry.name async for entry in pages.projects()]

    async def story() -> None:
        await asyncio.gather(pages.page("a"), pages.page("b"))
        assert await names() == ["a", "b", "c"]
        mirror.index.down = True
        assert await names() == ["a", "b"]

    asyncio.run(story())


def test_an_older_answer_does_not_replace_a_page(mirror: Mirror) -> None:
    mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
    mirror.index.pages["thing"] = dataclasses.replace(mirror.index.pages["thing"], last_serial=9)
    pages = mirror.pages()

    async def story() -> None:
        await pages.page("thing")
        mirror.index.pages["thing"] = Project("thing", last_serial=8)
        mirror.clock.time += 301
        page = await pages.page("thing")
        assert page.stale
        assert b"thing-1.0.tar.gz" in page.json

    asyncio.run(story())


def test_what_a_peer_tells_goes_through_the_rules_of_a_mirror(mirror: Mirror) -> None:
    scope = Scope(read_selection({"allow": ["a"], "latest": 1}, lambda _: ""), rules="r")
    judging = Judging(mirror.catalog, from_files(mirror.files))
    selected = Selected(mirror.index, lambda: scope, mirror.catalog, judging)
    pages = mirror.pages(through=selected)
    files = tuple(File(f"a-{n}.0.tar.gz", f"http://x.invalid/{n}") for n in (1, 2))

    def tell(name: str) -> StoredPage:
        told = Fetched(Project(name, files), Validators())
        return asyncio.run(pages.take(name, told, mirror.clock(), lambda _: None))

    page = tell("a")
    assert (b"a-2.0" in page.json, b"a-1.0" in page.json) == (True, False)
    with pytest.raises(UpstreamUnavailable, match="not keep"):
        tell("b")
    assert mirror.catalog.page("b") is None


def test_a_doubted_page_is_asked_for_again_and_keeps_its_time(mirror: Mirror) -> None:
    mirror.index.add("thing", "thing-1.0.tar.gz", DATA)
    pages = mirror.pages()

    async def story() -> None:
        await pages.page("thing")
        before = mirror.catalog.record("thing")
        pages.doubt("thing")
        assert mirror.catalog.record("thing") == before
        mirror.index.down = True
        assert (await pages.page("thing")).stale
        mirror.index.down = False
        mirror.index.add("thing", "thing-2.0.tar.gz", b"2")
        mirror.clock.time += 60
        assert b"thing-2.0" in (await pages.page("thing")).json
        await pages.page("thing")

    asyncio.run(story())
    assert mirror.index.asked["thing"] == 3
