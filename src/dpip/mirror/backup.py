"""A home as one tar file, taken while a node runs, and a home made from it.

Databases are copied by SQLite itself, at one moment each; everything else is immutable or
only appended to. The order makes the whole consistent: databases come first, so what they
speak of was on the disk before, and is copied after. If compaction or the hot tier takes a
file away in between, the copy is begun again. What is still arriving, logs and the process's
own files are left out.
"""

from __future__ import annotations

import os
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from dpip.errors import DpipError
from dpip.mirror.archives import from_os
from dpip.mirror.writer import from_sqlite

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASES = (".sqlite", ".sqlite3")
LEFT_OUT = ("node.", "refresh.", "archives/arriving/")
TRIES = 5


class BackupFailed(DpipError):
    """The home could not be copied at one consistent moment, or the file is no backup."""

    slug = "backup-failed"


class HomeNotEmpty(DpipError):
    """A backup is restored into an empty home only, so that nothing is overwritten."""

    slug = "home-not-empty"
    default_hint = "choose another directory with --home, or move this one away"


@dataclass(frozen=True, slots=True)
class Copied:
    """How much was copied: files, and bytes before any compression."""

    files: int
    size: int


def backup(home: Path, target: Path) -> Copied:
    """Write the home to `target`, whole or not at all; a node may run meanwhile.

    It holds keys, so it is for its owner alone to read. Raises BackupFailed, DiskFull and
    HomeNotWritable.
    """
    if not home.is_dir():
        raise BackupFailed(f"there is no home at {home}")
    if target.resolve().is_relative_to(home.resolve()):
        raise BackupFailed(f"{target} lies in the home itself", hint="choose another place")
    if target.is_dir():
        raise BackupFailed(f"{target} is a directory", hint="name a file")
    for _ in range(TRIES):
        try:
            return _written(home, target)
        except FileNotFoundError:
            continue  # a pack or a whole file was moved while it was copied
        except sqlite3.Error as error:
            raise from_sqlite(error) from None
        except OSError as error:
            raise from_os(error, target) from None
    raise BackupFailed("the home changes too fast to be copied", hint="try again when it is quiet")


def restore(source: Path, home: Path) -> Copied:
    """Make a home from a backup. Raises HomeNotEmpty, BackupFailed, DiskFull."""
    if not source.is_file():
        raise BackupFailed(f"there is no file {source}")
    if home.exists() and any(home.iterdir()):
        raise HomeNotEmpty(f"{home} is not empty")
    try:
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent, prefix=".restoring-") as folder:
            into = Path(folder) / "home"
            with tarfile.open(source) as archive:
                members = [member for member in archive if member.isfile()]
                archive.extractall(into, members, filter="data")
            if home.exists():
                home.rmdir()
            into.rename(home)
    except (tarfile.TarError, EOFError) as error:
        raise BackupFailed(f"{source} is no backup: {error}") from None
    except OSError as error:
        raise from_os(error, home) from None
    return Copied(len(members), sum(member.size for member in members))


def _written(home: Path, target: Path) -> Copied:
    part = target.with_name(f"{target.name}.part")
    files = size = 0
    try:
        with _opened(part) as file, tarfile.open(fileobj=file, mode="w") as archive:
            for path, name in _files(home):
                archive.add(path, name, recursive=False)
                files, size = files + 1, size + path.stat().st_size
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)
    return Copied(files, size)


def _opened(part: Path) -> BinaryIO:
    """Open a file that its owner alone may read. Raises DiskFull and HomeNotWritable."""
    try:
        return os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")
    except OSError as error:
        raise from_os(error, part) from None


def _files(home: Path) -> Iterator[tuple[Path, str]]:
    """Yield what to copy and under which name; databases first, each as a snapshot."""
    names = sorted(path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file())
    with tempfile.TemporaryDirectory(prefix="dpip-backup-") as folder:
        for name in names:
            if name.endswith(DATABASES) and ".damaged" not in name:
                snapshot = Path(folder) / "snapshot"
                _snapshot(home / name, snapshot)
                yield snapshot, name
                snapshot.unlink()
    # Listed only now: whatever the snapshots speak of is there.
    for path in sorted(home.rglob("*")):
        name = path.relative_to(home).as_posix()
        if path.is_file() and not _is_left_out(name):
            yield path, name


def _snapshot(database: Path, into: Path) -> None:
    with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(into)) as copy:
        source.backup(copy)


def _is_left_out(name: str) -> bool:
    database = name.endswith((*DATABASES, "-wal", "-shm", "-journal"))
    return database or ".damaged" in name or name.startswith(LEFT_OUT) or name.endswith(".lock")
