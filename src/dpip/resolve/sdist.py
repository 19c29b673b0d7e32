"""Metadata of source archives and source trees: read if they promise it, else built.

PKG-INFO binds what is built only from metadata version 2.2 on, and only for fields that are
not listed as Dynamic (PEP 643). A `[project]` table in pyproject.toml binds for everything
that is not in its `dynamic` list (PEP 621). Only what is left costs a build.
"""

from __future__ import annotations

import errno
import lzma
import tarfile
import tempfile
import tomllib
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from dpip.resolve import core_metadata
from dpip.resolve.build import BuildSystem
from dpip.resolve.core_metadata import CoreMetadata
from dpip.resolve.errors import BadMetadata, BuildFailed, CannotWrite

if TYPE_CHECKING:
    from collections.abc import Iterable

    from dpip.resolve.build import Isolation

BOUND = frozenset({"dependencies", "optional-dependencies", "requires-python"})
MAX_UNPACKED = 4 * 2**30
UNPACKING = (
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    ValueError,
    RuntimeError,
    NotImplementedError,
)
OUR_TROUBLES = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EMFILE})
"""What the system says that is no fault of an archive."""
ALWAYS_UNPACKED = 256 * 2**20
MOST_PACKED = 50
"""What source archives unpack to is some ten times their size; bombs reach a thousand."""


class Builder(Protocol):
    """Turns a source archive on disk into METADATA bytes."""

    def metadata(self, path: Path, filename: str) -> bytes:
        """Return METADATA text; raises BuildFailed or BadMetadata."""
        ...


class Sources:
    """The Builder: static metadata first, else `isolation` builds it."""

    def __init__(self, isolation: Isolation) -> None:
        self._isolation = isolation

    def metadata(self, path: Path, filename: str) -> bytes:
        """Return METADATA text of a source archive."""
        with self._isolation.children.room("dpip-sdist-") as room:
            return self.tree_metadata(unpack(path, room, filename), filename)

    def tree_metadata(self, tree: Path, where: str) -> bytes:
        """Return METADATA text of an unpacked source tree."""
        pyproject = read_pyproject(tree, where)
        static = _pkg_info(tree, where) or static_project(pyproject, _version_of(tree, where))
        if static is not None:
            return static
        system = BuildSystem.of(pyproject, where)
        return self._isolation.metadata(tree, system, where)

    def wheel(self, tree: Path, target: Path, where: str) -> Path:
        """Build the wheel of a source tree into `target`."""
        system = BuildSystem.of(read_pyproject(tree, where), where)
        return self._isolation.wheel(tree, system, target, where)


def static_metadata(path: Path, filename: str) -> bytes | None:
    """Return METADATA text that a source archive promises, or None; runs nothing of it."""
    with tempfile.TemporaryDirectory(prefix="dpip-sdist-") as room:
        tree = unpack(path, Path(room), filename)
        pyproject = read_pyproject(tree, filename)
        return _pkg_info(tree, filename) or static_project(pyproject, _version_of(tree, filename))


def unpack(path: Path, room: Path, filename: str) -> Path:
    """Unpack a source archive below `room` and return its single top directory."""
    try:
        if filename.endswith(".zip"):
            with zipfile.ZipFile(path) as archive:
                _bounded((info.file_size for info in archive.infolist()), path, filename)
                archive.extractall(room)
        else:
            with tarfile.open(path) as archive:
                _bounded((info.size for info in archive), path, filename)
                archive.extractall(room, filter="data")
    except OSError as error:
        if error.errno in OUR_TROUBLES:
            raise CannotWrite.because(error) from None
        raise BadMetadata(f"{filename}: not a source archive: {error}") from None
    except UNPACKING as error:
        reason = str(error).partition("\n")[0].rstrip(":")
        raise BadMetadata(f"{filename}: not a source archive: {reason}") from None
    tops = [entry for entry in room.iterdir() if entry.is_dir()]
    if len(tops) != 1:
        raise BadMetadata(f"{filename}: a source archive has one top directory, not {len(tops)}")
    return tops[0]


def _bounded(sizes: Iterable[int], path: Path, filename: str) -> None:
    """Raise BadMetadata for an archive that is large, or blown up, beyond what sources are."""
    most = min(MAX_UNPACKED, max(ALWAYS_UNPACKED, path.stat().st_size * MOST_PACKED))
    total = 0
    for size in sizes:
        total += size
        if total > most:
            raise BadMetadata(f"{filename}: unpacks to more than {most:,} bytes; that is not done")


def read_pyproject(tree: Path, where: str) -> dict[str, Any]:
    """Return pyproject.toml, parsed; empty where there is none. Raises BadMetadata."""
    path = tree / "pyproject.toml"
    if not path.is_file():
        if not (tree / "setup.py").is_file() and not (tree / "PKG-INFO").is_file():
            raise BuildFailed(f"{where}: neither pyproject.toml nor setup.py is there")
        return {}
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except (ValueError, OSError) as error:
        raise BadMetadata(f"{where}: pyproject.toml: {error}") from None


def _pkg_info(tree: Path, where: str) -> bytes | None:
    path = tree / "PKG-INFO"
    if not path.is_file():
        return None
    text = path.read_bytes()
    try:
        return text if core_metadata.parse(text, where).is_static else None
    except BadMetadata:
        return None


def _version_of(tree: Path, where: str) -> str | None:
    """Return the version in PKG-INFO: an archive's version is fixed whatever is dynamic."""
    path = tree / "PKG-INFO"
    if not path.is_file():
        return None
    try:
        return core_metadata.parse(path.read_bytes(), where).version
    except BadMetadata:
        return None


def static_project(pyproject: dict[str, Any], known_version: str | None) -> bytes | None:
    """Return METADATA text of a `[project]` table that binds, else None."""
    project = pyproject.get("project")
    if not isinstance(project, dict) or BOUND & set(project.get("dynamic", ())):
        return None
    name, version = project.get("name"), project.get("version") or known_version
    if not isinstance(name, str) or not isinstance(version, str):
        return None
    found = CoreMetadata(
        metadata_version="2.2",
        name=name,
        version=version,
        requires_dist=tuple(_requires(project)),
        requires_python=project.get("requires-python"),
        provides_extra=tuple(project.get("optional-dependencies", {})),
    )
    return core_metadata.render(found)


def _requires(project: dict[str, Any]) -> list[str]:
    lines = [str(line) for line in project.get("dependencies", ())]
    for extra, more in project.get("optional-dependencies", {}).items():
        for line in more:
            requirement, _, marker = str(line).partition(";")
            both = f"({marker.strip()}) and " if marker.strip() else ""
            lines.append(f'{requirement.strip()} ; {both}extra == "{extra}"')
    return lines
