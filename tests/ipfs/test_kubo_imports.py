"""Kubo is the judge: files and directories get the CIDs that `ipfs add` gives them."""

from __future__ import annotations

import hashlib
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from tests import peers
from tests.ipfs import kubo as scratch

from dpip.ipfs import car, unixfs
from dpip.ipfs.blockstore import Block, MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.ipfs.dagpb import Link
from dpip.ipfs.directory import Directory
from dpip.ipfs.importer import File, FileHasher
from dpip.ipfs.profiles import PROFILES, Profile, profile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.ipfs.kubo import Kubo

KUBO_OPTIONS = {
    "unixfs-v1-2025": {
        "cid_version": 1,
        "chunker": "size-1048576",
        "raw_leaves": True,
        "max_file_links": 1024,
    },
    "unixfs-v0-2015": {
        "cid_version": 0,
        "chunker": "size-262144",
        "raw_leaves": False,
        "max_file_links": 174,
    },
}
CHUNKERS = ["size-1000", "size-65536", "rabin", "rabin-30000", "rabin-16-4096-16384", "buzhash"]
MiB = 1 << 20


def content(size: int) -> bytes:
    return hashlib.shake_128(b"content").digest(size)


def add(data: bytes, chosen: Profile, store: MemoryBlockstore | None = None) -> File:
    sink = None if store is None else lambda block: store.put([block])
    hasher = FileHasher(chosen, sink)
    for at in range(0, len(data), MiB):
        hasher.update(data[at : at + MiB])
    return hasher.finish()


SIZES: list[Any] = [0, 1, 262144, 262145, MiB, MiB + 1, 3 * MiB + 5]
LARGE = [174 * 262144, 174 * 262144 + 1, 100 * 10**6]
SIZES += [pytest.param(size, marks=pytest.mark.slow) for size in LARGE]


@pytest.mark.parametrize("name", KUBO_OPTIONS)
@pytest.mark.parametrize(
    "size", [*SIZES, *(pytest.param(n, marks=pytest.mark.slow) for n in LARGE)]
)
def test_files(kubo: Kubo, name: str, size: int) -> None:
    data = content(size)
    expected = kubo.add(data, only_hash=True, **KUBO_OPTIONS[name])
    assert str(add(data, PROFILES[name]).cid) == expected


@pytest.mark.parametrize("text", CHUNKERS)
@pytest.mark.parametrize("zeros", [False, True])
def test_chunkers(kubo: Kubo, text: str, zeros: bool) -> None:
    data = content(2 * MiB) + bytes(MiB) if zeros else content(3 * MiB + 1)
    for raw in (True, False):
        expected = kubo.add(data, only_hash=True, cid_version=1, raw_leaves=raw, chunker=text)
        ours = profile(chunker=text, raw_leaves=raw, max_links=174)
        assert str(add(data, ours).cid) == expected


@pytest.mark.slow
@pytest.mark.parametrize("text", CHUNKERS)
def test_chunkers_over_100_megabytes(kubo: Kubo, text: str) -> None:
    data = content(100 * 10**6)
    expected = kubo.add(data, only_hash=True, cid_version=1, raw_leaves=True, chunker=text)
    assert str(add(data, profile(chunker=text, max_links=174)).cid) == expected


def names(count: int, length: int = 12) -> list[str]:
    return [hashlib.sha256(str(n).encode()).hexdigest()[:length] for n in range(count)]


@pytest.mark.parametrize("name", KUBO_OPTIONS)
def test_directories_at_the_sharding_limit(tmp_path: Path, name: str) -> None:
    kubo = scratch.create(peers.require("kubo"), tmp_path / "repo")
    kubo.run("config", "profile", "apply", name)
    (tmp_path / "files").mkdir()
    limit = largest_plain_directory(PROFILES[name])
    for count in (limit, limit + 1):
        for entry in names(count):
            (tmp_path / "files" / entry).write_bytes(b"x")
        added = kubo.run("add", "-r", "-Q", "--pin=false", str(tmp_path / "files"))
        assert str(directory_of(count, PROFILES[name]).cid) == added.decode().strip()


def largest_plain_directory(chosen: Profile) -> int:
    """Return how many entries fit before the directory is sharded, by its root's Data."""
    low, high = 1, 10_000
    while low + 1 < high:
        middle = (low + high) // 2
        store = MemoryBlockstore()
        root = directory_of(middle, chosen, store)
        plain = unixfs.read(root.cid, store.get(root.cid)).kind is unixfs.Kind.DIRECTORY
        low, high = (middle, high) if plain else (low, middle)
    return low


def directory_of(count: int, chosen: Profile, store: MemoryBlockstore | None = None) -> Link:
    directory = Directory(MemoryBlockstore() if store is None else store, chosen)
    file = add(b"x", chosen)
    for entry in names(count):
        directory.set(entry, file.cid, file.tsize)
    return directory.write()


def test_our_cars_are_imported_and_theirs_are_read(kubo: Kubo) -> None:
    store = MemoryBlockstore()
    file = add(content(300_000), profile(chunker="size-10000"), store)
    blocks = [Block(leaf.cid, store.get(leaf.cid)) for leaf in file.leaves]
    stream = b"".join(car.write([file.cid], [*blocks, *file.nodes]))
    answer = json.loads(kubo.rpc("dag/import", body=stream).splitlines()[0])
    assert answer["Root"]["Cid"]["/"] == str(file.cid)
    assert kubo.rpc("cat", str(file.cid)) == content(300_000)

    theirs = kubo.rpc("dag/export", str(file.cid))
    reader = car.read(io.BytesIO(theirs))
    assert reader.roots == (file.cid,)
    assert {block.cid for block in reader} == {leaf.cid for leaf in file.leaves} | {
        CID.parse(str(node.cid)) for node in file.nodes
    }
