"""Names of projects, extras and archives, read the way the packaging standards say.

Kept apart from `packaging.utils` for speed: an index page has thousands of file names, and
most of them are only ever looked at for their version.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from packaging.version import InvalidVersion, Version

from dpip.simple import names

_SDIST_SUFFIXES = (".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz")


normalize = lru_cache(maxsize=16384)(names.normalize)
"""Return the normalized form of a project's or an extra's name (PEP 503, PEP 685)."""


class WheelName(NamedTuple):
    """The parts of a wheel's file name (PEP 427); tag sets are split at the dots."""

    name: str
    version: str
    build: str
    pythons: tuple[str, ...]
    abis: tuple[str, ...]
    platforms: tuple[str, ...]


def wheel_name(filename: str) -> WheelName | None:
    """Return the parts of a wheel's file name, the name normalized, or None."""
    parts = filename[:-4].split("-") if filename.endswith(".whl") else []
    if len(parts) not in {5, 6}:
        return None
    build = parts[2] if len(parts) == 6 else ""
    if build and not build[0].isdigit():
        return None
    pythons, abis, platforms = _tag_set(parts[-3]), _tag_set(parts[-2]), _tag_set(parts[-1])
    return WheelName(normalize(parts[0]), parts[1], build, pythons, abis, platforms)


@lru_cache(maxsize=4096)
def _tag_set(text: str) -> tuple[str, ...]:
    return tuple(text.split("."))


def sdist_version(filename: str, project: str) -> str | None:
    """Return the version part of a source archive of a (normalized) project, or None.

    Old archives have hyphens and dots in the project part, so the project must be known.
    """
    suffix = next((end for end in _SDIST_SUFFIXES if filename.endswith(end)), None)
    if suffix is None:
        return None
    stem = filename[: -len(suffix)]
    if stem.count("-") == 1:
        name, _, version = stem.partition("-")
        return version if normalize(name) == project else None
    for match in re.finditer("-", stem):
        if normalize(stem[: match.start()]) == project:
            return stem[match.end() :]
    return None


@lru_cache(maxsize=65536)
def version(text: str) -> Version:
    """Return the parsed form of a version. Raises packaging's InvalidVersion."""
    return Version(text)


def file_version(filename: str, project: str) -> Version | None:
    """Return the version that a file name of a (normalized) project claims, or None."""
    wheel = wheel_name(filename)
    if wheel is not None:
        text = wheel.version.replace("_", "-") if wheel.name == project else None
    else:
        text = sdist_version(filename, project)
    try:
        return None if text is None else version(text)
    except InvalidVersion:
        return None
