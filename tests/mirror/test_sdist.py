from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.simple.fixture_index import sdist

from dpip.mirror import sdist as reading
from dpip.mirror.sdist import NotAnSdist, pkg_info

INFO = b"Metadata-Version: 2.1\nName: a\nLicense: MIT\n"


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return buffer.getvalue()


MEMBERS = {"a-1.0/a.egg-info/PKG-INFO": b"Name: wrong\n", "a-1.0/PKG-INFO": INFO, "a-1.0/z": b"z"}


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("suffix", "data"),
    [
        (".tar.gz", gzip.compress(tar(MEMBERS), mtime=0)),
        (".tgz", gzip.compress(tar(MEMBERS), mtime=0)),
        (".tar.bz2", bz2.compress(tar(MEMBERS))),
        (".tar.xz", lzma.compress(tar(MEMBERS))),
        (".zip", zipped(MEMBERS)),
        (".tar.gz", gzip.compress(tar({"./a-1.0/PKG-INFO": INFO}), mtime=0)),
    ],
)
def test_every_form_is_read(tmp_path: Path, suffix: str, data: bytes) -> None:
    path = tmp_path / f"a-1.0{suffix}"
    path.write_bytes(data)
    assert pkg_info(path) == INFO


def test_what_the_other_tests_make_is_read(tmp_path: Path) -> None:
    made = sdist("thing", "2.0", requires=["x"])
    path = tmp_path / made.filename
    path.write_bytes(made.content)
    assert b"Name: thing" in pkg_info(path)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a-1.0.tar.gz", b""),
        ("a-1.0.tar.gz", b"not an archive"),
        ("a-1.0.tar.gz", gzip.compress(b"not a tar" * 100, mtime=0)),
        ("a-1.0.tar.gz", gzip.compress(tar(MEMBERS), mtime=0)[:-30]),
        ("a-1.0.tar.gz", gzip.compress(tar({"PKG-INFO": INFO, "a/b/PKG-INFO": INFO}), mtime=0)),
        ("a-1.0.tar.Z", b"\x1f\x9d"),
        ("a-1.0.zip", zipped({"a-1.0/other": b""})),
        ("a-1.0.zip", zipped(MEMBERS)[:-10]),
    ],
    ids=range(8),
)
def test_what_cannot_be_read_says_so(tmp_path: Path, name: str, data: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(NotAnSdist):
        pkg_info(path)


def test_a_bomb_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LARGEST", 2**20)
    path = tmp_path / "a-1.0.tar.gz"
    path.write_bytes(gzip.compress(tar({"a-1.0/zeros": bytes(2**22), "a-1.0/PKG-INFO": INFO})))
    with pytest.raises(NotAnSdist, match="more than"):
        pkg_info(path)


@given(st.binary(max_size=300), st.sampled_from([".tar.gz", ".tar.bz2", ".tar.xz", ".zip"]))
def test_any_bytes_are_answered(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str
) -> None:
    path = tmp_path_factory.mktemp("any") / f"a-1.0{suffix}"
    path.write_bytes(data)
    with pytest.raises(NotAnSdist):
        pkg_info(path)
