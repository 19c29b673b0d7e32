"""Unpack wheels into a directory: what `dpip pack` archives and isolated builds run on.

This file is also copied into packed archives, where it runs alone on whatever Python is
there: standard library only, Python 3.9. The binary distribution format specification says
what goes where; everything lands in one tree:

    site-packages/    purelib, platlib and .dist-info
    bin/              scripts, and console entry points
    the rest          `data` and `headers`, by their own paths
"""

from __future__ import annotations

import configparser
import os
import stat
import sys
import zipfile
from pathlib import Path

SITE = "site-packages"


class BadWheel(Exception):
    """The archive is no wheel, or wants to write outside its place."""


def install(wheel: str, target: str, python: str | None = None) -> None:
    """Unpack one wheel below `target`; `python` goes into the first line of scripts."""
    python = python or sys.executable
    try:
        with zipfile.ZipFile(wheel) as archive:
            for info in archive.infolist():
                if not info.is_dir():
                    _place(archive, info, target, python)
            for name, text in _entry_point_files(archive):
                _write_scripts(text, target, python, name)
    except (zipfile.BadZipFile, KeyError, UnicodeDecodeError, configparser.Error) as error:
        raise BadWheel(f"{Path(wheel).name}: {error}") from None


def entry_point(site: str, name: str) -> str | None:
    """Return `module:function` of a console script in an unpacked tree, or None."""
    for path in sorted(Path(site).glob("*.dist-info/entry_points.txt")):
        found = _console_scripts(path.read_text("utf-8"))
        if name in found:
            return found[name]
    return None


def _place(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: str, python: str) -> None:
    path, is_script = _destination(info.filename)
    parts = path.split("/")
    if path.startswith("/") or ".." in parts or "\\" in path or ":" in parts[0]:
        raise BadWheel(f"{info.filename!r} points outside the wheel")
    destination = Path(target, *parts)
    destination.parent.mkdir(parents=True, exist_ok=True)
    with archive.open(info) as source, destination.open("wb") as out:
        if is_script:
            first = source.readline()
            if first.startswith(b"#!python"):
                first = b"#!" + os.fsencode(python) + b"\n"
            out.write(first)
        while True:
            chunk = source.read(1 << 20)
            if not chunk:
                break
            out.write(chunk)
    if is_script or (info.external_attr >> 16) & stat.S_IXUSR:
        destination.chmod(0o755)


def _destination(name: str) -> tuple[str, bool]:
    """Return where an entry goes, and whether it is a script."""
    top, _, rest = name.partition("/")
    if not top.endswith(".data"):
        return f"{SITE}/{name}", False
    kind, _, path = rest.partition("/")
    if kind in {"purelib", "platlib"}:
        return f"{SITE}/{path}", False
    if kind == "scripts":
        return f"bin/{path}", True
    return (f"include/{path}" if kind == "headers" else path), False


def _entry_point_files(archive: zipfile.ZipFile) -> list[tuple[str, str]]:
    return [
        (name, archive.read(name).decode("utf-8"))
        for name in archive.namelist()
        if name.endswith(".dist-info/entry_points.txt") and name.count("/") == 1
    ]


def _console_scripts(text: str) -> dict[str, str]:
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(text)
    found = dict(parser["console_scripts"]) if parser.has_section("console_scripts") else {}
    return {name: value.partition("[")[0].strip() for name, value in found.items()}


def _write_scripts(text: str, target: str, python: str, where: str) -> None:
    for name, value in _console_scripts(text).items():
        module, _, function = value.partition(":")
        if not module or not function or "/" in name or "\\" in name:
            raise BadWheel(f"{where}: {name} = {value!r} is no entry point")
        path = Path(target, "bin", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(
            f"#!{python}\nimport sys\nfrom {module} import {function.partition('.')[0]}\n"
            f"sys.exit({function}())\n",
            "utf-8",
        )
        path.chmod(0o755)
