"""The spool: whole records or none, whatever a kill leaves behind."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.koi.errors import UnreadableState
from dpip.koi.spool import START, Spool

if TYPE_CHECKING:
    from pathlib import Path

    from pytest import TempPathFactory  # noqa: PT013 - the type only


def contents(spool: Spool) -> list[bytes]:
    return [record for _, record in spool.records(START)]


def test_records_come_back_in_order_and_from_any_place(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "j")
    ends = [spool.append(record) for record in (b"one", b"", b"three")]
    assert contents(spool) == [b"one", b"", b"three"]
    assert list(spool.records(ends[0])) == [(ends[1], b""), (ends[2], b"three")]
    spool.close()
    again = Spool(tmp_path / "j")
    assert contents(again) == [b"one", b"", b"three"]
    assert again.append(b"four") == again.end
    assert contents(again)[-1] == b"four"
    again.close()


def test_no_file_without_a_record(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "j")
    assert contents(spool) == []
    spool.renew()
    spool.close()
    assert not (tmp_path / "j").exists()


def test_a_new_generation_has_none_of_the_old_records(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "j")
    spool.append(b"old")
    spool.renew()
    assert contents(spool) == []
    assert Spool(tmp_path / "j").generation == 1  # until there is something to write
    spool.append(b"new")
    spool.close()
    again = Spool(tmp_path / "j")
    assert (again.generation, contents(again)) == (2, [b"new"])
    again.close()


@given(
    records=st.lists(st.binary(max_size=40), max_size=6),
    cut=st.integers(0, 300),
    flip=st.one_of(st.none(), st.integers(0, 300)),
)
def test_what_is_damaged_ends_the_spool_before_it(
    tmp_path_factory: TempPathFactory, records: list[bytes], cut: int, flip: int | None
) -> None:
    path = tmp_path_factory.mktemp("spool") / "j"
    spool = Spool(path)
    ends = [START] + [spool.append(record) for record in records]
    spool.close()
    data = bytearray(path.read_bytes()) if path.exists() else bytearray()
    del data[max(START, len(data) - cut) :]
    whole = len(data)
    if flip is not None and START + flip < len(data):
        data[START + flip] ^= 0xFF
        whole = START + flip
    if records:
        path.write_bytes(bytes(data))
    again = Spool(path)
    kept = sum(end <= whole for end in ends[1:])
    assert contents(again) == records[:kept]
    again.append(b"next")
    assert contents(again) == [*records[:kept], b"next"]
    again.close()


def test_a_disk_that_takes_only_a_part_leaves_no_half_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = Spool(tmp_path / "j")
    spool.append(b"whole")
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[:5]))
    with pytest.raises(UnreadableState):
        spool.append(b"too long for this disk")
    monkeypatch.undo()
    spool.append(b"after")
    assert contents(spool) == [b"whole", b"after"]
    spool.close()


def test_a_file_of_another_program_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "j").write_bytes(b"something else, and longer than a header")
    with pytest.raises(UnreadableState):
        Spool(tmp_path / "j")
    assert (tmp_path / "j").read_bytes().startswith(b"something else")


def test_one_process_writes(tmp_path: Path) -> None:
    first, second = Spool(tmp_path / "j"), Spool(tmp_path / "j")
    first.append(b"mine")
    with pytest.raises(UnreadableState, match="another process"):
        second.append(b"not mine")  # it began before there was a file
    third = Spool(tmp_path / "j")
    with pytest.raises(UnreadableState, match="another process"):
        third.append(b"not mine")
    assert contents(first) == contents(third) == [b"mine"]
    first.append(b"mine too")
    first.close()
    with pytest.raises(UnreadableState, match="has written"):
        third.append(b"not mine")
    fourth = Spool(tmp_path / "j")
    fourth.append(b"mine now")
    assert contents(fourth) == [b"mine", b"mine too", b"mine now"]
    for spool in (third, fourth):
        spool.close()


def test_a_closed_spool_takes_nothing(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "j")
    spool.append(b"kept")
    spool.close()
    with pytest.raises(UnreadableState, match="closed"):
        spool.append(b"late")
    again = Spool(tmp_path / "j")
    assert contents(again) == [b"kept"]
    again.close()
