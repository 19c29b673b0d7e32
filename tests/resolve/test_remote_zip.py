from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import IO

import pytest
from tests.resolve.range_server import MANNERS, serving
from tests.simple.fixture_index import noise

from dpip.resolve.connections import open_transport
from dpip.resolve.errors import BadAnswer, HttpFailure
from dpip.resolve.remote_zip import TAIL, Forgetful, RemoteFile, RemoteZip, Way

NAME = "demo-1.0.dist-info/METADATA"
TEXT = b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n" + b"word " * 800


def wheel(*, before: int = 0, after: int = 0, entries: int = 0) -> bytes:
    """Make a wheel with `before` bytes ahead of METADATA, `after` behind, and empty entries."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(entries):
            archive.writestr(f"demo/{number:06}-with-a-long-name.py", b"")
        archive.writestr("demo/data", noise(before))
        archive.writestr(NAME, TEXT)
        archive.writestr("demo/more", noise(after, b"more"))
    return buffer.getvalue()


@pytest.mark.parametrize("manner", MANNERS)
@pytest.mark.parametrize("shape", ["small", "large"])
def test_reads_a_member_whatever_the_server_does(manner: str, shape: str) -> None:
    content = wheel(before=100) if shape == "small" else wheel(before=400_000, after=50_000)
    with serving(content, manner) as server, RemoteZip(server.url) as archive:
        assert archive.read(NAME) == TEXT


def test_a_usual_wheel_costs_one_request() -> None:
    with serving(wheel(before=900_000)) as server, RemoteZip(server.url) as archive:
        assert archive.read(NAME) == TEXT
        assert server.asked == [f"bytes=-{TAIL}"]


def test_metadata_at_the_front_costs_one_exact_range_more() -> None:
    content = wheel(before=10, after=900_000)
    with serving(content) as server, RemoteZip(server.url) as archive:
        assert archive.read(NAME) == TEXT
        assert len(server.asked) == 2
        assert server.sent < TAIL + 3000


def test_a_huge_directory_is_asked_for_exactly_once() -> None:
    content = wheel(before=300_000, entries=5000)
    with serving(content) as server, RemoteZip(server.url) as archive:
        assert archive.read(NAME) == TEXT
        assert len(server.asked) == 2, "the rest of the directory, METADATA with it"
        assert len(archive.namelist()) == 5003


def test_zip64_and_data_descriptors() -> None:
    class NoSeek(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: object) -> int:
            raise io.UnsupportedOperation

    buffer = NoSeek()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("demo/data", "w", force_zip64=True) as member:
            member.write(noise(100_000))
        with archive.open(NAME, "w", force_zip64=True) as member:
            member.write(TEXT)
        with archive.open("demo/more", "w", force_zip64=True) as member:
            member.write(noise(100_000))
        for number in range(66_000):
            archive.writestr(str(number), b"")
    with serving(buffer.getvalue()) as server, RemoteZip(server.url) as remote:
        assert remote.read(NAME) == TEXT
        assert len(remote.namelist()) == 66_003


def test_the_file_alone_is_good_enough_for_zipfile() -> None:
    with serving(wheel(before=200_000, after=200_000)) as server:
        file = RemoteFile(server.url)
        with zipfile.ZipFile(file) as archive:
            assert archive.testzip() is None
        file.close()


def test_what_a_host_understands_is_remembered() -> None:
    memory = Forgetful()
    with serving(wheel(before=500_000), "no-suffix") as server:
        RemoteZip(server.url, memory=memory, size=len(server.content)).close()
        assert server.asked[0] == f"bytes=-{TAIL}"
        before = len(server.asked)
        RemoteZip(server.url, memory=memory, size=len(server.content)).close()
        assert len(server.asked) == before + 1, "with the size known, one absolute range is all"
        host = server.url.split("/")[2]
        assert memory.way(host) is Way.ABSOLUTE


def test_a_host_without_ranges_sends_each_file_once() -> None:
    memory = Forgetful()
    with serving(wheel(before=900_000), "no-range") as server:
        for _ in range(2):
            with RemoteZip(server.url, memory=memory) as archive:
                assert archive.read(NAME) == TEXT
        assert server.asked == [f"bytes=-{TAIL}", None]


def test_a_whole_body_is_spooled_where_the_caller_says(tmp_path: Path) -> None:
    def spool() -> IO[bytes]:
        return (tmp_path / "wheel").open("w+b")

    content = wheel(before=100_000)
    with serving(content, "no-range") as server, RemoteZip(server.url, spool=spool) as archive:
        assert archive.read(NAME) == TEXT
    assert (tmp_path / "wheel").read_bytes() == content


def test_a_file_replaced_between_two_reads_is_noticed() -> None:
    with serving(wheel(before=10, after=400_000)) as server:
        file = RemoteFile(server.url)
        archive = zipfile.ZipFile(file)
        server.manner = "no-range"
        file._validator = '"another"'
        with pytest.raises(BadAnswer, match="changed"):
            archive.read(NAME)
        archive.close()
        file.close()


def test_a_missing_file_is_no_reason_to_distrust_the_host() -> None:
    memory = Forgetful()
    with serving(b"") as server:
        transport = open_transport(attempts=1)
        with pytest.raises(zipfile.BadZipFile):
            RemoteZip(server.url, transport, memory=memory)
        transport.close()
        assert memory.way(server.url.split("/")[2]) is Way.SUFFIX


def test_forbidden_stays_forbidden() -> None:
    from tests.simple.fixture_index import FixtureIndex

    with FixtureIndex() as index:
        with pytest.raises(HttpFailure) as caught:
            RemoteZip(f"{index.origin}/packages/none-1-py3-none-any.whl")
        assert caught.value.status == 404
