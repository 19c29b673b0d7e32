"""Project pages and the root list as JSON (PEP 691; fields of PEPs 700, 714, 740, 792).

Decoding takes only the fields that it needs and is strict about their types: one wrong type
makes the whole page invalid, because a page that is half understood installs wrong things.
A file whose name could leave its folder is left out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dpip.simple.model import (
    File,
    Project,
    ProjectEntry,
    is_valid_filename,
    supported_version,
    versions_of,
)
from dpip.simple.repository import UpstreamInvalid
from dpip.simple.urls import joined

if TYPE_CHECKING:
    from collections.abc import Mapping


LONGEST_SERIAL = 18
"""Digits of a serial: what a signed 64-bit integer holds for sure."""


class Meta(msgspec.Struct):
    """What every JSON answer of the API begins with."""

    api_version: str = msgspec.field(name="api-version", default="1.0")
    last_serial: int | str | None = msgspec.field(name="_last-serial", default=None)
    """No standard says what this is: indexes send a number, the same as text, or nothing."""


def serial_of(said: int | str | None) -> int | None:
    """Return a serial as a number, None for what is none."""
    if not isinstance(said, str):
        return said
    is_number = said.isascii() and said.isdigit() and len(said) <= LONGEST_SERIAL
    return int(said) if is_number else None


class _File(msgspec.Struct):
    filename: str
    url: str
    hashes: dict[str, str] | None = None
    requires_python: str | None = msgspec.field(name="requires-python", default=None)
    size: int | None = None
    upload_time: str | None = msgspec.field(name="upload-time", default=None)
    yanked: bool | str | None = None
    core_metadata: bool | dict[str, str] | None = msgspec.field(name="core-metadata", default=None)
    dist_info_metadata: bool | dict[str, str] | None = msgspec.field(
        name="dist-info-metadata", default=None
    )
    gpg_sig: bool | None = msgspec.field(name="gpg-sig", default=None)
    provenance: str | None = None


class _Status(msgspec.Struct):
    status: str = "active"
    reason: str | None = None


class _Project(msgspec.Struct):
    name: str
    meta: Meta = msgspec.field(default_factory=Meta)
    files: list[_File] = []
    versions: list[str] | None = None
    status: _Status = msgspec.field(name="project-status", default_factory=_Status)


_decoder = msgspec.json.Decoder(_Project)
_encoder = msgspec.json.Encoder()


def decode_project(raw: bytes, *, base_url: str = "") -> Project:
    """Return the page that `raw` holds; relative URLs become absolute on `base_url`.

    Raises UpstreamInvalid for anything that is not a version 1 project page.
    """
    try:
        page = _decoder.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UpstreamInvalid(f"the project page is not valid JSON: {error}") from None
    check_version(page.meta.api_version)
    files = tuple(_to_file(item, base_url) for item in page.files if _is_sane(item))
    return Project(
        name=page.name,
        files=files,
        versions=versions_of(files) if page.versions is None else tuple(page.versions),
        status=page.status.status,
        status_reason=page.status.reason,
        last_serial=serial_of(page.meta.last_serial),
    )


def decode_file(row: object) -> File:
    """Return the file that one object of a page describes. Raises UpstreamInvalid."""
    try:
        item = msgspec.convert(row, _File)
    except msgspec.ValidationError as error:
        raise UpstreamInvalid(f"not a file of a project page: {error}") from None
    if not _is_sane(item):
        raise UpstreamInvalid(f"not the name and size of a file: {item.filename[:100]!r}")
    return _to_file(item, "")


def check_version(version: str) -> None:
    """Raise UpstreamInvalid for a version of the API that dpip cannot read (PEP 629)."""
    if not supported_version(version):
        raise UpstreamInvalid(f"the index speaks version {version!r} of the Simple API, not 1.x")


def _is_sane(item: _File) -> bool:
    return is_valid_filename(item.filename) and (item.size is None or item.size >= 0)


def _to_file(item: _File, base_url: str) -> File:
    metadata = item.core_metadata
    if metadata is None:
        metadata = item.dist_info_metadata
    return File(
        filename=item.filename,
        url=absolute(base_url, item.url),
        hashes={key.lower(): value.lower() for key, value in (item.hashes or {}).items()},
        requires_python=item.requires_python,
        size=item.size,
        upload_time=item.upload_time,
        yanked=_yanked(item.yanked),
        core_metadata=_metadata_hashes(metadata),
        gpg_sig=item.gpg_sig,
        provenance=item.provenance and absolute(base_url, item.provenance),
    )


def absolute(base_url: str, url: str) -> str:
    """Return `url` made absolute on `base_url`, or UpstreamInvalid where that cannot be."""
    try:
        return joined(base_url, url)
    except ValueError:
        raise UpstreamInvalid(f"the index lists a file with a broken URL: {url[:200]!r}") from None


def _yanked(value: bool | str | None) -> str | None:
    # PEP 691: a true boolean or a non-empty string means yanked.
    if not value:
        return None
    return "" if value is True else value


def _metadata_hashes(value: bool | dict[str, str] | None) -> Mapping[str, str] | None:
    if value is None or value is False:
        return None
    return {} if value is True else value


def encode_project(project: Project) -> bytes:
    """Return the page as JSON. It claims version 1.4 only where all sizes are known (PEP 700)."""
    status: dict[str, str] = {"status": project.status}
    if project.status_reason is not None:
        status["reason"] = project.status_reason
    return _encoder.encode(
        {
            "meta": _encode_meta(project.api_version, project.last_serial),
            "name": project.name,
            "project-status": status,
            "versions": list(project.versions),
            "files": [encode_file(file) for file in project.files],
        }
    )


def _encode_meta(version: str, last_serial: int | None) -> dict[str, object]:
    meta: dict[str, object] = {"api-version": version}
    if last_serial is not None:
        meta["_last-serial"] = last_serial
    return meta


def encode_file(file: File) -> dict[str, object]:
    """Return one file object of a page."""
    row: dict[str, object] = {
        "filename": file.filename,
        "url": file.url,
        "hashes": dict(file.hashes),
        "requires-python": file.requires_python,
        "yanked": _encode_yanked(file.yanked),
        # An empty mapping says "there is one, its hash is not known" (PEP 714).
        "core-metadata": False if file.core_metadata is None else dict(file.core_metadata) or True,
    }
    optional = {
        "size": file.size,
        "upload-time": file.upload_time,
        "gpg-sig": file.gpg_sig,
        "provenance": file.provenance,
    }
    row.update((key, value) for key, value in optional.items() if value is not None)
    return row


def _encode_yanked(reason: str | None) -> bool | str:
    return False if reason is None else reason or True


def encode_entry(entry: ProjectEntry) -> bytes:
    """Return one row of the root list."""
    row: dict[str, object] = {"name": entry.name}
    if entry.last_serial is not None:
        row["_last-serial"] = entry.last_serial
    return _encoder.encode(row)
