"""Reading what rules about metadata ask for, and no more of it.

Of each release one wheel is read, the first by name that suits every platform if there is one;
where there is no wheel, a source distribution, which must be fetched for it. What was read once
is in the catalog, by the hash of the file. Where only the newest releases are kept, reading
begins with the newest and ends when there are enough that pass.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from dpip.mirror.filters import NOT_JUDGED
from dpip.mirror.listing import to_records
from dpip.mirror.metadata_rules import values_of
from dpip.mirror.sdist import NotAnSdist
from dpip.mirror.wheel import LARGEST_METADATA, NotAWheel
from dpip.simple.render import file_key
from dpip.simple.repository import FileNotFound
from dpip.simple.upstream import metadata_url

if TYPE_CHECKING:
    from packaging.version import Version

    from dpip.mirror.catalog import Catalog, FileRecord
    from dpip.mirror.files import Files
    from dpip.mirror.filters import Judged, Parsed
    from dpip.mirror.metadata_rules import MetadataRules
    from dpip.mirror.scope import Scope
    from dpip.mirror.source import FileSource
    from dpip.simple.model import File, Project

AT_ONCE = 8
"""Metadata files that are asked for at the same time, of all projects together."""
UNKNOWN = "no file tells its metadata"

ReadMetadata = Callable[["FileRecord"], Awaitable[bytes]]
"""Returns the METADATA of a wheel, the PKG-INFO of a source archive; raises DpipError."""


class Judging:
    """Judges releases by their metadata. `read` fetches what the catalog does not have."""

    def __init__(self, catalog: Catalog, read: ReadMetadata) -> None:
        self._catalog = catalog
        self._read = read
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def judge(self, scope: Scope, project: Project) -> Judged:
        """Return the releases that are left out. Raises DpipError where upstream fails."""
        rules, releases = scope.selection.metadata, _releases(scope, project)
        if rules is None or not releases:
            return NOT_JUDGED
        latest = scope.selection.filters.latest
        judged: dict[Version, str] = {}
        passed, versions = 0, list(releases)
        while versions and (latest is None or passed < latest.count):
            some, versions = versions[:AT_ONCE], versions[AT_ONCE:]
            reasons = await asyncio.gather(
                *(self._release(rules, project, releases[version]) for version in some)
            )
            judged |= {v: why for v, why in zip(some, reasons, strict=True) if why is not None}
            passed += sum(1 for v in some if v not in judged and not v.is_prerelease)
        return judged

    async def _release(self, rules: MetadataRules, project: Project, file: File) -> str | None:
        body = self._catalog.metadata(file_key(file))
        if body is None:
            [record] = (r for r in to_records(project) if r.filename == file.filename)
            async with self._turns:
                body = await self._fetched(record)
        return UNKNOWN if body is None else rules.excludes(values_of(body))

    async def _fetched(self, record: FileRecord) -> bytes | None:
        """Return a file's metadata, None if it can never be had."""
        try:
            return await self._read(record)
        except (FileNotFound, NotAWheel, NotAnSdist):
            return None


def from_files(files: Callable[[], Files]) -> ReadMetadata:
    """Return what reads metadata as it is served; `files` is asked when the first is wanted."""

    def read(record: FileRecord) -> Awaitable[bytes]:
        return files().metadata_of(record)

    return read


def sidecars(upstream: FileSource) -> ReadMetadata:
    """Return what reads nothing but upstream's own metadata files (PEP 658), unchecked."""

    async def read(record: FileRecord) -> bytes:
        if not record.sidecar:
            raise FileNotFound(f"{record.filename} has no metadata file")
        return await upstream.read(metadata_url(record.url), LARGEST_METADATA)

    return read


def known(catalog: Catalog, scope: Scope, project: Project) -> Judged:
    """Return the releases that are left out as far as what was read before can say."""
    rules = scope.selection.metadata
    if rules is None:
        return NOT_JUDGED
    judged: dict[Version, str] = {}
    for version, file in _releases(scope, project).items():
        body = catalog.metadata(file_key(file))
        reason = rules.excludes(values_of(body)) if body is not None else None
        if reason is not None:
            judged[version] = reason
    return judged


def _releases(scope: Scope, project: Project) -> dict[Version, File]:
    """Return the releases to judge, newest first, each with the file that speaks for it."""
    by_version: dict[Version, list[Parsed]] = {}
    for parsed in scope.open_to_judgement(project):
        if parsed.version is not None:
            by_version.setdefault(parsed.version, []).append(parsed)
    return {
        version: min(by_version[version], key=_rank).file
        for version in sorted(by_version, reverse=True)
    }


def _rank(parsed: Parsed) -> tuple[bool, bool, str]:
    """Order the files of a release: who speaks for it comes first."""
    bound = all(tag.platform != "any" for tag in parsed.tags)
    return not parsed.file.is_wheel, bound, parsed.file.filename
