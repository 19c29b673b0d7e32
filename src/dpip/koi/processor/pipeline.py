"""The five phases, as a conversation: the pipeline asks, its driver does.

    RID -> Manifest -> Bundle -> [cache] -> Network -> [broadcast] -> Final
             (skipped for FORGET)

`run` is a generator. It yields effects and is sent their results, so it never touches a
cache, a socket or a clock, and it can be left waiting for a slow peer while other objects
are processed. A `Fetch` is answered with a Manifest or Bundle or None; the others with
None. It can be entered at the Network phase again, for an object whose cache action is
done: that is how a restarted node goes on with what it was doing.

`Chain` runs the handlers of one phase; `Gate` is the policy, asked before handlers are.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Literal

import msgspec

from ..canonical import matches
from ..protocol.event import Event, EventType
from ..rid import RID, KoiNetNode
from .handler import HandlerType, StopChain
from .knowledge_object import KnowledgeObject, KnowledgeSource

Chain = Callable[[HandlerType, KnowledgeObject], "KnowledgeObject | StopChain"]
Gate = Callable[[KnowledgeObject], bool]


class Fetch(msgspec.Struct, frozen=True, gc=False):
    """Obtain what is missing: from the cache, or from another node."""

    what: Literal["manifest", "bundle"]
    rid: RID
    origin: Literal["cache", "network"]
    sender: KoiNetNode | None = None


class Store(msgspec.Struct, frozen=True, gc=False):
    """Write the object's bundle to the cache, or delete it (FORGET)."""

    kobj: KnowledgeObject


class Broadcast(msgspec.Struct, frozen=True, gc=False):
    """Send the normalised event to the targets."""

    event: Event
    targets: frozenset[KoiNetNode]


Effect = Fetch | Store | Broadcast
Run = Generator[Effect, Any, None]


def run(kobj: KnowledgeObject, chain: Chain, gate: Gate, *, stored: bool = False) -> Run:
    """Process one object; `stored` enters after the cache action."""
    current: KnowledgeObject | StopChain | None = kobj
    if not stored:
        current = yield from _decide(kobj, chain, gate)
        if current is None:
            return
        yield Store(current)
    if not isinstance(current, KnowledgeObject):
        return
    current = chain(HandlerType.Network, current)
    if isinstance(current, StopChain):
        return
    event = current.normalized_event if current.network_targets else None
    if event is not None:
        yield Broadcast(event, frozenset(current.network_targets))
    chain(HandlerType.Final, current)


def _decide(
    kobj: KnowledgeObject, chain: Chain, gate: Gate
) -> Generator[Effect, Any, KnowledgeObject | None]:
    """Run the phases up to the cache action; None ends the processing."""
    first = chain(HandlerType.RID, kobj)
    if isinstance(first, StopChain):
        return None
    completed = yield from _complete(first, chain, gate)
    if completed is None:
        return None
    if completed.source == KnowledgeSource.External and completed.manifest is not None:
        completed.verified = matches(completed.contents, completed.manifest.sha256_hash)
    decided = chain(HandlerType.Bundle, completed)
    if isinstance(decided, StopChain) or decided.normalized_event_type is None:
        return None
    return decided


def _complete(
    kobj: KnowledgeObject, chain: Chain, gate: Gate
) -> Generator[Effect, Any, KnowledgeObject | None]:
    """Obtain the manifest and the contents that the Bundle phase is promised."""
    if kobj.event_type is EventType.FORGET:
        if not gate(kobj):
            return None
        held = yield Fetch("bundle", kobj.rid, "cache")
        if held is None:
            return None
        kobj.manifest, kobj.contents = held.manifest, held.contents
        return kobj
    internal = kobj.source == KnowledgeSource.Internal
    origin: Literal["cache", "network"] = "cache" if internal else "network"
    if kobj.manifest is None:
        kobj.manifest = yield Fetch("manifest", kobj.rid, origin, kobj.sender)
        if kobj.manifest is None:
            return None
    if not gate(kobj):
        return None
    seen = chain(HandlerType.Manifest, kobj)
    if isinstance(seen, StopChain):
        return None
    if seen.contents is None:
        found = yield Fetch("bundle", seen.rid, origin, seen.sender)
        if found is None:
            return None
        seen.manifest, seen.contents = found.manifest, found.contents
        if not gate(seen):
            return None
    return seen
