"""Two wires, told apart by the body: plain (1.0) and signed (1.1 to 2.1).

A signed message is `{"payload", "source_node", "target_node", "signature"}`; the signature
covers the first three, in that order, as compact JSON *of the re-serialised models*: all
defaults written, absent parts of events left out, unknown fields dropped, times
normalised. So a verifier has to try more than one form:

1. the payload as received: what real peers send is canonical already, and a signature over
   the very bytes that we read is as good as one can get;
2. the canonical form that keeps unknown fields of manifests (rid-lib 3.3 writes
   `@context` there);
3. the canonical form that drops them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from ..canonical import wire_form
from ..errors import InvalidContents, InvalidRid, MalformedMessage
from ..model import convert, decode, to_plain
from ..rid import RID, KoiNetNode
from .api_models import (
    BundlesPayload,
    EventsPayload,
    FetchBundles,
    FetchManifests,
    FetchRids,
    ManifestsPayload,
    PollEvents,
    RidsPayload,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .event import Event

T = TypeVar("T")

PAYLOAD_TYPES: dict[type[Any], str] = {
    PollEvents: "poll_events",
    FetchRids: "fetch_rids",
    FetchManifests: "fetch_manifests",
    FetchBundles: "fetch_bundles",
    RidsPayload: "rids_payload",
    ManifestsPayload: "manifests_payload",
    BundlesPayload: "bundles_payload",
    EventsPayload: "events_payload",
}
_OPENINGS = {kind: b'{"type":"%s",' % name.encode() for kind, name in PAYLOAD_TYPES.items()}


@dataclass(frozen=True, slots=True)
class Message(Generic[T]):
    """What a body says. A plain message has no envelope, and so no sender."""

    payload: T
    envelope: Envelope | None = None


@dataclass(frozen=True, slots=True)
class Envelope:
    """Who signs what for whom; `raw` is the payload as received."""

    source: KoiNetNode
    target: str
    signature: str
    raw: bytes

    def framed(self, payload: bytes) -> bytes:
        """Return the message that a signature covers, for one form of the payload."""
        return b"".join((OPENING, payload, closing(str(self.source), self.target), b"}"))

    def signed_forms(self, kind: type[Any]) -> Iterator[bytes]:
        """Yield the messages that the signature may cover, likeliest first."""
        yield self.framed(self.raw)
        plain = msgspec.json.decode(self.raw)
        for keep in (True, False):
            yield self.framed(_canonical(plain, kind, keep=keep))


class _Outer(msgspec.Struct):
    payload: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    source_node: str = ""
    target_node: str = ""
    signature: str | msgspec.UnsetType = msgspec.UNSET


class _Typed(msgspec.Struct):
    type: str | None = None


_outer = msgspec.json.Decoder(_Outer)
_typed = msgspec.json.Decoder(_Typed)

_BEYOND_MICROSECONDS = re.compile(r"(\.\d{6})\d+")  # cut, where our reader would round

OPENING = b'{"payload":'


@lru_cache(maxsize=1024)
def closing(source: str, target: str) -> bytes:
    """Return what follows the payload, up to the signature."""
    return b'%s%s,"target_node":%s' % (
        b',"source_node":',
        msgspec.json.encode(source),
        msgspec.json.encode(target),
    )


def read(body: bytes, kind: type[T]) -> Message[T]:
    """Read a body of either wire; raise MalformedMessage."""
    try:
        if not body.isascii():
            body.decode()  # what no field asks for is not looked at by the decoder below
        outer = _outer.decode(body)
        if outer.payload is msgspec.UNSET or outer.signature is msgspec.UNSET:
            return Message(decode(body, kind))
        raw = bytes(outer.payload)
        given = _type_of(raw, kind)
        source = RID.from_string(outer.source_node)
        RID.from_string(outer.target_node)
    except (msgspec.MsgspecError, UnicodeError, RecursionError, InvalidRid) as error:
        raise MalformedMessage(str(error)[:300]) from None
    if given not in {None, PAYLOAD_TYPES[kind]}:
        raise MalformedMessage(f"payload is a {given}, not a {PAYLOAD_TYPES[kind]}")
    if not isinstance(source, KoiNetNode):
        raise MalformedMessage("source_node is not a node")
    envelope = Envelope(source, outer.target_node, outer.signature, raw)
    return Message(decode(raw, kind), envelope)


def _type_of(raw: bytes, kind: type[Any]) -> str | None:
    """Return the type that a payload names: at a glance if it is in front, where all put it."""
    if raw.startswith(_OPENINGS[kind]):
        return PAYLOAD_TYPES[kind]
    return _typed.decode(raw).type


def signed_payload(payload: Any) -> bytes:
    """Return a payload as the signed wire writes it."""
    if isinstance(payload, EventsPayload):
        return events_payload([event.signed_form() for event in payload.events])
    if isinstance(payload, PollEvents):
        return b'{"type":"poll_events","limit":%d}' % payload.limit
    kind = PAYLOAD_TYPES[type(payload)].encode()
    return b'{"type":"%s",%s' % (kind, wire_form(payload)[1:])


def events_payload(events: list[bytes]) -> bytes:
    """Return a batch whose events are in signed form already."""
    return b'{"type":"events_payload","events":[%s]}' % b",".join(events)


def plain_payload(payload: Any) -> bytes:
    """Return a payload as protocol 1.0 writes it."""
    return wire_form(payload)


def introduction(events: list[Event], source: RID) -> Event | None:
    """Return the event by which `source` introduces itself: NEW, with its own bundle."""
    for event in events:
        if event.rid == source and event.event_type == "NEW" and event.contents is not None:
            return event if event.manifest is not None else None
    return None


def _canonical(plain: Any, kind: type[Any], *, keep: bool) -> bytes:
    for theirs in _manifests(plain):
        if isinstance(theirs.get("timestamp"), str):
            theirs["timestamp"] = _BEYOND_MICROSECONDS.sub(r"\1", theirs["timestamp"])
    try:
        ours = to_plain(convert(plain, kind))
    except InvalidContents as error:
        raise MalformedMessage(str(error)) from None
    for event in ours.get("events", ()):
        for part in ("manifest", "contents"):
            if event[part] is None:
                del event[part]
    if keep:
        for mine, theirs in zip(_manifests(ours), _manifests(plain), strict=False):
            mine.update({key: value for key, value in theirs.items() if key not in mine})
    if kind is PollEvents:
        ours = {"limit": ours["limit"]}
    return wire_form({"type": PAYLOAD_TYPES[kind], **ours})


def _manifests(plain: dict[str, Any]) -> list[dict[str, Any]]:
    holders = [*(plain.get("events") or ()), *(plain.get("bundles") or ())]
    found = [holder.get("manifest") for holder in holders]
    return [manifest for manifest in [*found, *(plain.get("manifests") or ())] if manifest]
