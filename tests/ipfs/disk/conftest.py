from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from dpip.ipfs.disk.archives import Archive, Archives
from dpip.ipfs.disk.store import DiskBlockstore


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def disk(tmp_path: Path, clock: Clock) -> Iterator[DiskBlockstore]:
    store = DiskBlockstore(tmp_path / "blocks", clock=clock)
    yield store
    store.close()


@pytest.fixture
def archives(disk: DiskBlockstore) -> Archives:
    return Archives(disk)


class Adder:
    """Adds archives given as bytes."""

    def __init__(self, archives: Archives, folder: Path) -> None:
        self.archives, self._folder = archives, folder

    def __call__(self, data: bytes, filename: str = "demo-1.0-py3-none-any.whl") -> Archive:
        source = self._folder / "incoming"
        source.write_bytes(data)
        return self.archives.add(source, hashlib.sha256(data).hexdigest(), filename)


@pytest.fixture
def add(archives: Archives, tmp_path: Path) -> Adder:
    return Adder(archives, tmp_path)
