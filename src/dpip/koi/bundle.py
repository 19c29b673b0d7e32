"""Manifest and Bundle: what an object is, and what it says.

A manifest is a RID, a time and the hash of the contents; a bundle adds the contents, a
JSON object. Times are aware datetimes in UTC: a time without a zone is taken as UTC, other
zones are converted. RID protocol, as rid-lib 3 has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from .canonical import content_hash, matches, wire_form
from .errors import InvalidContents
from .model import WireModel, convert
from .rid import RID

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Manifest(WireModel):
    """What an object is: its RID, when it was made, the SHA-256 of its contents (hex)."""

    rid: RID
    timestamp: datetime
    sha256_hash: str

    def __post_init__(self) -> None:
        zone = self.timestamp.tzinfo
        if zone is not UTC:
            object.__setattr__(self, "timestamp", in_utc(self.timestamp))

    @classmethod
    def generate(cls, rid: RID, contents: Any, *, now: datetime | None = None) -> Manifest:
        """Return a manifest for `contents` as of `now` (default: this moment)."""
        return cls(rid, now or datetime.now(UTC), content_hash(contents))


@dataclass(frozen=True, slots=True)
class Bundle(WireModel):
    """A manifest and the contents that it describes."""

    manifest: Manifest
    contents: dict[str, Any]

    @classmethod
    def generate(cls, rid: RID, contents: Any, *, now: datetime | None = None) -> Bundle:
        """Return a bundle of `contents` (a dict, or a model) as of `now`.

        Raises InvalidContents for what JSON cannot hold.
        """
        plain = plain_contents(contents)
        return cls(Manifest.generate(rid, plain, now=now), plain)

    @property
    def rid(self) -> RID:
        """The identifier of the object."""
        return self.manifest.rid

    @property
    def verified(self) -> bool:
        """Whether the contents have the hash that the manifest names. Costs one hash."""
        return matches(self.contents, self.manifest.sha256_hash)

    def validate_contents(self, kind: type[T]) -> T:
        """Return the contents as a model such as NodeProfile; raise InvalidContents."""
        return convert(self.contents, kind)


def in_utc(time: datetime) -> datetime:
    """Return the moment in UTC; a time without a zone is one in UTC already."""
    try:
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except OverflowError:
        raise InvalidContents("a time beyond the calendar") from None


def plain_contents(contents: Any) -> dict[str, Any]:
    """Return `contents` as a dict of JSON values, as a peer will read it."""
    dumped = contents.model_dump(mode="json") if hasattr(contents, "model_dump") else contents
    found = msgspec.json.decode(wire_form(dumped))
    if not isinstance(found, dict):
        raise InvalidContents("contents are a JSON object")
    return found
