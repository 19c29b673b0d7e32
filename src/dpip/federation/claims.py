"""What a node says of a project and of its files, and how that is written in bundles.

A claim about a project names a digest over all its files. So whoever has heard some of the
files' news, in any order, knows whether it has heard all of it; a page is only ever made of
a complete set.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from dpip.errors import DpipError
from dpip.simple.json_codec import decode_file, encode_file
from dpip.simple.model import File, Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class BadClaim(DpipError):
    """The contents of a bundle are not what its kind says."""

    slug = "bad-claim"
    side = "theirs"


class ProjectClaim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=False):
    """The contents of `orn:pypi.project:<name>`.

    `status` and `reason` are PEP 792, `serial` the upstream's, `page` the CID of the project
    page (PEP 691 JSON), `versions` a count. `releases` lists them. `files` is the digest over
    all files, None where one of them has no SHA-256 and so cannot be spoken of. `private`: it is
    told to some nodes alone.
    """

    name: str
    status: str = "active"
    reason: str | None = None
    serial: int | None = None
    page: str | None = None
    versions: int = 0
    releases: tuple[str, ...] = ()
    files: str | None = None
    private: bool = False


@dataclass(frozen=True, slots=True)
class FileClaim:
    """The contents of `orn:pypi.file:<name>/<filename>`: a file, and its CIDs once known."""

    file: File
    cid: str | None = None
    recipe: str | None = None
    private: bool = False


def claim_of(project: Project, page: str | None, *, private: bool = False) -> ProjectClaim:
    """Return what to say of a page; `page` is its CID."""
    return ProjectClaim(
        name=project.name,
        status=project.status,
        reason=project.status_reason,
        serial=project.last_serial,
        page=page,
        versions=len(project.versions),
        releases=project.versions,
        files=digest_of(project.files),
        private=private,
    )


def digest_of(files: Iterable[File]) -> str | None:
    """Return one SHA-256 over a set of files, in any order; None if one has no SHA-256."""
    rows = []
    for file in files:
        if file.sha256 is None:
            return None
        row = msgspec.json.encode(encode_file(file), order="sorted")
        rows.append(hashlib.sha256(row).digest())
    return hashlib.sha256(b"".join(sorted(rows))).hexdigest()


def project_contents(claim: ProjectClaim) -> dict[str, Any]:
    """Return the JSON object that a bundle holds."""
    contents: dict[str, Any] = msgspec.to_builtins(claim)
    contents["releases"] = list(claim.releases)
    if not claim.private:
        del contents["private"]
    return contents


def read_project(name: str, contents: Any) -> ProjectClaim:
    """Return the claim in the bundle of project `name`. Raises BadClaim."""
    try:
        claim = msgspec.convert(contents, ProjectClaim)
    except msgspec.ValidationError as error:
        raise BadClaim(f"project {name}: {error}") from None
    if claim.name != name:
        raise BadClaim(f"the claim about {name!r} names {claim.name[:100]!r}")
    return claim


def file_contents(claim: FileClaim) -> dict[str, Any]:
    """Return the JSON object that a bundle holds: the PEP 691 file, `cid` and `recipe`."""
    contents: dict[str, Any] = dict(encode_file(claim.file))
    known = {"cid": claim.cid, "recipe": claim.recipe, "private": claim.private or None}
    contents.update((key, value) for key, value in known.items() if value is not None)
    return contents


def read_file(filename: str, contents: Any) -> FileClaim:
    """Return the claim in the bundle of a file. Raises BadClaim."""
    try:
        file = decode_file(contents)
    except DpipError as error:
        raise BadClaim(f"file {filename}: {error.message}") from None
    if file.filename != filename:
        raise BadClaim(f"the claim about {filename!r} names {file.filename[:100]!r}")
    if file.sha256 is None or len(file.sha256) != 64:
        raise BadClaim(f"the claim about {filename!r} has no SHA-256")
    if not file.url.startswith(("https://", "http://")):
        raise BadClaim(f"the claim about {filename!r} names no web address")
    cid, recipe = contents.get("cid"), contents.get("recipe")
    return FileClaim(file, _text(cid), _text(recipe), is_private(contents))


def is_private(contents: Mapping[str, Any] | None) -> bool:
    """Say whether the contents of a bundle are said to be for some nodes alone."""
    return contents is not None and contents.get("private") is True


def page_of(claim: ProjectClaim, files: Iterable[File]) -> Project | None:
    """Return the page that a claim and some files make; None while files are missing."""
    found = tuple(files)
    if claim.files is None or digest_of(found) != claim.files:
        return None
    return Project(
        name=claim.name,
        files=found,
        versions=claim.releases,
        status=claim.status,
        status_reason=claim.reason,
        last_serial=claim.serial,
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
