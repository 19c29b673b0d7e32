from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from dpip.errors import DpipError
from dpip.ipfs import ipns
from dpip.ipfs.blockstore import MemoryBlockstore
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.records import MemoryRecords
from dpip.mirror.publish import Change, Head, Publisher
from dpip.mirror.subscribed import SubscribedIndex
from dpip.mirror.tree import Held, put_file
from dpip.simple.model import File, Project
from dpip.simple.repository import (
    FileNotFound,
    ProjectNotFound,
    UpstreamInvalid,
    UpstreamUnavailable,
)

NOW = 4_000_000_000 * ipns.SECOND
KEY = PrivateKey.from_seed(bytes(32))
WHEEL = "thing-1-py3-none-any.whl"


class Brought:
    """A finder that brings given records."""

    def __init__(self, *records: bytes) -> None:
        self.found = list(records)

    def records(self, name: str) -> list[bytes]:
        return self.found


def publish(folder: Path, store: MemoryBlockstore, content: bytes) -> Head:
    link = put_file(store, content)
    page = Project("thing", (File(WHEEL, "elsewhere", {"sha256": "0" * 64}),), ("1",))
    publisher = Publisher(folder / "state", store, KEY)
    held = {WHEEL: Held(link.cid, link.tsize, b"Name: thing\n")}
    head = publisher.publish([Change("thing", content.hex()[:32], page, held)], NOW)
    publisher.close()
    return head


async def whole(index: SubscribedIndex, url: str, offset: int = 0) -> bytes:
    async with index.open_file(url, offset=offset) as stream:
        return b"".join([chunk async for chunk in stream.chunks])


def test_an_index_is_read_from_its_head(tmp_path: Path) -> None:
    async def story() -> None:
        store, content = MemoryBlockstore(), os.urandom(5_000_000)
        head = publish(tmp_path, store, content)
        index = SubscribedIndex(KEY.name, store, MemoryRecords())
        with pytest.raises(UpstreamUnavailable):
            await index.fetch("thing")
        assert index.refresh(Brought(b"garbage", head.record.raw)) == head.record
        fetched = await index.fetch("thing")
        assert fetched.project is not None
        (file,) = fetched.project.files
        assert (file.filename, file.sha256) == (WHEEL, "0" * 64)
        assert (await index.fetch("thing", fetched.validators)).project is None
        assert await whole(index, file.url) == content
        assert await whole(index, file.url, 3_000_000) == content[3_000_000:]
        assert (await index.read_tail(file.url, 10)).data == content[-10:]
        assert (await index.read_range(file.url, 5, 7)).data == content[5:12]
        assert await index.read(f"{file.url}.metadata", 100) == b"Name: thing\n"
        assert [entry.name async for entry in index.projects()] == ["thing"]
        with pytest.raises(ProjectNotFound):
            await index.fetch("absent")
        with pytest.raises(FileNotFound):
            await index.read(f"{file.url}.absent", 10)
        with pytest.raises(UpstreamInvalid):
            await index.read(file.url, 10)
        await index.aclose()

    asyncio.run(story())


def test_an_older_or_foreign_head_is_not_followed(tmp_path: Path) -> None:
    store = MemoryBlockstore()
    old = publish(tmp_path, store, b"old")
    new = publish(tmp_path, store, b"new")
    foreign = ipns.create(PrivateKey.generate(), "/ipfs/bafkqaaa", sequence=9, expires=NOW + 10**18)
    index = SubscribedIndex(KEY.name, store, MemoryRecords())
    index.refresh(Brought(new.record.raw))
    assert index.refresh(Brought(old.record.raw, foreign.raw)) == new.record
    asyncio.run(index.aclose())


def test_a_file_of_a_page_outlives_the_head_that_listed_it(tmp_path: Path) -> None:
    async def story() -> None:
        store = MemoryBlockstore()
        old = publish(tmp_path, store, b"old")
        index = SubscribedIndex(KEY.name, store, MemoryRecords())
        index.refresh(Brought(old.record.raw))
        page = (await index.fetch("thing")).project
        assert page is not None
        index.refresh(Brought(publish(tmp_path, store, b"new").record.raw))
        assert await whole(index, page.files[0].url) == b"old"
        await index.aclose()

    asyncio.run(story())


def test_content_that_is_missing_or_malformed_is_an_error_of_theirs(tmp_path: Path) -> None:
    async def story() -> None:
        store = MemoryBlockstore()
        head = publish(tmp_path, store, os.urandom(3_000_000))
        index = SubscribedIndex(KEY.name, store, MemoryRecords())
        index.refresh(Brought(head.record.raw))
        page = (await index.fetch("thing")).project
        assert page is not None
        store.delete([put_file(MemoryBlockstore(), b"").cid, head.root])
        with pytest.raises(DpipError) as caught:
            await index.fetch("thing")
        assert caught.value.side == "theirs"
        await index.aclose()

    asyncio.run(story())
