"""Whole archives on disk, one folder per SHA-256, visible only once they are complete.

Layout under the root: `whole/ab/<sha256>/<filename>`; the file name is kept because it is
what makes a lost catalog rebuildable. What is still arriving lives in `arriving/<key>.part`;
a process that was killed leaves such a part behind, and the next fetch of the same file goes
on from it, since only the final hash decides.
"""

from __future__ import annotations

import errno
import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from dpip.errors import DiskFull, DpipError, HomeNotWritable
from dpip.simple.repository import WholeFile

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SHA256 = re.compile(r"[0-9a-f]{64}")
_FILENAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,254}")


def is_safe_filename(name: str) -> bool:
    """Say whether `name` may name a distribution file (no separators, no leading dot)."""
    return _FILENAME.fullmatch(name) is not None


def is_sha256(text: str) -> bool:
    """Say whether `text` is a lower-case hexadecimal SHA-256."""
    return _SHA256.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class StoredArchive:
    """One archive found on disk."""

    sha256: str
    filename: str
    size: int


class Archives:
    """The archives below `root`. Methods may be called from any thread."""

    def __init__(self, root: Path) -> None:
        self.kept = 0
        """Archives that were kept since this object was made."""
        self._whole = root / "whole"
        self._arriving = root / "arriving"
        try:
            self._whole.mkdir(parents=True, exist_ok=True)
            self._arriving.mkdir(exist_ok=True)
        except OSError as error:
            raise from_os(error, root) from None

    def find(self, sha256: str, filename: str) -> WholeFile | None:
        """Return an archive if it is complete on disk: one `stat` where the name is known."""
        if not is_sha256(sha256) or not is_safe_filename(filename):
            return None
        path = self._folder(sha256) / filename
        try:
            return WholeFile(path, path.stat().st_size, sha256)
        except OSError:
            return self._under_another_name(sha256)

    @property
    def scratch(self) -> Path:
        """A directory on the same file system, for what may become an archive."""
        return self._arriving

    def part(self, key: str) -> Path:
        """Return where the bytes of an arriving file are collected."""
        return self._arriving / f"{key}.part"

    def keep(self, part: Path, sha256: str, filename: str) -> WholeFile:
        """Make a complete, checked part visible: fsync, then one atomic rename.

        Raises DiskFull or HomeNotWritable; the part is then left where it is.
        """
        folder = self._folder(sha256)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with part.open("rb+") as file:
                os.fsync(file.fileno())
            part.replace(folder / filename)
            for directory in (folder, folder.parent):
                _sync_directory(directory)
        except OSError as error:
            raise from_os(error, folder) from None
        self.kept += 1
        return WholeFile(folder / filename, (folder / filename).stat().st_size, sha256)

    def remove(self, sha256: str) -> None:
        """Remove an archive; no error if there is none."""
        folder = self._folder(sha256)
        for file in folder.glob("*"):
            file.unlink(missing_ok=True)
        if folder.is_dir():
            folder.rmdir()

    def listing(self) -> Iterator[StoredArchive]:
        """Stream what is on disk, in order of the hash; checks names, not contents."""
        for folder in (f for prefix in sorted(self._whole.iterdir()) for f in _sorted(prefix)):
            for file in _sorted(folder):
                if is_sha256(folder.name) and is_safe_filename(file.name):
                    yield StoredArchive(folder.name, file.name, file.stat().st_size)
                    break

    def _folder(self, sha256: str) -> Path:
        return self._whole / sha256[:2] / sha256

    def _under_another_name(self, sha256: str) -> WholeFile | None:
        for path in _sorted(self._folder(sha256)):
            return WholeFile(path, path.stat().st_size, sha256)
        return None


def open_part(path: Path) -> BinaryIO:
    """Open a part for appending and reading; raises DiskFull or HomeNotWritable."""
    try:
        return path.open("ab+", buffering=0)
    except OSError as error:
        raise from_os(error, path) from None


def from_os(error: OSError, where: Path) -> DpipError:
    """Map an error of the file system below the home to one of ours."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return DiskFull(f"no room left in {where}")
    return HomeNotWritable(f"cannot write {where}: {error.strerror or error}")


def _sorted(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _sync_directory(path: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
