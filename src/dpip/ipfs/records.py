"""Where IPNS records are kept: for each name, the best one that anybody brought."""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from . import ipns
from .errors import InvalidRecord, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .cid import CID


class RecordStore(Protocol):
    """Keeps one checked record a name.

    - `put` verifies, and returns the record kept afterwards: the new one, or the one that was
      there if `ipns.best` prefers it. Raises InvalidRecord.
    - `get` returns the record as it was put, expired or not, or raises NotFound.
    """

    def get(self, name: CID) -> ipns.Record:
        """Return the record of a name."""
        ...

    def put(self, name: CID, raw: bytes, now: int) -> ipns.Record:
        """Keep a record if it is better than the one there."""
        ...

    def names(self) -> Iterator[CID]:
        """Iterate over the names that have a record."""
        ...


class MemoryRecords:
    """Records in a dictionary."""

    def __init__(self) -> None:
        self._records: dict[bytes, tuple[CID, ipns.Record]] = {}
        self._lock = threading.Lock()

    def get(self, name: CID) -> ipns.Record:
        """Return the record of a name, or raise NotFound."""
        try:
            return self._records[name.multihash][1]
        except KeyError:
            raise NotFound(f"no IPNS record for {name.encode('k')}") from None

    def put(self, name: CID, raw: bytes, now: int) -> ipns.Record:
        """Keep a record if it is better than the one there. Raises InvalidRecord."""
        record = ipns.verify(raw, name, now)
        with self._lock:
            there = self._records.get(name.multihash)
            kept = ipns.best([record] if there is None else [there[1], record])
            self._records[name.multihash] = name, kept or record
            return kept or record

    def names(self) -> Iterator[CID]:
        """Iterate over the names that have a record."""
        return iter([name for name, _ in list(self._records.values())])


class DiskRecords:
    """One file a name, replaced whole; several processes may share the directory."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def get(self, name: CID) -> ipns.Record:
        """Return the record of a name, or raise NotFound."""
        try:
            return ipns.verify(self._path(name).read_bytes(), name)
        except (FileNotFoundError, InvalidRecord):
            raise NotFound(f"no IPNS record for {name.encode('k')}") from None

    def put(self, name: CID, raw: bytes, now: int) -> ipns.Record:
        """Keep a record if it is better than the one there. Raises InvalidRecord."""
        from filelock import FileLock

        record = ipns.verify(raw, name, now)
        self._directory.mkdir(parents=True, exist_ok=True)
        with FileLock(self._directory / ".lock"):
            with contextlib.suppress(NotFound):
                there = self.get(name)
                if ipns.best([there, record]) is there:
                    return there
            write_whole(self._path(name), raw)
        return record

    def names(self) -> Iterator[CID]:
        """Iterate over the names that have a record."""
        from .keys import parse_name

        if self._directory.is_dir():
            for path in self._directory.glob("k*.ipns-record"):
                yield parse_name(path.name.removesuffix(".ipns-record"))

    def _path(self, name: CID) -> Path:
        return self._directory / f"{name.encode('k')}.ipns-record"


def _name_once(scratch: Path, path: Path) -> None:
    """Give a file its name, unless the name is taken. Raises FileExistsError."""
    try:
        path.hardlink_to(scratch)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links: there two that write in one instant may both succeed.
        if path.exists():
            raise FileExistsError(str(path)) from None
        scratch.replace(path)
    else:
        scratch.unlink()


def write_whole(path: Path, data: bytes, mode: int = 0o644, *, only_new: bool = False) -> None:
    """Write a file so that it is there whole or not at all, whenever the machine stops.

    With `only_new` it raises FileExistsError where there is one: of several that write at once
    one succeeds.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, scratch = tempfile.mkstemp(dir=path.parent, prefix=".new-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        Path(scratch).chmod(mode)
        if only_new:
            _name_once(Path(scratch), path)
        else:
            Path(scratch).replace(path)
    except BaseException:
        Path(scratch).unlink(missing_ok=True)
        raise
