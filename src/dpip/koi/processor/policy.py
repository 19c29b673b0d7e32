"""Who may change what. Replace the policy to trust more, or less.

The reference obeys anybody's UPDATE or FORGET of anything, so one stranger can empty a
network. Here a RID belongs to whoever introduced it: only that node, or the holder of a
key that the operator trusts, may change it. A node may always speak for itself, and either
end of an edge for the edge. Unsigned messages count as one nameless sender, which has no
say in what a node with a key introduced.

Times are bounded: a manifest from the far future would freeze its RID for ever. And what
was forgotten stays so, until it is made anew at a later time.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from ..cache import Record
from ..protocol.edge import EdgeProfile
from ..protocol.event import EventType
from ..rid import RID, KoiNetEdge, KoiNetNode
from .knowledge_object import KnowledgeObject, KnowledgeSource

ANONYMOUS = ""
"""The recorded source of what came unsigned."""


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What is known here when a policy decides.

    `forgotten` is the time up to which manifests of the RID stay forgotten, `edge` the
    profile of the edge that the object is about, `keyed` the nodes that sign.
    """

    now: datetime
    me: KoiNetNode
    record: Record | None
    forgotten: datetime | None
    edge: EdgeProfile | None
    keyed: Container[KoiNetNode]


class Policy(Protocol):
    """Decides whether an external object may go on; called once its manifest is known."""

    def admits(self, kobj: KnowledgeObject, facts: Facts) -> bool:
        """Say whether the node shall consider this object at all."""
        ...


@dataclass(frozen=True, slots=True)
class SourcePolicy:
    """The default: the introducer of a RID and trusted nodes may change it."""

    trusted: frozenset[KoiNetNode] = field(default_factory=frozenset)
    clock_skew: timedelta = timedelta(minutes=10)

    def admits(self, kobj: KnowledgeObject, facts: Facts) -> bool:
        """Say whether time, tombstone and sender allow it."""
        if kobj.source == KnowledgeSource.Internal:
            return True
        if kobj.manifest is not None and not self._timely(kobj, facts):
            return False
        if facts.record is None:
            return True
        return self._authorised(kobj, facts, facts.record)

    def _timely(self, kobj: KnowledgeObject, facts: Facts) -> bool:
        stamp = kobj.manifest.timestamp if kobj.manifest else facts.now
        if stamp > facts.now + self.clock_skew:
            return False
        if kobj.event_type == EventType.FORGET:
            # A FORGET of an older state than ours was overtaken by what followed it.
            return facts.record is None or stamp >= facts.record.manifest.timestamp
        if facts.forgotten is None or _speaks_for_itself(kobj, facts):
            return True
        return stamp > facts.forgotten or (stamp == facts.forgotten and _introduces(kobj))

    def _authorised(self, kobj: KnowledgeObject, facts: Facts, record: Record) -> bool:
        if kobj.sender in self.trusted or _speaks_for_itself(kobj, facts):
            return True
        if facts.edge is not None and isinstance(kobj.rid, KoiNetEdge):
            ends = {facts.edge.source, facts.edge.target}
            return kobj.sender in ends or (kobj.sender is None and bool(_unkeyed(ends, facts)))
        return record.source == (ANONYMOUS if kobj.sender is None else str(kobj.sender))


def _speaks_for_itself(kobj: KnowledgeObject, facts: Facts) -> bool:
    """A node about its own RID; unsigned only if the node has no key to sign with."""
    if not isinstance(kobj.rid, KoiNetNode):
        return False
    return kobj.sender == kobj.rid or (kobj.sender is None and kobj.rid not in facts.keyed)


def _introduces(kobj: KnowledgeObject) -> bool:
    """NEW for a node: a handshake is FORGET and NEW of one profile, and others relay both."""
    return isinstance(kobj.rid, KoiNetNode) and kobj.event_type == EventType.NEW


def _unkeyed(ends: set[KoiNetNode], facts: Facts) -> set[RID]:
    return {end for end in ends if end != facts.me and end not in facts.keyed}
