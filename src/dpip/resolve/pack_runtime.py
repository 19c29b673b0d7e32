"""A first start of a packed archive: fetch what the lock names, and install it, once.

Copied into each archive like `pack_start.py`, which calls it: standard library only, Python 3.9.

A first start unpacks the wheels into a directory named by the lock's hash and this Python; it
is made under another name and renamed when it is whole, so that a start which is killed, or
two at once, leave nothing half done. A wheel is taken from the archive itself, else from the
files that dpip keeps, else from a node on this machine, else from the URL in the lock;
wherever it is from, its hash decides.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

from . import wheel_install

AT_ONCE = 8
ATTEMPTS = 3
TIMEOUT = 60
DAY = 86400.0
NODE = "http://127.0.0.1:4747"
LOCK = "lock.json"
WHEELS = "wheels/"


class Here(NamedTuple):
    """What `pack_start.py` knows of the machine: paths, and the machine's name."""

    place: str
    """The tree to make."""
    kept: str
    """Files that dpip keeps, by hash."""
    machine: str
    starts: str
    """The name of a file in the tree: it says what starts."""


class CannotStart(Exception):
    """Said to the user as it is."""


def prepare(archive: str, here: Here) -> int:
    """Install the archive's wheels; returns 0, or an exit code after saying why not."""
    try:
        with zipfile.ZipFile(archive) as packed:
            lock = json.loads(packed.read(LOCK))
        _install(archive, lock, _files(lock, here), here)
    except CannotStart as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _files(lock: dict[str, Any], here: Here) -> list[tuple[str, dict[str, Any]]]:
    """Return hash and entry of every wheel for this Python."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    files = lock["pythons"].get(python)
    if files is None:
        known = ", ".join(lock["pythons"])
        raise CannotStart(f"this archive runs on Python {known}; this is Python {python}")
    if any(lock["files"][digest]["native"] for digest in files):
        _check_platform(lock, here)
    return [(digest, lock["files"][digest]) for digest in files]


def _check_platform(lock: dict[str, Any], here: Here) -> None:
    platform = [sys.platform, here.machine]
    if lock["platform"] != platform:
        made, is_here = " ".join(lock["platform"]), " ".join(platform)
        raise CannotStart(f"this archive holds wheels for {made}; this machine is {is_here}")


def _install(
    archive: str, lock: dict[str, Any], files: list[tuple[str, dict[str, Any]]], here: Here
) -> None:
    place = Path(here.place)
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=place.name, dir=str(place.parent)))
    except OSError as error:
        raise CannotStart(f"cannot write {place.parent}: {error.strerror}") from None
    try:
        wheels = _fetch_all(archive, files, room, Path(here.kept))
        tree = room / "tree"
        (tree / wheel_install.SITE).mkdir(parents=True)
        for wheel in wheels:
            wheel_install.install(str(wheel), str(tree))
        (tree / here.starts).write_text(_what_starts(lock, tree), "utf-8")
        try:
            tree.rename(place)
        except OSError:
            if not place.is_dir():  # else another start was faster
                raise
    except (OSError, wheel_install.BadWheel) as error:
        raise CannotStart(f"cannot install: {error}") from None
    finally:
        shutil.rmtree(str(room), ignore_errors=True)
        _sweep(place)


def _what_starts(lock: dict[str, Any], tree: Path) -> str:
    if not lock["script"]:
        return f"{lock['module']}:{lock['function']}"
    found = wheel_install.entry_point(str(tree / wheel_install.SITE), lock["script"])
    if found is None:
        raise CannotStart(f"no console script {lock['script']!r} in this archive")
    return found


def _sweep(place: Path) -> None:
    """Remove what first starts that were killed left behind; one still at work is younger."""
    for left in place.parent.glob(place.name + "?*"):
        try:
            if left.stat().st_mtime < time.time() - DAY:
                shutil.rmtree(str(left), ignore_errors=True)
        except OSError:
            continue  # another start was faster


def _fetch_all(
    archive: str, files: list[tuple[str, dict[str, Any]]], room: Path, kept: Path
) -> list[Path]:
    """Fetch in parallel; raises the first file's error, in the order of the lock."""
    targets = [room / digest / entry["filename"] for digest, entry in files]
    errors: dict[int, str] = {}
    waiting = list(enumerate(files))
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                number, (digest, entry) = waiting.pop(0)
            try:
                targets[number].parent.mkdir(parents=True)
                _fetch(archive, digest, entry, targets[number], kept)
            except (CannotStart, OSError) as error:
                errors[number] = str(error)

    threads = [threading.Thread(target=work) for _ in range(min(AT_ONCE, len(files)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise CannotStart(errors[min(errors)])
    return targets


def _fetch(archive: str, digest: str, entry: dict[str, Any], target: Path, kept: Path) -> None:
    filename = entry["filename"]
    if entry.get("included"):
        with zipfile.ZipFile(archive) as packed, packed.open(WHEELS + filename) as source:
            _take(source, target, digest)
        return
    held = kept / digest / filename
    if held.is_file():
        with held.open("rb") as source:
            if _take(source, target, digest):
                return
    node = os.environ.get("DPIP_NODE") or NODE
    said = ""
    for url, attempts in ((f"{node}/files/{digest}/{filename}", 1), (entry["url"], ATTEMPTS)):
        for attempt in range(attempts):
            if attempt:
                time.sleep(0.5 * 2**attempt)
            try:
                with urllib.request.urlopen(url, timeout=TIMEOUT) as source:
                    if _take(source, target, digest):
                        return
                said = f"{filename}: the bytes at {url} do not have the hash in the lock"
                break
            except (OSError, ValueError) as error:
                said = f"cannot fetch {filename} from {url}: {error}"
                if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                    break
    raise CannotStart(said)


def _take(source: Any, target: Path, digest: str) -> bool:
    """Copy and hash at once; return whether the hash is right."""
    found = hashlib.sha256()
    with target.open("wb") as out:
        while True:
            chunk = source.read(1 << 20)
            if not chunk:
                break
            found.update(chunk)
            out.write(chunk)
    return found.hexdigest() == digest
