from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from tests.simple.fixture_index import FixtureIndex, sdist, wheel

from dpip.simple.repository import (
    FileNotFound,
    ProjectNotFound,
    UpstreamInvalid,
    UpstreamUnavailable,
)
from dpip.simple.transport import from_netrc, proxy_for
from dpip.simple.upstream import Upstream, Validators, metadata_url

T = TypeVar("T")
DEMO = wheel("demo", "1.0", requires=["other>=2"], requires_python=">=3.8", size=300_000)


@pytest.fixture
def index() -> Iterator[FixtureIndex]:
    with FixtureIndex() as index:
        index.add("demo", DEMO, sdist("demo", "1.0"))
        index.add("other", wheel("other", "2.0", yanked="bad"))
        yield index


async def _gather(chunks: AsyncIterator[bytes], into: bytearray) -> None:
    async for chunk in chunks:
        into += chunk


def ask(index: FixtureIndex, question: Callable[[Upstream], Awaitable[T]], **options: float) -> T:
    async def main() -> T:
        upstream = Upstream(index.url, timeout=options.get("timeout", 5))
        try:
            return await question(upstream)
        finally:
            await upstream.aclose()

    return asyncio.run(main())


def test_json_page_has_every_field(index: FixtureIndex) -> None:
    project = ask(index, lambda upstream: upstream.project("demo"))
    file = project.files[0]
    assert project.last_serial == 1000
    assert project.versions == ("1.0",)
    assert file.filename == DEMO.filename
    assert file.sha256 == DEMO.sha256
    assert file.size == len(DEMO.content)
    assert file.url == f"{index.origin}/packages/{DEMO.filename}"
    assert file.upload_time == "2026-01-02T03:04:05.678901Z"
    assert file.requires_python == ">=3.8"
    assert file.core_metadata


def test_html_page_says_the_same_as_far_as_it_can(index: FixtureIndex) -> None:
    from_json = ask(index, lambda upstream: upstream.project("demo"))
    index.switches.json = False
    from_html = ask(index, lambda upstream: upstream.project("demo"))
    poorer = [replace(file, size=None, upload_time=None) for file in from_json.files]
    assert list(from_html.files) == poorer
    assert from_html.last_serial == 1000  # from the header
    assert from_html.versions == ("1.0",)


def test_asks_for_json_and_says_who_asks(index: FixtureIndex) -> None:
    ask(index, lambda upstream: upstream.project("demo"))
    headers = index.requests[-1].headers
    assert headers["accept"].startswith("application/vnd.pypi.simple.v1+json")
    assert headers["user-agent"].startswith("dpip/")


def test_a_page_that_did_not_change_is_not_sent_again(index: FixtureIndex) -> None:
    async def question(upstream: Upstream) -> None:
        first = await upstream.fetch("demo")
        assert first.validators.etag
        second = await upstream.fetch("demo", first.validators)
        assert second.project is None
        assert second.validators == first.validators
        index.add("demo", wheel("demo", "2.0"))
        third = await upstream.fetch("demo", second.validators)
        assert third.project is not None
        assert len(third.project.files) == 3

    ask(index, question)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (404, ProjectNotFound),
        (410, ProjectNotFound),
        (401, UpstreamUnavailable),
        (429, UpstreamUnavailable),
        (500, UpstreamUnavailable),
        (503, UpstreamUnavailable),
        (304, UpstreamUnavailable),
    ],
)
def test_statuses(index: FixtureIndex, status: int, error: type[Exception]) -> None:
    index.switches.status = status
    with pytest.raises(error):
        ask(index, lambda upstream: upstream.project("demo"))


def test_garbage_is_invalid(index: FixtureIndex) -> None:
    index.switches.garbage_pages = True
    with pytest.raises(UpstreamInvalid):
        ask(index, lambda upstream: upstream.project("demo"))


def test_an_upstream_that_is_down_or_silent_is_unavailable(index: FixtureIndex) -> None:
    index.switches.delay = 0.5
    with pytest.raises(UpstreamUnavailable, match="in time"):
        ask(index, lambda upstream: upstream.project("demo"), timeout=0.1)
    index.switches.delay = 0
    gone = FixtureIndex()
    with gone:
        pass
    with pytest.raises(UpstreamUnavailable):
        ask(gone, lambda upstream: upstream.project("demo"))


def test_pages_are_bounded(index: FixtureIndex) -> None:
    async def question() -> None:
        upstream = Upstream(index.url, max_page_size=100)
        try:
            await upstream.project("demo")
        finally:
            await upstream.aclose()

    with pytest.raises(UpstreamInvalid, match="larger than 100 bytes"):
        asyncio.run(question())


@pytest.mark.parametrize("json", [True, False])
def test_root_list(index: FixtureIndex, json: bool) -> None:
    index.switches.json = json

    async def question(upstream: Upstream) -> list[tuple[str, int | None]]:
        return [(entry.name, entry.last_serial) async for entry in upstream.projects()]

    serial = 1000 if json else None
    assert ask(index, question) == [("demo", serial), ("other", serial)]


def test_credentials_reach_the_index_and_no_message(
    index: FixtureIndex, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    index.switches.credentials = ("user", "se:cret")
    index.switches.status = None

    async def question(upstream: Upstream) -> None:
        project = await upstream.project("demo")
        assert await upstream.read(project.files[0].url, 10**6) == DEMO.content
        index.switches.status = 500
        with pytest.raises(UpstreamUnavailable) as caught:
            await upstream.project("demo")
        assert "se:cret" not in str(caught.value)

    index.switches.credentials = ("user", "secret")
    ask(index, question)
    assert "secret" not in caplog.text


def test_credentials_come_from_netrc(
    index: FixtureIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.switches.credentials = ("user", "pass")
    plain = f"{index.origin}/simple/"
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login user password pass\n")

    async def question() -> str:
        upstream = Upstream(plain)
        try:
            return (await upstream.project("demo")).name
        finally:
            await upstream.aclose()

    monkeypatch.setenv("NETRC", str(tmp_path / "absent"))
    from_netrc.cache_clear()
    with pytest.raises(UpstreamUnavailable, match="refuses"):
        asyncio.run(question())
    from_netrc.cache_clear()
    monkeypatch.setenv("NETRC", str(netrc))
    assert asyncio.run(question()) == "demo"


def test_proxies_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example,127.0.0.1")
    assert proxy_for("https://outside.example/simple/") == "http://proxy.example:3128"
    assert proxy_for("https://inside.example/simple/") is None
    assert proxy_for("http://127.0.0.1:4747/simple/") is None


def test_a_file_is_resumed_by_range(index: FixtureIndex) -> None:
    url = f"{index.origin}/packages/{DEMO.filename}"
    index.switches.truncate, index.switches.truncate_times = 100_000, 1

    async def question(upstream: Upstream) -> bytes:
        received = bytearray()
        async with upstream.open_file(url) as stream:
            known = stream.validators
            assert stream.size == len(DEMO.content)
            with pytest.raises(UpstreamUnavailable):
                await _gather(stream.chunks, received)
        assert 0 < len(received) <= 100_000
        async with upstream.open_file(url, offset=len(received), known=known) as stream:
            assert stream.offset == len(received)
            assert stream.size == len(DEMO.content)
            await _gather(stream.chunks, received)
        return bytes(received)

    assert ask(index, question) == DEMO.content


@pytest.mark.parametrize("why", ["no ranges", "changed"])
def test_a_file_that_cannot_be_resumed_comes_from_its_start(index: FixtureIndex, why: str) -> None:
    index.switches.ranges = why != "no ranges"
    known = Validators(etag='"another"') if why == "changed" else None

    async def question(upstream: Upstream) -> int:
        url = f"{index.origin}/packages/{DEMO.filename}"
        async with upstream.open_file(url, offset=10, known=known) as stream:
            return stream.offset

    assert ask(index, question) == 0


def test_ranges(index: FixtureIndex) -> None:
    url = f"{index.origin}/packages/{DEMO.filename}"

    async def question(upstream: Upstream) -> None:
        tail = await upstream.read_tail(url, 1000)
        assert tail.data == DEMO.content[-1000:]
        assert (tail.offset, tail.size) == (len(DEMO.content) - 1000, len(DEMO.content))
        middle = await upstream.read_range(url, 5, 10)
        assert (middle.data, middle.offset) == (DEMO.content[5:15], 5)
        whole = await upstream.read_tail(url, 10**7)
        assert (whole.data, whole.offset) == (DEMO.content, 0)
        index.switches.ranges = False
        with pytest.raises(UpstreamInvalid, match="does not answer ranges"):
            await upstream.read_tail(url, 1000)

    ask(index, question)


def test_a_file_that_is_gone(index: FixtureIndex) -> None:
    with pytest.raises(FileNotFound):
        ask(index, lambda upstream: upstream.read(f"{index.origin}/packages/no.whl", 10))


def test_what_the_caller_raises_is_not_blamed_on_upstream(index: FixtureIndex) -> None:
    async def question(upstream: Upstream) -> None:
        async with upstream.open_file(f"{index.origin}/packages/{DEMO.filename}"):
            raise OSError(28, "no space left on device")

    with pytest.raises(OSError, match="no space"):
        ask(index, question)


def test_metadata_url_keeps_the_query_and_drops_the_fragment() -> None:
    assert metadata_url("http://x/a.whl#sha256=1") == "http://x/a.whl.metadata"
    assert metadata_url("http://x/a.whl?token=1") == "http://x/a.whl.metadata?token=1"
