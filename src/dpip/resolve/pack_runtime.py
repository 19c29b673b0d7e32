"""What runs inside a packed archive: fetch what the lock names, once, and start.

This file and `wheel_install.py` are copied into each archive and run there alone, on the
Python of the machine that it is started on: standard library only, Python 3.9.

The first start unpacks the wheels into a directory named by the lock's hash and this Python;
it is made under another name and renamed when it is whole, so that a start which is killed,
or two at once, leave nothing half done. Later starts find it and go on at once. A wheel is
taken from the archive itself, else from the files that dpip keeps, else from a node on this
machine, else from the URL in the lock; wherever it is from, its hash decides.
"""

from __future__ import annotations

import hashlib
import json
import os
import runpy
import shutil
import site
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

from . import wheel_install

AT_ONCE = 8
ATTEMPTS = 3
TIMEOUT = 60
DAY = 86400.0
NODE = "http://127.0.0.1:4747"
LOCK = "lock.json"
WHEELS = "wheels/"


class CannotStart(Exception):
    """Said to the user as it is."""


def main(archive: str) -> int:
    """Start the packed program; returns an exit code only where it cannot."""
    try:
        with zipfile.ZipFile(archive) as packed:
            text = packed.read(LOCK)
        lock = json.loads(text)
        place = _installed(archive, lock, text)
    except CannotStart as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    except KeyboardInterrupt:
        return 130
    return _start(lock, place, archive)


def _installed(archive: str, lock: dict[str, Any], text: bytes) -> Path:
    """Return the directory of the unpacked wheels, making it if this is the first start."""
    python = f"{sys.version_info[0]}.{sys.version_info[1]}"
    files = lock["pythons"].get(python)
    if files is None:
        known = ", ".join(lock["pythons"])
        raise CannotStart(f"this archive runs on Python {known}; this is Python {python}")
    if any(lock["files"][digest]["native"] for digest in files):
        _check_platform(lock)
    tag = f"{sys.implementation.cache_tag}-{sys.platform}-{_machine()}"
    key = hashlib.sha256(text + tag.encode()).hexdigest()[:32]
    place = _cache() / "packs" / key
    if not place.is_dir():
        _install(archive, [(digest, lock["files"][digest]) for digest in files], place)
    return place


def _check_platform(lock: dict[str, Any]) -> None:
    here = [sys.platform, _machine()]
    if lock["platform"] != here:
        made, is_here = " ".join(lock["platform"]), " ".join(here)
        raise CannotStart(f"this archive holds wheels for {made}; this machine is {is_here}")


def _machine() -> str:
    import platform

    return platform.machine()


def _cache() -> Path:
    named = os.environ.get("DPIP_CACHE_DIR")
    if named:
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "dpip"
    if os.name == "nt":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home(), "dpip", "Cache")
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dpip"


def _install(archive: str, files: list[tuple[str, dict[str, Any]]], place: Path) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        room = Path(tempfile.mkdtemp(prefix=place.name, dir=str(place.parent)))
    except OSError as error:
        raise CannotStart(f"cannot write {place.parent}: {error.strerror}") from None
    try:
        wheels = _fetch_all(archive, files, room)
        tree = room / "tree"
        (tree / wheel_install.SITE).mkdir(parents=True)
        for wheel in wheels:
            wheel_install.install(str(wheel), str(tree))
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


def _sweep(place: Path) -> None:
    """Remove what first starts that were killed left behind; one still at work is younger."""
    for left in place.parent.glob(place.name + "?*"):
        try:
            if left.stat().st_mtime < time.time() - DAY:
                shutil.rmtree(str(left), ignore_errors=True)
        except OSError:
            continue  # another start was faster


def _fetch_all(archive: str, files: list[tuple[str, dict[str, Any]]], room: Path) -> list[Path]:
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
                _fetch(archive, digest, entry, targets[number])
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


def _fetch(archive: str, digest: str, entry: dict[str, Any], target: Path) -> None:
    filename = entry["filename"]
    if entry.get("included"):
        with zipfile.ZipFile(archive) as packed, packed.open(WHEELS + filename) as source:
            _take(source, target, digest)
        return
    kept = _cache() / "files" / digest / filename
    if kept.is_file():
        with kept.open("rb") as source:
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


def _start(lock: dict[str, Any], place: Path, archive: str) -> int:
    packages = str(place / wheel_install.SITE)
    before = list(sys.path)
    site.addsitedir(packages)
    added = [path for path in sys.path if path not in before]
    # The archive itself goes: its modules are ours, not the program's.
    sys.path[:] = added + [path for path in before if path != archive]
    os.environ["PATH"] = os.pathsep.join([str(place / "bin"), os.environ.get("PATH", "")])
    module, function = lock["module"], lock["function"]
    if lock["script"]:
        found = wheel_install.entry_point(packages, lock["script"])
        if found is None:
            sys.stderr.write(f"error: no console script {lock['script']!r} in this archive\n")
            return 1
        module, _, function = found.partition(":")
    if not function:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        return 0
    import importlib

    called: Any = importlib.import_module(module)
    for part in function.split("."):
        called = getattr(called, part)
    sys.exit(called())
