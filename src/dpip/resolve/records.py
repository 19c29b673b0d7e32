"""Core metadata to dependency records, and records to bytes and back.

A requirement string is split once, when metadata is first read; the store holds the parts. A
malformed one makes the whole file unusable, with the offending line named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from dpip.resolve.errors import BadMetadata
from dpip.resolve.facts import Dependencies, Requirement
from dpip.resolve.names import normalize, version
from dpip.resolve.requirement import InvalidRequirement, parse

if TYPE_CHECKING:
    from dpip.resolve.core_metadata import CoreMetadata


class _Row(msgspec.Struct, frozen=True, array_like=True, gc=False, omit_defaults=True):
    name: str
    specifier: str = ""
    extras: tuple[str, ...] = ()
    marker: str = ""
    url: str = ""


class Record(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The stored form of a dependency record; also what nodes send."""

    name: str
    version: str
    requires: list[_Row]
    extras: tuple[str, ...]
    requires_python: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Record).decode


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
    """Split one requirement of PEP 508; raises BadMetadata that names it and where it stands."""
    try:
        return parse(line)
    except InvalidRequirement as error:
        raise BadMetadata(f"{where}: {error.message}") from None


def encode(dependencies: Dependencies) -> bytes:
    """Return the stored form."""
    return _encode(to_record(dependencies))


def to_record(dependencies: Dependencies) -> Record:
    """Return the form that is stored and sent."""
    rows = [_Row(r.name, r.specifier, r.extras, r.marker, r.url) for r in dependencies.requires]
    return Record(
        dependencies.name,
        dependencies.version,
        rows,
        dependencies.extras,
        dependencies.requires_python,
    )


def decode(data: bytes) -> Dependencies:
    """Read the stored form; raises msgspec.DecodeError or ValidationError."""
    return from_record(_decode(data))


def from_record(record: Record) -> Dependencies:
    """Return the fact in a stored or sent record."""
    requires = tuple(
        Requirement(row.name, row.specifier, row.extras, row.marker, row.url)
        for row in record.requires
    )
    return Dependencies(
        record.name, record.version, requires, record.extras, record.requires_python
    )
