"""A subscription: events of some types flow from `source` to `target`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from ..bundle import Bundle
from ..model import WireModel, to_plain
from ..rid import KoiNetEdge, KoiNetNode, RIDType

if TYPE_CHECKING:
    from datetime import datetime


class EdgeStatus(StrEnum):
    """The target proposes; the source approves, or answers with a FORGET."""

    PROPOSED = "PROPOSED"
    APPROVED = "APPROVED"


class EdgeType(StrEnum):
    """WEBHOOK: the source calls the target. POLL: the target asks the source."""

    WEBHOOK = "WEBHOOK"
    POLL = "POLL"


@dataclass(slots=True)
class EdgeProfile(WireModel):
    """The contents of an edge bundle; the target is the subscriber."""

    source: KoiNetNode
    target: KoiNetNode
    edge_type: EdgeType
    status: EdgeStatus
    rid_types: list[RIDType]


def generate_edge_bundle(
    source: KoiNetNode,
    target: KoiNetNode,
    rid_types: list[RIDType],
    edge_type: EdgeType,
    status: EdgeStatus = EdgeStatus.PROPOSED,
    *,
    now: datetime | None = None,
) -> Bundle:
    """Return the bundle that proposes (or approves) a subscription, as of `now`."""
    profile = EdgeProfile(source, target, edge_type, status, rid_types)
    return Bundle.generate(KoiNetEdge.generate(source, target), to_plain(profile), now=now)
