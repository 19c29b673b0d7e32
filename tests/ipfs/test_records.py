from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dpip.ipfs import ipns
from dpip.ipfs.errors import InvalidRecord, NotFound
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.records import DiskRecords, MemoryRecords, RecordStore

if TYPE_CHECKING:
    from pathlib import Path

KEY = PrivateKey.from_seed(bytes(32))
NOW = 1_800_000_000 * ipns.SECOND


def signed(sequence: int, lifetime: int = ipns.DEFAULT_LIFETIME) -> bytes:
    return ipns.create(KEY, "/ipfs/bafkqaaa", sequence=sequence, expires=NOW + lifetime).raw


class RecordStoreConformance:
    @pytest.fixture
    def records(self, tmp_path: Path) -> RecordStore:
        raise NotImplementedError

    def test_keeps_the_best(self, records: RecordStore) -> None:
        with pytest.raises(NotFound):
            records.get(KEY.name)
        assert records.put(KEY.name, signed(2), NOW).sequence == 2
        assert records.put(KEY.name, signed(1), NOW).sequence == 2
        assert records.put(KEY.name, signed(3), NOW).raw == signed(3)
        assert records.get(KEY.name).raw == signed(3)
        assert list(records.names()) == [KEY.name]

    def test_refuses_what_does_not_verify(self, records: RecordStore) -> None:
        for raw in (b"", signed(1)[:-1], signed(1, lifetime=0)):
            with pytest.raises(InvalidRecord):
                records.put(KEY.name, raw, NOW)
        with pytest.raises(InvalidRecord):
            records.put(PrivateKey.generate().name, signed(1), NOW)
        assert list(records.names()) == []


class TestMemoryRecords(RecordStoreConformance):
    @pytest.fixture
    def records(self, tmp_path: Path) -> RecordStore:
        return MemoryRecords()


class TestDiskRecords(RecordStoreConformance):
    @pytest.fixture
    def records(self, tmp_path: Path) -> RecordStore:
        return DiskRecords(tmp_path / "ipns")

    def test_outlives_the_process_and_damage(self, tmp_path: Path) -> None:
        DiskRecords(tmp_path).put(KEY.name, signed(1), NOW)
        assert DiskRecords(tmp_path).get(KEY.name).sequence == 1
        next(tmp_path.glob("k*")).write_bytes(b"damaged")
        with pytest.raises(NotFound):
            DiskRecords(tmp_path).get(KEY.name)
        assert DiskRecords(tmp_path).put(KEY.name, signed(1), NOW).sequence == 1
