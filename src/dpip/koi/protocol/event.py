"""Events: a RID and what happened to it; NEW, UPDATE or FORGET."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec

from ..bundle import Bundle, Manifest
from ..canonical import wire_form
from ..model import WireModel, quick
from ..rid import RID, KoiNetNode


@quick
class EventType(StrEnum):
    """What happened in the cache of the node that says so. A signal, not a command."""

    NEW = "NEW"
    UPDATE = "UPDATE"
    FORGET = "FORGET"


@dataclass(frozen=True, slots=True)
class Event(WireModel):
    """A RID, a manifest or a bundle with an event type attached."""

    rid: RID
    event_type: EventType
    manifest: Manifest | None = None
    contents: dict[str, Any] | None = None

    @classmethod
    def from_bundle(cls, event_type: EventType, bundle: Bundle) -> Event:
        """Return the event that carries a whole bundle."""
        return cls(bundle.rid, event_type, bundle.manifest, bundle.contents)

    @classmethod
    def from_manifest(cls, event_type: EventType, manifest: Manifest) -> Event:
        """Return the event that carries a manifest only."""
        return cls(manifest.rid, event_type, manifest)

    @classmethod
    def from_rid(cls, event_type: EventType, rid: RID) -> Event:
        """Return the event that carries a RID only."""
        return cls(rid, event_type)

    @property
    def bundle(self) -> Bundle | None:
        """The bundle, if the event carries both of its parts."""
        if self.manifest is None or self.contents is None:
            return None
        return Bundle(self.manifest, self.contents)

    def signed_form(self) -> bytes:
        """Return the JSON that signatures cover: parts that are absent are left out."""
        return wire_form(_Sparse(self.rid, self.event_type, self.manifest, self.contents))


@dataclass(frozen=True, slots=True)
class ReceivedEvent(Event):
    """An event from a poll: who signed it, and its place in the sender's queue.

    `lane` and `seq` let the pipeline recognise an event that is handed out again.
    """

    sender: KoiNetNode | None = None
    lane: str = ""
    seq: int = 0


class _Sparse(msgspec.Struct, omit_defaults=True):
    rid: RID
    event_type: EventType
    manifest: Manifest | None = None
    contents: dict[str, Any] | None = None
