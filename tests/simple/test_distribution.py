from __future__ import annotations

import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from dpip.simple.distribution import DistributionInvalid, parse_filename, read_distribution

METADATA = (
    b"Metadata-Version: 2.1\nName: Small.Thing\nVersion: 1.0\nRequires-Python: >=3.8\n\ntext\n"
)


def write_wheel(
    path: Path, metadata: bytes = METADATA, folder: str = "small_thing-1.0.dist-info"
) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("small_thing/__init__.py", "")
        archive.writestr("vendored/other-1.dist-info/METADATA", "Name: other\nVersion: 1\n")
        archive.writestr(f"{folder}/METADATA", metadata)
    return path


def write_sdist(path: Path, metadata: bytes = METADATA) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name in ("small_thing-1.0/src/egg-info/PKG-INFO", "small_thing-1.0/PKG-INFO"):
            member = tarfile.TarInfo(name)
            member.size = len(metadata)
            archive.addfile(member, io.BytesIO(metadata))
    return path


def test_a_wheel_tells_its_metadata_byte_for_byte(tmp_path: Path) -> None:
    path = write_wheel(tmp_path / "content")
    found = read_distribution(path, "small_thing-1.0-py3-none-any.whl")
    assert (found.name, found.version, found.is_wheel) == ("small-thing", "1.0", True)
    assert found.metadata == METADATA
    assert found.requires_python == ">=3.8"


def test_an_sdist_tells_its_own_pkg_info(tmp_path: Path) -> None:
    found = read_distribution(write_sdist(tmp_path / "content"), "small_thing-1.0.tar.gz")
    assert (found.name, found.version, found.is_wheel) == ("small-thing", "1.0", False)
    assert found.metadata == METADATA


@pytest.mark.parametrize(
    "metadata",
    [b"Name: other\nVersion: 1.0\n", b"Name: small-thing\nVersion: 2\n", b"", b"\xff\xfe\x00"],
)
def test_metadata_of_something_else_is_refused(metadata: bytes, tmp_path: Path) -> None:
    path = write_wheel(tmp_path / "content", metadata)
    with pytest.raises(DistributionInvalid):
        read_distribution(path, "small_thing-1.0-py3-none-any.whl")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"\x1f\x8b no gzip", b"x" * 1000])
@pytest.mark.parametrize("filename", ["a-1-py3-none-any.whl", "a-1.tar.gz", "a-1.zip"])
def test_garbage_is_refused(content: bytes, filename: str, tmp_path: Path) -> None:
    path = tmp_path / "content"
    path.write_bytes(content)
    with pytest.raises(DistributionInvalid):
        read_distribution(path, filename)


@pytest.mark.parametrize(
    "filename",
    [
        "../a-1-py3-none-any.whl",
        "a\\b-1.tar.gz",
        "a.whl",
        "a-1.exe",
        "a-one.tar.gz",
        "",
        "a\0-1.zip",
    ],
)
def test_names_that_are_no_distributions(filename: str) -> None:
    with pytest.raises(DistributionInvalid):
        parse_filename(filename)
