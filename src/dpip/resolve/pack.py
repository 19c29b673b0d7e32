"""Dehydrated executables: a small zip with a lock inside, whole after its first start.

The lock holds, for each Python version that the requirements can be met on, the wheels to
install, each with one URL and its hash. What has no wheel is built here and now and put
inside; with `include` everything is. The same answer packs to the same bytes.
"""

from __future__ import annotations

import inspect
import io
import json
import platform
import sys
import zipfile
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from dpip.resolve import pack_runtime, pack_start, wheel_install
from dpip.resolve.downloads import hash_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from dpip.resolve.engine import Engine
    from dpip.resolve.resolution import Pin, Solution

EPOCH = (1980, 1, 1, 0, 0, 0)
PYTHONS = ("3.9", "3.10", "3.11", "3.12", "3.13", "3.14")
"""Versions that an archive is made for, unless one is named."""
PACKAGE = "_dpip_pack"
SHEBANG = b"#!/usr/bin/env python3\n"
_MAIN = f"import sys\nfrom {PACKAGE} import pack_start\nsys.exit(pack_start.main(sys.argv[0]))\n"


@dataclass(frozen=True, slots=True)
class Start:
    """What runs: a console script, a module, or a function of a module."""

    script: str = ""
    module: str = ""
    function: str = ""


def pack(
    engine: Engine, solutions: Mapping[str, Solution], start: Start, *, include: bool = False
) -> bytes:
    """Return the archive's bytes; `solutions` are by Python version, such as "3.12"."""
    files: dict[str, dict[str, Any]] = {}
    inside: dict[str, Path] = {}
    pythons: dict[str, list[str]] = {}
    for python, solution in solutions.items():
        for pin in solution.pins:
            digest, entry, wheel = _entry(engine, pin, include=include)
            pythons.setdefault(python, []).append(digest)
            files[digest] = entry
            if wheel is not None:
                inside[entry["filename"]] = wheel
    lock = {
        "version": 1,
        "script": start.script,
        "module": start.module,
        "function": start.function,
        "platform": [sys.platform, platform.machine()],
        "pythons": pythons,
        "files": files,
    }
    return _archive(json.dumps(lock, indent=1, sort_keys=True), inside)


def _entry(engine: Engine, pin: Pin, *, include: bool) -> tuple[str, dict[str, Any], Path | None]:
    """Return the hash, the lock's entry and, if it goes inside, the path of a pin's wheel."""
    file = pin.file
    if file.kind == "wheel" and file.sha256 is not None and not include:
        return file.sha256, _described(file.filename, file.url), None
    wheel = engine.wheel(pin)
    entry = _described(wheel.name, file.url) | {"included": True}
    return hash_of(wheel), entry, wheel


def _described(filename: str, url: str) -> dict[str, Any]:
    return {"filename": filename, "url": url, "native": not filename.endswith("-any.whl")}


def _archive(lock: str, inside: Mapping[str, Path]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(archive, "__main__.py", _MAIN.encode())
        _add(archive, f"{PACKAGE}/__init__.py", b"")
        for module in (pack_start, pack_runtime, wheel_install):
            name = f"{module.__name__.rpartition('.')[2]}.py"
            _add(archive, f"{PACKAGE}/{name}", inspect.getsource(module).encode())
        _add(archive, pack_runtime.LOCK, lock.encode())
        _add(archive, pack_start.KEY, sha256(lock.encode()).hexdigest()[:32].encode())
        for name in sorted(inside):
            _add(archive, pack_runtime.WHEELS + name, inside[name].read_bytes(), zipfile.ZIP_STORED)
    return SHEBANG + buffer.getvalue()


def _add(
    archive: zipfile.ZipFile, name: str, data: bytes, method: int = zipfile.ZIP_DEFLATED
) -> None:
    archive.writestr(zipfile.ZipInfo(name, EPOCH), data, method)
