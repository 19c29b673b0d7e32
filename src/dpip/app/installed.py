"""What an environment has installed, as archives of a home: found, taken in, ready to be pinned.

An installed package does not say which file it came from, unless that was named by URL. So the
archives of a release are those that are stored, and those that the index lists and pip's own
cache still holds: pip names the bodies in its cache by a hash of their URL, hence each body of
a listed size is hashed, and taken if its SHA-256 is a listed one.
"""

from __future__ import annotations

import hashlib
import json
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from dpip.app.pip_settings import PipMissing, environment_python, run_pip
from dpip.mirror.archives import Archives, from_os
from dpip.mirror.catalog import ArchiveRecord, Catalog
from dpip.mirror.store import ARCHIVES, mapped
from dpip.simple.filenames import release_of

if TYPE_CHECKING:
    from collections.abc import Container, Iterator

    from dpip.ipfs.cid import CID
    from dpip.ipfs.disk.archives import Archives as Contents
    from dpip.mirror.catalog import FileRecord
    from dpip.simple.filenames import Release

ORIGIN = "pip-cache"
BODIES = "http-v2/**/*.body"
"""Where pip (23.3 and later) keeps what it downloaded: the bodies beside what is said of them."""
OLDER, MARK = "http/?/**/*", b"cc=4,"
"""Where earlier ones do: each body inside of an entry."""


@dataclass(frozen=True, slots=True)
class Found:
    """Roots of the archives of what is installed, and what has none here.

    `taken` are file names of archives that came out of pip's cache.
    """

    roots: list[CID] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)


def installed() -> dict[Release, str | None]:
    """Return the releases that the environment's pip sees, with the SHA-256 where it is known.

    Raises PipMissing, also where pip is too old to be asked (before 22.2).
    """
    report = json.loads(run_pip(environment_python(), "inspect"))
    found: dict[Release, str | None] = {}
    for row in report["installed"]:
        about = row["metadata"]
        origin = row.get("direct_url", {}).get("archive_info", {}).get("hashes", {})
        try:
            release = canonicalize_name(about["name"]), Version(about["version"])
        except InvalidVersion:
            continue
        found[release] = origin.get("sha256")
    return found


def pip_cache() -> Path | None:
    """Return the directory of pip's cache, None where pip keeps none."""
    try:
        return Path(run_pip(environment_python(), "cache", "dir").strip())
    except PipMissing:
        return None


def archives_of(
    home: Path, contents: Contents, wanted: dict[Release, str | None], cache: Path | None
) -> Found:
    """Find the archives of releases, taking in those that only pip's cache has."""
    archives, found = Archives(home / ARCHIVES), Found()
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:
        listed = {release: _listed(catalog, release) for release in wanted}
        lacking = [
            file
            for release, files in listed.items()
            if not any(_is_here(archives, contents, file) for file in files)
            for file in files
        ]
        if cache is not None and lacking:
            found.taken.extend(_taken(cache, lacking, archives, catalog))
        known = _by_release(contents)
        for release, sha256 in wanted.items():
            roots = _roots(archives, contents, listed[release], sha256) | known.get(release, {})
            found.roots.extend(roots.values())
            if not roots:
                found.missing.append(f"{release[0]} {release[1]}")
    return found


def _listed(catalog: Catalog, release: Release) -> list[FileRecord]:
    """Return the files that the index lists of a release, with a SHA-256."""
    files = catalog.files(release[0])
    return [file for file in files if file.sha256 and release_of(file.filename) == release]


def _is_here(archives: Archives, contents: Contents, file: FileRecord) -> bool:
    sha256 = file.sha256 or ""
    return archives.find(sha256, file.filename) is not None or contents.find(sha256) is not None


def _by_release(contents: Contents) -> dict[Release, dict[str, CID]]:
    """Return the roots of all archives that the store took in."""
    found: dict[Release, dict[str, CID]] = {}
    for archive in contents.listing():
        release = release_of(archive.filename)
        if release is not None:
            found.setdefault(release, {})[archive.sha256] = archive.root
    return found


def _roots(
    archives: Archives, contents: Contents, files: list[FileRecord], sha256: str | None
) -> dict[str, CID]:
    """Return the roots of files that are whole on disk, taking in those that are new there."""
    found = {}
    if sha256 is not None and (archive := contents.find(sha256)) is not None:
        found[sha256] = archive.root
    for file in files:
        whole = archives.find(file.sha256 or "", file.filename)
        if whole is not None:
            with mapped():
                archive = contents.add(whole.path, whole.sha256, whole.path.name)
            found[archive.sha256] = archive.root
    return found


def _taken(
    cache: Path, files: list[FileRecord], archives: Archives, catalog: Catalog
) -> Iterator[str]:
    """Take in the files that pip's cache holds; yield their names."""
    wanted = {file.sha256: file for file in files}
    sizes = {file.size for file in files}
    for body in _bodies(cache, None if None in sizes else sizes):
        file = wanted.pop(hashlib.sha256(body).hexdigest(), None)
        if file is not None:
            _take(body, file, archives, catalog)
            yield file.filename


def _bodies(cache: Path, sizes: Container[int | None] | None) -> Iterator[bytes]:
    """Yield what pip's cache holds and has one of some sizes; what cannot be read is left out."""
    for pattern, content in ((BODIES, lambda data: data), (OLDER, _older)):
        for path in cache.glob(pattern):
            try:
                if pattern == BODIES and sizes and path.stat().st_size not in sizes:
                    continue
                data = content(path.read_bytes()) if path.is_file() else None
            except OSError:
                continue
            if data is not None and (sizes is None or len(data) in sizes):
                yield data


def _older(entry: bytes) -> bytes | None:
    """Return the body in an entry of pip's cache as it was before pip 23.3."""
    try:
        body = msgspec.msgpack.decode(entry.removeprefix(MARK))["response"]["body"]
    except (msgspec.MsgspecError, KeyError, TypeError):
        return None
    return body if isinstance(body, bytes) else None


def _take(body: bytes, file: FileRecord, archives: Archives, catalog: Catalog) -> None:
    sha256 = file.sha256 or ""
    part = archives.part(f"{sha256}-{ORIGIN}")
    try:
        part.write_bytes(body)
    except OSError as error:
        raise from_os(error, part) from None
    whole = archives.keep(part, sha256, file.filename)
    record = ArchiveRecord(sha256, file.filename, whole.size, None, ORIGIN, time.time())
    catalog.put_archive(record).result()
