"""The node as a process of the operating system: its lock, its record, how it is found.

`node.json` in the home says who runs: process id, the start time of that process (ids are
used again), and the address. Only the lock decides whether a node runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dpip import __version__
from dpip.errors import AlreadyRunning, DiskFull, HomeNotWritable

if TYPE_CHECKING:
    from collections.abc import Iterator

RECORD = "node.json"
LOCK = "node.lock"


@dataclass(frozen=True, slots=True)
class Running:
    """A node's process. `started` identifies the process among those that had its id."""

    pid: int
    started: str
    url: str
    version: str = __version__


@contextlib.contextmanager
def only_one(home: Path) -> Iterator[None]:
    """Hold the home's lock. Raises AlreadyRunning, HomeNotWritable."""
    from filelock import FileLock, Timeout

    try:
        home.mkdir(parents=True, exist_ok=True)
        lock = FileLock(home / LOCK, timeout=0)
        lock.acquire()
    except Timeout:
        found = read_record(home)
        where = f" at {found.url} (process {found.pid})" if found else ""
        raise AlreadyRunning(f"a node already runs on {home}{where}") from None
    except OSError as error:
        raise HomeNotWritable(f"cannot write {home}: {error.strerror or error}") from None
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def recorded(home: Path, url: str) -> Iterator[None]:
    """Keep `node.json` there for as long as the node answers."""
    path = home / RECORD
    record = Running(os.getpid(), start_time(os.getpid()) or "", url)
    temporary = path.with_suffix(".tmp")
    try:
        temporary.write_text(json.dumps(asdict(record)) + "\n")
        temporary.replace(path)
    except OSError as error:
        kind = DiskFull if error.errno == 28 else HomeNotWritable
        raise kind(f"cannot write {path}: {error.strerror}") from None
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def read_record(home: Path) -> Running | None:
    """Return the node of this home if its process is alive and is the recorded one."""
    try:
        record = Running(**json.loads((home / RECORD).read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return record if start_time(record.pid) == record.started else None


def start_time(pid: int) -> str | None:
    """Return when a process began, in some fixed notation; None if there is none."""
    with contextlib.suppress(OSError, IndexError):
        # Field 22 of /proc/PID/stat, counted after the command name, which may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return None if fields[0] == "Z" else fields[19]
    if Path("/proc/self/stat").exists() or os.name != "posix":
        return None
    done = subprocess.run(
        ["ps", "-o", "lstart=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip() or None
