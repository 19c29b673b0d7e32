"""The size limit of a home: what goes is forgotten by the catalog, and comes again when asked."""

from __future__ import annotations

import asyncio
import hashlib
from contextlib import closing
from pathlib import Path

import pytest
from tests.ipfs.archive import made
from tests.mirror.conftest import Mirror

from dpip.ipfs.disk import limit
from dpip.mirror.files import Files
from dpip.mirror.private import Private
from dpip.mirror.store import Remake, limit_of, opened, tend
from dpip.simple.distribution import Distribution
from dpip.simple.repository import ArrivingFile
from dpip.simple.upload import Upload


def name(n: int) -> str:
    return f"demo-{n}.0-py3-none-any.whl"


async def fetch(files: Files, key: str, filename: str) -> bytes:
    found = await files.open(key, filename)
    if isinstance(found, ArrivingFile):
        return b"".join([bytes(chunk) async for chunk in found.chunks])
    return found.path.read_bytes()


def wheels(count: int) -> list[bytes]:
    return [made.wheel({f"demo/{n}.txt": made.text(n, 40_000)}) for n in range(count)]


def test_what_went_is_still_listed_and_fetched_again(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.run(remove_and_fetch_again(mirror, monkeypatch))


async def remove_and_fetch_again(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    data = wheels(3)
    keys = [mirror.index.add("demo", name(n), one).hashes["sha256"] for n, one in enumerate(data)]
    pages = mirror.pages()
    before = (await pages.page("demo")).json
    used: list[str] = []
    with opened(mirror.home) as store:
        files = Files(
            archives=mirror.archives, catalog=mirror.catalog, ingest=mirror.ingest,
            upstream=mirror.index, offline=False, remake=Remake(store), used=used.append,
        )  # fmt: skip
        for n, key in enumerate(keys):
            assert await fetch(files, key, name(n)) == data[n]
        await asyncio.to_thread(tend, store, 10**9)
        later = store.store.clock() + 86400
        monkeypatch.setattr(store.store, "clock", lambda: later)
        assert files.whole(keys[0], name(0)) is not None
        assert used[-1] == keys[0]
        store.touch(used[-1:])
        later += 3600
        with limit_of(mirror.home, 1) as room:
            room_for_one = limit.size(store) // 2
            done = await asyncio.to_thread(
                tend, store, 10**9, limit=type(room)(room_for_one, room.private, room.forget)
            )
        assert (done.removed, done.size) == (2, limit.size(store))
        assert done.size <= room_for_one
        assert [mirror.catalog.archive(key) is not None for key in keys] == [True, False, False]
        assert (await pages.page("demo")).json == before
        asked = mirror.index.asked.total()
        assert await fetch(files, keys[0], name(0)) == data[0]
        assert mirror.index.asked.total() == asked
        assert await fetch(files, keys[1], name(1)) == data[1]
        assert mirror.index.asked.total() == asked + 1
        assert mirror.catalog.archive(keys[1]) is not None
    await mirror.ingest.close()


def test_private_packages_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Private(tmp_path / "private.sqlite3")) as private, opened(tmp_path) as store:
        for n, data in enumerate(wheels(2)):
            source = tmp_path / "incoming"
            source.write_bytes(data)
            sha256 = hashlib.sha256(data).hexdigest()
            store.add(source, sha256, name(n))
            if n == 0:
                private.add(_upload(source, sha256, data), "2026-01-01T00:00:00Z")
        later = store.store.clock() + 86400
        monkeypatch.setattr(store.store, "clock", lambda: later)
        with limit_of(tmp_path, 1) as room:
            assert tend(store, 10**9, limit=room).removed == 1
        assert [one.filename for one in store.listing()] == [name(0)]


def _upload(path: Path, sha256: str, data: bytes) -> Upload:
    about = Distribution(name(0), "demo", "0.0", True, b"Name: demo\n", None)
    return Upload(about, path, len(data), sha256, "me")
