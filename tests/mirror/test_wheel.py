from __future__ import annotations

import asyncio
import contextlib
import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.mirror.wheel import TAIL, NotAWheel, metadata_of

METADATA = b"Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n\nLong.\n"


def wheel(
    *,
    before: int = 0,
    after: int = 0,
    method: int = zipfile.ZIP_DEFLATED,
    metadata: bytes = METADATA,
    folder: str = "thing-1.0.dist-info",
    comment: bytes = b"",
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        if before:
            archive.writestr(zipfile.ZipInfo("thing/data.bin"), b"x" * before)
        archive.writestr(f"{folder}/METADATA", metadata)
        if after:
            archive.writestr(zipfile.ZipInfo("thing/more.bin"), b"y" * after)
        archive.comment = comment
    return buffer.getvalue()


def read_metadata(data: bytes, name: str = "thing-1.0-py3-none-any.whl") -> tuple[bytes, int]:
    """Return the METADATA, and how many bytes of the wheel were read for it."""
    count = 0

    async def read(start: int, length: int) -> bytes:
        nonlocal count
        count += length
        return data[start : start + length]

    return asyncio.run(metadata_of(name, len(data), read)), count


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_the_members_own_bytes(method: int) -> None:
    assert read_metadata(wheel(method=method))[0] == METADATA


def test_a_large_wheel_is_read_from_its_tail_alone() -> None:
    body, count = read_metadata(wheel(before=5_000_000))
    assert (body, count) == (METADATA, TAIL)


def test_metadata_at_the_front_costs_two_more_small_reads() -> None:
    body, count = read_metadata(wheel(after=5_000_000))
    assert body == METADATA
    assert count < TAIL + 2000


def zip64_wheel(monkeypatch: pytest.MonkeyPatch, *, before: int = 0, after: int = 0) -> bytes:
    """Return a wheel that is written as if it were too large for the old fields."""
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 0)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 0)
    data = bytearray(wheel(before=before, after=after))
    end = data.rfind(b"PK\x05\x06")
    data[end + 8 : end + 20] = b"\xff" * 12
    return bytes(data)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (5_000_000, 0), (0, 5_000_000)])
def test_zip64(before: int, after: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = zip64_wheel(monkeypatch, before=before, after=after)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.read("thing-1.0.dist-info/METADATA") == METADATA
    assert b"PK\x06\x06" in data
    assert b"\xff\xff\xff\xff" in data
    assert read_metadata(data)[0] == METADATA


def test_a_zip64_record_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    data = zip64_wheel(monkeypatch)
    for magic in (b"PK\x06\x06", b"PK\x06\x07"):
        with pytest.raises(NotAWheel):
            read_metadata(data.replace(magic, b"PK\x00\x00"))


def test_an_archive_that_was_streamed_has_its_sizes_in_the_directory() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            self.data += bytes(data)
            return len(data)

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w") as archive:  # cannot seek: data descriptors
        archive.writestr("thing-1.0.dist-info/METADATA", METADATA)
    assert b"PK\x07\x08" in pipe.data
    assert read_metadata(pipe.data)[0] == METADATA


def test_a_comment_at_the_end_is_passed_over() -> None:
    assert read_metadata(wheel(comment=b"signed by nobody" * 50))[0] == METADATA


def test_the_folder_of_the_wheel_itself_is_chosen() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("other-2.0.dist-info/METADATA", b"Name: other\n")
        archive.writestr("vendored/thing-1.0.dist-info/METADATA", b"Name: nested\n")
        archive.writestr("Thing-1.0.dist-info/METADATA", METADATA)
    assert read_metadata(buffer.getvalue())[0] == METADATA


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a zip at all" * 1000,
        wheel(folder="other-1.0.dist-info"),
        wheel()[:-30],
        wheel(method=zipfile.ZIP_STORED).replace(b"Long.", b"Lung."),
        b"PK\x05\x06" + b"\xff" * 18,
        b"PK\x05\x06" + b"\0" * 8 + b"\xff\xff\xff\x0f" * 2 + b"\0\0",
    ],
    ids=["empty", "garbage", "no metadata", "cut", "bad crc", "zip64 marks", "far directory"],
)
def test_what_is_no_wheel_is_refused_by_name(data: bytes) -> None:
    with pytest.raises(NotAWheel):
        read_metadata(data)


def test_a_bomb_is_not_inflated_beyond_its_promise() -> None:
    packed = wheel(metadata=b"\0" * 3_000_000)
    lying = packed.replace((3_000_000).to_bytes(4, "little"), (100).to_bytes(4, "little"))
    with pytest.raises(NotAWheel):
        read_metadata(lying)


@given(st.binary(max_size=300), st.integers(0, 400), st.binary(max_size=8))
def test_damage_is_an_error_of_ours_or_changes_nothing(
    metadata: bytes, at: int, junk: bytes
) -> None:
    data = bytearray(wheel(metadata=metadata))
    data[at : at + len(junk)] = junk
    with contextlib.suppress(NotAWheel):
        assert read_metadata(bytes(data))[0] == metadata
