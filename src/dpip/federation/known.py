"""What a node's KOI cache holds of a project."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dpip.federation.claims import BadClaim, ProjectClaim, read_file, read_project
from dpip.federation.rids import PypiFile, PypiProject
from dpip.koi import RID
from dpip.koi.tombstones import Tombstones

if TYPE_CHECKING:
    from datetime import datetime

    from dpip.koi import Cache
    from dpip.simple.model import File

_FILES = "SELECT {} FROM bundle WHERE type=? AND rid>=? AND rid<? ORDER BY rid"


def file_rids(cache: Cache, name: str) -> list[RID]:
    """Return the RIDs of a project's files. Costs O(its files)."""
    rows = cache.store.rows(_FILES.format("rid"), _span(name))
    return [RID.from_string(rid) for (rid,) in rows]


def files(cache: Cache, name: str) -> list[File]:
    """Return a project's files as they are claimed; what is no claim is left out."""
    found = []
    for rid, contents in cache.store.rows(_FILES.format("rid, contents"), _span(name)):
        try:
            filename = rid.partition("/")[2]
            found.append(read_file(filename, msgspec.json.decode(contents)).file)
        except BadClaim:
            continue
    return found


def project(cache: Cache, name: str) -> tuple[ProjectClaim, datetime] | None:
    """Return the claim about a project and its time, or None."""
    bundle = cache.read(PypiProject(name))
    if bundle is None:
        return None
    try:
        return read_project(name, bundle.contents), bundle.manifest.timestamp
    except BadClaim:
        return None


def forgotten_at(cache: Cache, name: str) -> float | None:
    """Return the time of the newest claim about a project that was forgotten, or None.

    None too while a project comes, for the first time or again: its files' news is first.
    """
    stamp = Tombstones(cache.store).stamp(PypiProject(name), None)
    if stamp is None:
        return None
    held = [cache.record(rid) for rid in file_rids(cache, name)]
    comes = any(one is not None and one.manifest.timestamp > stamp for one in held)
    return None if comes else stamp.timestamp()


def _span(name: str) -> tuple[str, str, str]:
    # "0" is the character after "/".
    stem = f"{PypiFile.text}:{name}"
    return PypiFile.text, f"{stem}/", f"{stem}0"
