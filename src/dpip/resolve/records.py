"""Core metadata to dependency records, and records to bytes and back.

A requirement string is split once, here, when metadata is first read; the store holds the
parts. Nearly all requirements in the world have one of a few plain forms, which one
expression takes apart; anything else goes to `packaging`, and what that refuses makes the
whole file unusable, with the offending line named.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from dpip.resolve.errors import BadMetadata
from dpip.resolve.facts import Dependencies, Requirement
from dpip.resolve.names import normalize, version

if TYPE_CHECKING:
    from dpip.resolve.core_metadata import CoreMetadata

_VERSION = r"\d+(?:\.\d+)*(?:\.?(?:a|b|rc|post|dev)\d+)*"
_CLAUSE = rf"(?:(?:[<>]=?|~=|[=!]=)\s*{_VERSION}|[=!]=\s*\d+(?:\.\d+)*\.\*)"
_PLAIN = re.compile(
    rf"""\s* (?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?) \s*
    (?: \[ (?P<extras>[\w.,\s-]*) \] )? \s*
    (?P<open>\()? \s* (?P<clauses>{_CLAUSE}(?:\s*,\s*{_CLAUSE})*)? \s*,?\s* (?(open)\)) \s*
    (?: ; (?P<marker>.*) )?""",
    re.VERBOSE | re.ASCII,
)
_ONE_PART_COMPATIBLE = re.compile(r"~=\d+(?:$|,|[a-z])")


class _Row(msgspec.Struct, frozen=True, array_like=True, gc=False, omit_defaults=True):
    name: str
    specifier: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""
    url: str = ""


class _Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    name: str
    version: str
    requires: list[_Row]
    extras: tuple[str, ...]
    requires_python: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Record).decode


def from_metadata(found: CoreMetadata, where: str) -> Dependencies:
    """Return the record of core metadata; raises BadMetadata naming a malformed requirement."""
    try:
        release = str(version(found.version))
    except ValueError:
        raise BadMetadata(f"{where}: {found.version!r} is no version") from None
    return Dependencies(
        name=normalize(found.name),
        version=release,
        requires=tuple(requirement(line, where) for line in found.requires_dist),
        extras=tuple(normalize(extra) for extra in found.provides_extra),
        requires_python=found.requires_python or "",
    )


def requirement(line: str, where: str) -> Requirement:
    """Split one requirement of PEP 508; raises BadMetadata."""
    plain = _PLAIN.fullmatch(line)
    if plain is None or (clauses := _squeezed(plain["clauses"])) is None:
        return _odd_requirement(line, where)
    return Requirement(
        normalize(plain["name"]),
        clauses,
        _extras((plain["extras"] or "").split(",")),
        (plain["marker"] or "").strip(),
    )


def _squeezed(clauses: str | None) -> str | None:
    """Return the clauses without spaces; None for what only looks like PEP 440."""
    text = "".join((clauses or "").split())
    return None if "~" in text and _ONE_PART_COMPATIBLE.search(text) else text


def _odd_requirement(line: str, where: str) -> Requirement:
    from packaging.requirements import InvalidRequirement
    from packaging.requirements import Requirement as Parsed

    try:
        parsed = Parsed(line)
    except InvalidRequirement as error:
        reason = str(error).splitlines()[0]
        raise BadMetadata(f"{where}: malformed requirement {line!r}: {reason}") from None
    return Requirement(
        normalize(parsed.name),
        ",".join(sorted(str(clause) for clause in parsed.specifier)),
        _extras(parsed.extras),
        str(parsed.marker or ""),
        parsed.url or "",
    )


def _extras(names: set[str] | list[str]) -> tuple[str, ...]:
    found = {normalize(name.strip()) for name in names}
    return tuple(sorted(found - {""}))


def encode(dependencies: Dependencies) -> bytes:
    """Return the stored form."""
    rows = [_Row(r.name, r.specifier, r.extras, r.marker, r.url) for r in dependencies.requires]
    return _encode(
        _Record(
            dependencies.name,
            dependencies.version,
            rows,
            dependencies.extras,
            dependencies.requires_python,
        )
    )


def decode(data: bytes) -> Dependencies:
    """Read the stored form; raises msgspec.DecodeError or ValidationError."""
    record = _decode(data)
    requires = tuple(
        Requirement(row.name, row.specifier, row.extras, row.marker, row.url)
        for row in record.requires
    )
    return Dependencies(
        record.name, record.version, requires, record.extras, record.requires_python
    )
