"""Requests and responses of the five endpoints, as protocol 1.0 writes them.

The signed wire carries the same fields with a `type` in front and without `rid` in a poll,
where the envelope says who asks: see `wire`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ..bundle import Bundle, Manifest
from ..model import WireModel
from ..rid import RID, KoiNetNode, RIDType
from .event import Event, EventType

__all__ = [
    "Bundle",
    "BundlesPayload",
    "Event",
    "EventType",
    "EventsPayload",
    "FetchBundles",
    "FetchManifests",
    "FetchRids",
    "Manifest",
    "ManifestsPayload",
    "PollEvents",
    "RequestModels",
    "ResponseModels",
    "RidsPayload",
]


@dataclass(frozen=True, slots=True)
class PollEvents(WireModel):
    """Ask for the events queued for `rid`; at most `limit` of them, 0 for all."""

    rid: KoiNetNode | None = None
    limit: int = 0


@dataclass(frozen=True, slots=True)
class FetchRids(WireModel):
    """Ask for the RIDs of some types; none named means all."""

    rid_types: list[RIDType] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FetchManifests(WireModel):
    """Ask for manifests by RID or, if no RID is named, by type."""

    rid_types: list[RIDType] = field(default_factory=list)
    rids: list[RID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class FetchBundles(WireModel):
    """Ask for bundles by RID."""

    rids: list[RID]


@dataclass(frozen=True, slots=True)
class RidsPayload(WireModel):
    """The RIDs asked for."""

    rids: list[RID]


@dataclass(frozen=True, slots=True)
class ManifestsPayload(WireModel):
    """The manifests asked for, and the RIDs that there are none of."""

    manifests: list[Manifest]
    not_found: list[RID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class BundlesPayload(WireModel):
    """The bundles asked for, those that there are none of, and those to ask for later."""

    bundles: list[Bundle]
    not_found: list[RID] = field(default_factory=list)
    deferred: list[RID] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EventsPayload(WireModel):
    """A batch of events, oldest first."""

    events: list[Event]


RequestModels = EventsPayload | PollEvents | FetchRids | FetchManifests | FetchBundles
ResponseModels = RidsPayload | ManifestsPayload | BundlesPayload | EventsPayload
