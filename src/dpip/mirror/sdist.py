"""The PKG-INFO of a source distribution on disk.

It is the file of that name directly in the archive's one folder; setuptools writes another deeper
down, which does not count. Its fields about dependencies are often not the whole truth, the rest
is. Reading stops after `LARGEST` bytes, so that an archive that unpacks to very much costs little.
"""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import tarfile
import zipfile
import zlib
from typing import TYPE_CHECKING, Protocol

from dpip.mirror.wheel import LARGEST_METADATA
from dpip.simple.repository import UpstreamInvalid

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LARGEST = 512 * 2**20
"""Bytes of an unpacked archive that are looked through."""
NAME = "PKG-INFO"


class _Reading(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...

    def close(self) -> None: ...


_OPENERS: dict[str, Callable[[Path], _Reading]] = {
    ".gz": gzip.GzipFile,
    ".tgz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
}
_ERRORS = (tarfile.TarError, zipfile.BadZipFile, OSError, EOFError, lzma.LZMAError, zlib.error,
           NotImplementedError, RuntimeError, ValueError)  # fmt: skip


class NotAnSdist(UpstreamInvalid):
    """The file is not an archive with one PKG-INFO in its folder."""

    slug = "not-an-sdist"


def pkg_info(path: Path) -> bytes:
    """Return the PKG-INFO bytes of a source distribution. Raises NotAnSdist. Blocks."""
    try:
        found = _in_zip(path) if path.suffix == ".zip" else _in_tar(path)
    except _ERRORS as error:
        raise NotAnSdist(f"{path.name} cannot be read: {error}") from None
    if found is None:
        raise NotAnSdist(f"{path.name} has no {NAME}")
    return found


def _in_zip(path: Path) -> bytes | None:
    with zipfile.ZipFile(path) as archive:
        for info in archive.infolist():
            if _counts(info.filename, info.file_size):
                with archive.open(info) as member:
                    return member.read(LARGEST_METADATA)
    return None


def _in_tar(path: Path) -> bytes | None:
    opener = _OPENERS.get(path.suffix)
    if opener is None:
        return None
    with (
        contextlib.closing(opener(path)) as plain,
        tarfile.open(fileobj=_Limited(plain), mode="r|") as archive,
    ):
        for info in archive:
            if info.isfile() and _counts(info.name, info.size):
                member = archive.extractfile(info)
                return member.read(LARGEST_METADATA) if member else None
    return None


def _counts(name: str, size: int) -> bool:
    parts = name.removeprefix("./").split("/")
    return len(parts) == 2 and parts[1] == NAME and size <= LARGEST_METADATA


class _Limited(io.RawIOBase):
    """Bytes of a stream, up to a limit."""

    def __init__(self, inner: _Reading) -> None:
        self._inner = inner
        self._left = LARGEST

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        data = self._inner.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"more than {LARGEST} bytes")
        return data
