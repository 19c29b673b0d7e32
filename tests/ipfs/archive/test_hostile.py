"""Archives made to do harm: bombs, overlaps, path tricks, lies, nesting without end."""

from __future__ import annotations

import gzip
import io
import struct
import tarfile
import tracemalloc
import zipfile
import zlib

import pytest
from tests.ipfs.archive import made

from dpip.ipfs.archive import zips
from dpip.ipfs.archive.importer import take_apart
from dpip.ipfs.archive.inflate import Budget, inflate
from dpip.ipfs.errors import InvalidArchive


def refused(archive: bytes, match: str | None = None) -> None:
    with pytest.raises(InvalidArchive, match=match):
        take_apart(memoryview(archive), lambda block: None)


def test_a_zip_bomb_is_stopped_by_its_budget() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for n in range(6):
            archive.writestr(f"bomb-{n}", bytes(15 * 2**20))
    tracemalloc.start()
    refused(out.getvalue(), "far more")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 80 * 2**20


def test_a_gzip_bomb_is_stopped_by_its_budget() -> None:
    refused(gzip.compress(bytes(66 * 2**20), 1), "far more")


def test_a_gzip_inside_a_gzip_inside_a_gzip_is_opened_once() -> None:
    data = made.text(1, 3000)
    for _ in range(30):
        data = gzip.compress(data, 6, mtime=0)
    made.round_trip(made.wheel({"nested.gz": data}))


def test_a_quine_like_nest_of_bombs_is_bounded() -> None:
    inner = gzip.compress(bytes(24 * 2**20), 1)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for n in range(3):
            archive.writestr(f"{n}.gz", inner)
    refused(out.getvalue(), "far more")


@pytest.mark.parametrize(
    "name", ["../up.txt", "/absolute.txt", "a/../b.txt", "a//b.txt", "./a.txt", "a/./b.txt"]
)
def test_path_tricks_are_refused(name: str) -> None:
    refused(made.wheel({name: b"x"}), "unsafe name")
    if name != "/absolute.txt":
        refused(made.sdist({name: b"x"}), "unsafe name")


def test_a_name_with_a_nul_is_refused() -> None:
    archive = made.wheel({"aXb.txt": b"x"}).replace(b"aXb.txt", b"a\0b.txt")
    refused(archive, "unsafe name")


def test_very_deep_paths_are_refused() -> None:
    refused(made.wheel({"d/" * 40 + "x": b"x"}), "too deep")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_two_members_with_one_name_are_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("same", b"one")
        archive.writestr("same", b"two")
    refused(out.getvalue(), "one name")


def test_a_file_that_is_also_a_directory_is_refused() -> None:
    refused(made.wheel({"a": b"x", "a/b": b"y"}), "inside a file")
    refused(made.wheel({"a/b": b"y", "a": b"x"}), "one name")


def patched(archive: bytes, field: slice, value: bytes, *, central: bool = True) -> bytes:
    """Return a zip with a field of its first central record (or local header) replaced."""
    member = zips.read(memoryview(archive)).members[0]
    base = (member.central if central else member.local).start
    out = bytearray(archive)
    out[base + field.start : base + field.stop] = value
    return bytes(out)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (slice(16, 20), b"\0\0\0\0"),  # checksum
        (slice(24, 28), struct.pack("<I", 7)),  # size of the content
        (slice(20, 24), struct.pack("<I", 7)),  # size of the stream
        (slice(20, 24), struct.pack("<I", 2**31)),
        (slice(42, 46), struct.pack("<I", 40)),  # offset
        (slice(28, 30), struct.pack("<H", 60000)),  # length of the name
        (slice(8, 10), struct.pack("<H", 1)),  # encrypted
        (slice(24, 28), b"\xff" * 4),  # zip64
    ],
)
def test_lying_zip_headers_are_refused(field: slice, value: bytes) -> None:
    archive = made.wheel({"a.txt": made.text(1, 2000), "b.txt": made.text(2, 2000)})
    refused(patched(archive, field, value))


def test_overlapping_members_are_refused() -> None:
    archive = made.wheel({"a.txt": made.text(1, 2000), "b.txt": made.text(2, 2000)})
    first, second = zips.read(memoryview(archive)).members
    out = bytearray(archive)
    at = second.central.start + 42
    out[at : at + 4] = struct.pack("<I", first.local.start)
    refused(bytes(out), "unordered")


def test_bytes_between_members_are_refused() -> None:
    archive = made.wheel({"a.txt": b"a"})
    refused(b"PK\x03\x04stub" + archive)
    end = archive.rfind(b"PK\x05\x06")
    refused(archive[:end] + b"gap" + archive[end:], "does not fit")


def test_a_local_header_that_tells_another_story_comes_back() -> None:
    archive = made.wheel({"a.txt": made.text(1, 2000)})
    made.round_trip(patched(archive, slice(10, 14), b"\1\2\3\4", central=False))
    made.round_trip(patched(archive, slice(30, 35), b"b.txt", central=False))


def test_unknown_compression_methods_are_kept_as_they_are() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("a.txt", made.text(1))
    _, imported = made.round_trip(out.getvalue())
    assert imported.kept > 0


@pytest.mark.parametrize("size", [b"77777777777", b"-0000000001", b"0x000000010", b"00000099999"])
def test_lying_tar_sizes_are_refused(size: bytes) -> None:
    tar = bytearray(gzip.decompress(made.sdist({"a": b"x" * 600}, form=tarfile.USTAR_FORMAT)))
    tar[512 + 124 : 512 + 135] = size
    tar[512 + 148 : 512 + 156] = b" " * 8
    tar[512 + 148 : 512 + 155] = b"%06o\0" % sum(tar[512:1024])
    refused(gzip.compress(bytes(tar), 9, mtime=0), "tar")


def test_a_tar_that_is_all_description_is_refused() -> None:
    head = tarfile.TarInfo("x")
    head.type, head.size = b"x", 2**21
    tar = head.tobuf(tarfile.USTAR_FORMAT) + b"9 a=" + b"b" * (2**21 - 4) + bytes(1024)
    refused(gzip.compress(tar, 9, mtime=0), "too long a description")


def test_devices_and_links_come_back_and_hold_nothing() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo(f"special-{kind!r}")
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    made.round_trip(gzip.compress(out.getvalue(), 9, mtime=0))


def test_an_unknown_kind_of_member_is_refused() -> None:
    info = tarfile.TarInfo("sparse")
    info.type = b"S"
    refused(gzip.compress(info.tobuf() + bytes(1024), 9, mtime=0), "unknown type")


def test_inflating_stops_at_a_cut_and_at_damage() -> None:
    stream = zlib.compress(made.text(1), 6)[2:-4]
    assert bytes(inflate(memoryview(stream), Budget(10**6)).content) == made.text(1)
    for bad in (stream[:-5], b"\xff" + stream, b""):
        with pytest.raises(InvalidArchive):
            inflate(memoryview(bad), Budget(10**6))
    with pytest.raises(InvalidArchive, match="far more"):
        inflate(memoryview(stream), Budget(1000))


@pytest.mark.parametrize("flags", [0x20, 0x08, 0x04])
def test_odd_gzip_headers_are_refused(flags: int) -> None:
    packed = bytearray(made.sdist())
    packed[3] = flags
    refused(bytes(packed[:10]) + b"\xff" * 5000, "gzip|DEFLATE")
