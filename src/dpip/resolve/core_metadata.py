"""METADATA and PKG-INFO: the few fields that a resolve needs, read without a mail parser.

The format is RFC 822 headers up to a blank line (core metadata specification). Only known
fields are looked at, so a file with nonsense elsewhere still reads; a file without Name,
Version or Metadata-Version is no metadata.
"""

from __future__ import annotations

import msgspec

from dpip.resolve.errors import BadMetadata
from dpip.simple.names import normalize

MULTIPLE = frozenset({"requires-dist", "provides-extra", "dynamic"})
SINGLE = frozenset({"metadata-version", "name", "version", "requires-python"})
MAX_SIZE = 32 * 2**20
"""Bytes of METADATA that are still read: real ones stay below one megabyte."""


class CoreMetadata(msgspec.Struct, frozen=True):
    """Dependency fields as they are written; `dynamic` is lower case."""

    metadata_version: str
    name: str
    version: str
    requires_dist: tuple[str, ...] = ()
    requires_python: str | None = None
    provides_extra: tuple[str, ...] = ()
    dynamic: tuple[str, ...] = ()

    @property
    def is_static(self) -> bool:
        """Whether a PKG-INFO with this text binds every wheel built from it (PEP 643)."""
        try:
            major, minor = (int(part) for part in self.metadata_version.split(".")[:2])
        except ValueError:
            return False
        bound = {"requires-dist", "requires-python", "provides-extra", "version", "name"}
        return (major, minor) >= (2, 2) and not bound & set(self.dynamic)


def parse(data: bytes, where: str) -> CoreMetadata:
    """Read core metadata; `where` names the file in the BadMetadata that garbage raises."""
    if len(data) > MAX_SIZE:
        raise BadMetadata(f"{where}: metadata of {len(data):,} bytes is not read")
    single: dict[str, str] = {}
    multiple: dict[str, list[str]] = {name: [] for name in MULTIPLE}
    for name, value in _fields(_head(data).decode("utf-8", "replace")):
        if name in SINGLE:
            single.setdefault(name, value)
        else:
            multiple[name].append(value)
    for required in ("metadata-version", "name", "version"):
        if not single.get(required):
            raise BadMetadata(f"{where}: no core metadata (it has no {required.title()})")
    if not single["metadata-version"].startswith(("1.", "2.")):
        version = single["metadata-version"][:20]
        raise BadMetadata(f"{where}: metadata of version {version!r} is not understood")
    return CoreMetadata(
        metadata_version=single["metadata-version"],
        name=single["name"],
        version=single["version"],
        requires_dist=tuple(multiple["requires-dist"]),
        requires_python=single.get("requires-python") or None,
        provides_extra=tuple(multiple["provides-extra"]),
        dynamic=tuple(value.lower() for value in multiple["dynamic"]),
    )


def check_identity(found: CoreMetadata, name: str, version: str, where: str) -> None:
    """Raise BadMetadata if the metadata is of another project or version than asked for."""
    if normalize(found.name) != normalize(name):
        raise BadMetadata(f"{where}: its metadata is of {found.name!r}, not of {name!r}")
    if found.version != version and not _same_version(found.version, version):
        raise BadMetadata(f"{where}: its metadata says version {found.version}, not {version}")


def _same_version(a: str, b: str) -> bool:
    from packaging.version import InvalidVersion, Version

    try:
        return Version(a) == Version(b)
    except InvalidVersion:
        return False


def _head(data: bytes) -> bytes:
    """Return the header part: up to the first blank line."""
    ends = [at for at in (data.find(b"\n\n"), data.find(b"\r\n\r\n")) if at >= 0]
    return data[: min(ends)] if ends else data


def _fields(head: str) -> list[tuple[str, str]]:
    """Return (lower-case name, value) of known fields; folded lines are joined."""
    wanted = SINGLE | MULTIPLE
    found: list[tuple[str, str]] = []
    inside = False
    for line in head.splitlines():
        if line[:1] in {" ", "\t"}:
            if inside:
                name, value = found.pop()
                found.append((name, f"{value} {line.strip()}"))
            continue
        name, colon, value = line.partition(":")
        name = name.strip().lower()
        inside = bool(colon) and name in wanted
        if inside:
            found.append((name, value.strip()))
    return found


def render(found: CoreMetadata) -> bytes:
    """Return the text of core metadata, fields in a fixed order."""
    lines = [
        f"Metadata-Version: {found.metadata_version}",
        f"Name: {found.name}",
        f"Version: {found.version}",
    ]
    if found.requires_python:
        lines.append(f"Requires-Python: {found.requires_python}")
    lines += [f"Provides-Extra: {extra}" for extra in found.provides_extra]
    lines += [f"Requires-Dist: {line}" for line in found.requires_dist]
    return ("\n".join(lines) + "\n").encode()
