"""What a distribution file says of itself: name and version by its name, metadata within.

Wheels follow PEP 427, sdists PEP 625 (and older spellings). Only the metadata member is
read, bounded, so a hostile archive costs no more than its size on disk.
"""

from __future__ import annotations

import tarfile
import zipfile
import zlib
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import TYPE_CHECKING

from packaging.utils import (
    InvalidSdistFilename,
    InvalidWheelFilename,
    canonicalize_name,
    parse_sdist_filename,
    parse_wheel_filename,
)
from packaging.version import InvalidVersion, Version

from dpip.errors import DpipError

if TYPE_CHECKING:
    from pathlib import Path

MAX_METADATA = 8 * 2**20
MAX_SDIST_MEMBERS = 200_000


class DistributionInvalid(DpipError):
    """The file is no distribution, or its metadata belongs to another project or version."""

    slug = "distribution-invalid"
    side = "theirs"


@dataclass(frozen=True, slots=True)
class Distribution:
    """A checked distribution file. `metadata` is METADATA or PKG-INFO, byte for byte."""

    filename: str
    name: str
    version: str
    is_wheel: bool
    metadata: bytes
    requires_python: str | None


def read_distribution(path: Path, filename: str) -> Distribution:
    """Return what the file at `path`, released as `filename`, says of itself.

    Raises DistributionInvalid where the name is no distribution's, the archive cannot be read, or
    the metadata inside names another project or version.
    """
    name, version, is_wheel = parse_filename(filename)
    try:
        metadata = _wheel_metadata(path, name, version) if is_wheel else _sdist_metadata(path)
    except (OSError, EOFError, ValueError, zipfile.BadZipFile, tarfile.TarError, zlib.error) as why:
        raise DistributionInvalid(f"{filename} cannot be read: {why}") from None
    headers = HeaderParser().parsestr(metadata.decode("utf-8", "replace"))
    inside = canonicalize_name(str(headers.get("Name", "")))
    if inside != name or not _same_version(str(headers.get("Version", "")), version):
        raise DistributionInvalid(
            f"{filename} holds metadata of {inside or 'nothing'} {headers.get('Version', '')}"
        )
    return Distribution(
        filename, name, version, is_wheel, metadata, headers.get("Requires-Python") or None
    )


def parse_filename(filename: str) -> tuple[str, str, bool]:
    """Return (normalized name, version, whether a wheel) or raise DistributionInvalid."""
    if "/" in filename or "\\" in filename or "\0" in filename:
        raise DistributionInvalid(f"{filename!r} is no file name")
    try:
        if filename.endswith(".whl"):
            wheel_name, version, _, _ = parse_wheel_filename(filename)
            return wheel_name, str(version), True
        name, version = parse_sdist_filename(filename)
        return name, str(version), False
    except (InvalidWheelFilename, InvalidSdistFilename, InvalidVersion) as error:
        raise DistributionInvalid(str(error)) from None


def _same_version(text: str, version: str) -> bool:
    try:
        return Version(text) == Version(version)
    except InvalidVersion:
        return False


def _wheel_metadata(path: Path, name: str, version: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            folder, _, member = info.filename.partition("/")
            if member != "METADATA" or not folder.endswith(".dist-info"):
                continue
            stem, _, stem_version = folder.removesuffix(".dist-info").rpartition("-")
            if canonicalize_name(stem) == name and _same_version(stem_version, version):
                return _bounded(archive.open(info).read(MAX_METADATA + 1))
    raise DistributionInvalid("the wheel has no METADATA of its own name and version")


def _sdist_metadata(path: Path) -> bytes:
    if zipfile.is_zipfile(path):
        return _zip_sdist_metadata(path)
    with tarfile.open(path, "r:*") as archive:
        for count, member in enumerate(archive):
            if count > MAX_SDIST_MEMBERS:
                break
            if member.isfile() and _is_pkg_info(member.name):
                stream = archive.extractfile(member)
                return _bounded(stream.read(MAX_METADATA + 1) if stream else b"")
    raise DistributionInvalid("the sdist has no PKG-INFO")


def _zip_sdist_metadata(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if _is_pkg_info(info.filename):
                return _bounded(archive.open(info).read(MAX_METADATA + 1))
    raise DistributionInvalid("the sdist has no PKG-INFO")


def _is_pkg_info(member: str) -> bool:
    return member.count("/") == 1 and member.endswith("/PKG-INFO")


def _bounded(data: bytes) -> bytes:
    if len(data) > MAX_METADATA:
        raise DistributionInvalid(f"the metadata is larger than {MAX_METADATA} bytes")
    return data
