"""From upstream's list of files to rows of the catalog, with what we learned ourselves.

A file that upstream lists without a SHA-256 is first served under a key made from its URL,
and no hash is claimed. The first fetch shows its hash; from then on the page lists it, and
everybody gets the same bytes.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from dpip.mirror.archives import is_safe_filename
from dpip.mirror.catalog import FileRecord
from dpip.simple.render import file_key

if TYPE_CHECKING:
    from dpip.mirror.catalog import Catalog
    from dpip.simple.model import File, Project


def servable(project: Project, catalog: Catalog) -> Project:
    """Return the page with learned hashes, without files whose names no disk should see."""
    safe = (file for file in project.files if is_safe_filename(file.filename))
    return dataclasses.replace(project, files=tuple(_with_learned(f, catalog) for f in safe))


def to_records(project: Project) -> list[FileRecord]:
    """Return catalog rows for a page; file URLs must be absolute."""
    return [
        FileRecord(
            key=file_key(file),
            filename=file.filename,
            project=project.name,
            url=file.url,
            sha256=file.sha256,
            size=file.size,
            metadata_sha256=(file.core_metadata or {}).get("sha256"),
            sidecar=file.core_metadata is not None,
            provenance=file.provenance,
        )
        for file in project.files
    ]


def _with_learned(file: File, catalog: Catalog) -> File:
    sha256, size = file.sha256, file.size
    if sha256 is None:
        known = catalog.file(file_key(file), file.filename)
        if known is None or known.sha256 is None:
            return file
        sha256, size = known.sha256, size or known.size
    if size is None:
        stored = catalog.archive(sha256)
        size = stored.size if stored is not None else None
    if (sha256, size) == (file.sha256, file.size):
        return file
    return dataclasses.replace(file, hashes={**file.hashes, "sha256": sha256}, size=size)
