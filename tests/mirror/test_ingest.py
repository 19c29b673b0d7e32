from __future__ import annotations

import asyncio
import hashlib
import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.mirror.conftest import Mirror
from tests.mirror.fakes import BASE

from dpip.errors import DiskFull
from dpip.ipfs.importer import FileHasher
from dpip.mirror import sink
from dpip.mirror.archives import from_os
from dpip.mirror.files import Files
from dpip.simple.repository import (
    ArrivingFile,
    FileNotFound,
    UpstreamInvalid,
    UpstreamUnavailable,
    WholeFile,
)

NAME = "thing-1.0.tar.gz"
DATA = random.Random(1).randbytes(3_000_000)
SHA256 = hashlib.sha256(DATA).hexdigest()


async def receive(files: Files, key: str = SHA256, name: str = NAME) -> bytes:
    opened = await files.open(key, name)
    if isinstance(opened, WholeFile):
        return opened.path.read_bytes()
    return b"".join([chunk async for chunk in opened.chunks])


async def collect(opened: ArrivingFile, into: list[bytes]) -> None:
    async for chunk in opened.chunks:
        into.append(chunk)  # noqa: PERF401 - what came before an error counts too


async def listed(mirror: Mirror, data: bytes = DATA, **changes: Any) -> Files:
    mirror.index.add("thing", NAME, data, **changes)
    await mirror.pages().page("thing")
    return mirror.files()


def test_fifty_readers_cause_one_transfer(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        got = await asyncio.gather(*(receive(files) for _ in range(50)))
        assert all(data == DATA for data in got)
        assert files.whole(SHA256, NAME) is not None

    asyncio.run(story())
    assert mirror.index.asked[BASE + NAME] == 1


def test_sha256_and_cid_are_recorded(mirror: Mirror) -> None:
    async def story() -> None:
        await receive(await listed(mirror))

    asyncio.run(story())
    hasher = FileHasher()
    hasher.update(DATA)
    record = mirror.catalog.archive(SHA256)
    assert record is not None
    assert (record.size, record.cid) == (len(DATA), str(hasher.finish().cid))


def test_a_late_reader_gets_the_bytes_that_are_already_here(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        mirror.index.gate = asyncio.Event()
        first = await files.open(SHA256, NAME)
        assert isinstance(first, ArrivingFile)
        assert first.size == len(DATA)
        beginning = await anext(first.chunks)
        late = await files.open(SHA256, NAME)
        assert isinstance(late, ArrivingFile)
        assert await anext(late.chunks) == beginning
        mirror.index.gate.set()
        rest = [b"".join([c async for c in opened.chunks]) for opened in (first, late)]
        assert all(beginning + data == DATA for data in rest)

    asyncio.run(story())


def test_a_slow_reader_stalls_nobody(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        slow = await files.open(SHA256, NAME)
        assert isinstance(slow, ArrivingFile)
        beginning = await anext(slow.chunks)
        assert await receive(files) == DATA
        assert beginning + b"".join([c async for c in slow.chunks]) == DATA

    asyncio.run(story())


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("says_size", [True, False])
def test_a_broken_transfer_goes_on(mirror: Mirror, ranges: bool, says_size: bool) -> None:
    async def story() -> None:
        files = await listed(mirror)
        mirror.index.ranges, mirror.index.says_size = ranges, says_size
        mirror.index.break_after = 1_100_000 if ranges else None
        assert await receive(files) == DATA

    asyncio.run(story())
    assert mirror.index.asked[BASE + NAME] == (3 if ranges else 1)


def test_an_upstream_without_ranges_is_skipped_forward(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        mirror.index.break_after = 1_000_000
        mirror.index.ranges = False
        task = asyncio.create_task(receive(files))
        await mirror.index.broke.wait()
        mirror.index.break_after = None
        assert await task == DATA

    asyncio.run(story())


def test_a_transfer_that_never_moves_is_given_up(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        mirror.index.break_after = 1_000_000
        mirror.index.ranges = False
        with pytest.raises(UpstreamUnavailable):
            await receive(files)

    asyncio.run(story())


def test_wrong_bytes_are_never_whole_and_never_stored(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        mirror.index.files[BASE + NAME] = DATA[:-1] + b"?"
        opened = await files.open(SHA256, NAME)
        assert isinstance(opened, ArrivingFile)
        got: list[bytes] = []
        with pytest.raises(UpstreamInvalid):
            await collect(opened, got)
        assert sum(map(len, got)) < len(DATA)
        assert files.whole(SHA256, NAME) is None
        mirror.index.files[BASE + NAME] = DATA
        assert await receive(files) == DATA

    asyncio.run(story())
    assert list(mirror.home.rglob("*.part")) == []


def test_what_a_killed_process_left_is_gone_on_from(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        mirror.archives.part(SHA256).write_bytes(DATA[:2_000_000])
        mirror.index.break_after = 1_000_001
        assert await receive(files) == DATA

    asyncio.run(story())
    assert mirror.index.asked[BASE + NAME] == 1


@pytest.mark.parametrize("left", [DATA, DATA + b"too much", b"?" * 1000], ids=len)
def test_any_left_over_part_ends_in_the_right_file(mirror: Mirror, left: bytes) -> None:
    async def story() -> None:
        files = await listed(mirror, size=None)
        mirror.archives.part(SHA256).write_bytes(left)
        try:
            assert await receive(files) == DATA
        except UpstreamInvalid:
            assert await receive(files) == DATA

    asyncio.run(story())


def test_a_file_without_a_hash_gets_one_from_its_first_fetch(mirror: Mirror) -> None:
    async def story() -> None:
        pages = mirror.pages()
        mirror.index.add("thing", NAME, DATA, hashes={})
        before = await pages.page("thing")
        assert SHA256.encode() not in before.json
        key = before.json.decode().partition("files/")[2].partition("/")[0]
        files = mirror.files()
        assert await receive(files, key) == DATA
        whole = files.whole(key, NAME)
        assert whole is not None
        assert whole.sha256 == SHA256
        after = await mirror.pages().page("thing")
        assert f"files/{SHA256}/{NAME}" in after.json.decode()

    asyncio.run(story())


def test_a_file_that_is_too_large_is_refused_at_once(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        mirror.ingest._max_size = 1000
        with pytest.raises(UpstreamInvalid, match="larger than"):
            await receive(files)

    asyncio.run(story())


def test_a_file_that_grows_too_large_is_refused_on_the_way(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        mirror.index.says_size = False
        mirror.ingest._max_size = 1_000_000
        with pytest.raises(UpstreamInvalid, match="larger than"):
            await receive(files)

    asyncio.run(story())


def test_unknown_and_gone_files(mirror: Mirror) -> None:
    async def story() -> None:
        files = await listed(mirror)
        with pytest.raises(FileNotFound):
            await files.open("0" * 64, NAME)
        del mirror.index.files[BASE + NAME]
        with pytest.raises(FileNotFound):
            await files.open(SHA256, NAME)
        mirror.index.down = True
        with pytest.raises(UpstreamUnavailable):
            await files.open(SHA256, NAME)

    asyncio.run(story())


def test_offline_says_so(mirror: Mirror) -> None:
    async def story() -> None:
        await listed(mirror)
        with pytest.raises(UpstreamUnavailable, match="not stored"):
            await mirror.files(offline=True).open(SHA256, NAME)

    asyncio.run(story())


def test_a_full_disk_is_named(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: sink.Sink, data: bytes) -> None:
        raise from_os(OSError(28, "No space left on device"), mirror.home)

    async def story() -> None:
        files = await listed(mirror)
        with monkeypatch.context() as patch:
            patch.setattr(sink.Sink, "_write", full)
            with pytest.raises(DiskFull):
                await receive(files)
        assert await receive(files) == DATA

    asyncio.run(story())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.binary(max_size=300_000), cut=st.integers(1, 100_000), ranges=st.booleans())
def test_any_bytes_over_any_line_arrive_whole(
    mirror: Mirror, data: bytes, cut: int, ranges: bool
) -> None:
    sha256 = hashlib.sha256(data).hexdigest()

    async def story() -> None:
        name = f"any-{sha256[:16]}.zip"
        mirror.index.add(f"any-{sha256[:16]}", name, data)
        await mirror.pages().page(f"any-{sha256[:16]}")
        mirror.index.ranges = ranges
        mirror.index.break_after = cut if ranges else None
        assert await receive(mirror.files(), sha256, name) == data

    asyncio.run(story())
