"""Project pages and files, as the Simple repository API describes them.

Reading order of the standards: PEP 503 (pages and names), 592 (yanked), 629 (version),
658 and 714 (metadata files), 691 (JSON), 700 (versions, sizes, upload times),
740 (attestations), 792 (project status). The values here are version 1.4 of the API;
an absent field means that the source did not say.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dpip.simple.names import normalize

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

API_VERSION = "1.4"
VERSION_WITHOUT_SIZES = "1.0"
LONGEST_NAME = 255
SDIST_SUFFIXES = (".tar.gz", ".zip", ".tar.bz2", ".tar.xz", ".tgz")

_VALID_NAME = re.compile(r"[A-Z0-9]([A-Z0-9._-]*[A-Z0-9])?", re.IGNORECASE)
_VALID_FILENAME = re.compile(r"[^\x00-\x1f\x7f/\\:]+")
_VERSION = re.compile(r"\d+\.\d+")
_SDIST_VERSION = re.compile(r".+-(\d[^-]*|v\d[^-]*)")


def is_valid_name(name: str) -> bool:
    """Say whether `name` may name a project (PEP 508 names; no path tricks pass)."""
    return len(name) <= LONGEST_NAME and _VALID_NAME.fullmatch(name) is not None


def is_valid_filename(filename: str) -> bool:
    """Say whether `filename` is one plain path component that may be shown and stored."""
    return (
        len(filename) <= LONGEST_NAME
        and not filename.startswith(".")
        and _VALID_FILENAME.fullmatch(filename) is not None
    )


def supported_version(version: str) -> bool:
    """Say whether a page of this version can be read: major version 1 (PEP 629)."""
    return _VERSION.fullmatch(version) is not None and version.split(".", maxsplit=1)[0] == "1"


def versions_of(files: Iterable[File]) -> tuple[str, ...]:
    """Return the versions in the names of `files`, in their order, for a silent source.

    A name that follows neither the wheel nor the sdist convention gives nothing.
    """
    found = (version_in(file.filename) for file in files)
    return tuple(dict.fromkeys(version for version in found if version is not None))


def version_in(filename: str) -> str | None:
    """Return the version in a wheel's or sdist's file name, None for another name."""
    if filename.endswith(".whl"):
        parts = filename[:-4].split("-")
        return parts[1] if len(parts) in {5, 6} else None
    for suffix in SDIST_SUFFIXES:
        if filename.endswith(suffix):
            match = _SDIST_VERSION.fullmatch(filename.removesuffix(suffix))
            return match.group(1) if match else None
    return None


@dataclass(frozen=True, slots=True)
class File:
    """One distribution file of a project.

    `url` is absolute, or relative to the page that lists the file. `yanked` is None, or the
    reason (possibly empty) (PEP 592). `core_metadata` is None where no metadata file is
    offered, else its hashes, which may be empty (PEP 714). `size` is bytes and `upload_time`
    ISO 8601 in UTC (PEP 700). `provenance` is a URL (PEP 740).
    """

    filename: str
    url: str
    hashes: Mapping[str, str] = field(default_factory=dict)
    requires_python: str | None = None
    size: int | None = None
    upload_time: str | None = None
    yanked: str | None = None
    core_metadata: Mapping[str, str] | None = None
    gpg_sig: bool | None = None
    provenance: str | None = None

    @property
    def sha256(self) -> str | None:
        """Lower-case hexadecimal SHA-256 of the file, if the source gives it."""
        digest = self.hashes.get("sha256")
        return digest.lower() if digest else None

    @property
    def is_wheel(self) -> bool:
        """Whether the file name is a wheel's."""
        return self.filename.endswith(".whl")


@dataclass(frozen=True, slots=True)
class Project:
    """One project page.

    `status` and `status_reason` are PEP 792 ("active" when the source is silent).
    `versions` lists all release versions, also those without files (PEP 700).
    `last_serial` is the source's serial for the page, None where it sends none.
    """

    name: str
    files: tuple[File, ...] = ()
    versions: tuple[str, ...] = ()
    status: str = "active"
    status_reason: str | None = None
    last_serial: int | None = None

    @property
    def api_version(self) -> str:
        """The version that this page fulfils: from 1.1 on every file has a size (PEP 700)."""
        known = all(file.size is not None for file in self.files)
        return API_VERSION if known else VERSION_WITHOUT_SIZES


@dataclass(frozen=True, slots=True)
class ProjectEntry:
    """One row of the root list; `name` may be as its owner writes it."""

    name: str
    last_serial: int | None = None

    @property
    def key(self) -> str:
        """The normalized name."""
        return normalize(self.name)
