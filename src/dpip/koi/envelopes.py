"""Sealing what goes out and opening what comes in: the four checks of the signed wire."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from .errors import InvalidContents, KoiError, MalformedMessage, Refused
from .model import convert
from .protocol import wire
from .protocol.api_models import EventsPayload
from .protocol.errors import ErrorType
from .protocol.node import NodeProfile
from .rid import KoiNetNode
from .signing import key_id, verified

if TYPE_CHECKING:
    from .identity import NodeIdentity
    from .network.graph import NetworkGraph
    from .rid import RID

T = TypeVar("T")
MOST_INTRODUCED = 10_000
LONGEST_HANDSHAKE = 16
"""Events; an introduction among more of them is not looked for, if the sender is known."""


@dataclass(frozen=True, slots=True)
class Opened(Generic[T]):
    """A payload that passed the checks. `sender` and `token` are empty on the plain wire."""

    payload: T
    sender: KoiNetNode | None = None
    token: bytes = b""


class Envelopes:
    """Seals for, and opens from, the nodes whose keys are known."""

    def __init__(
        self, identity: NodeIdentity, graph: NetworkGraph, *, allow_unsigned: bool
    ) -> None:
        self._identity = identity
        self._graph = graph
        self.allow_unsigned = allow_unsigned
        # Keys of nodes that introduced themselves, until the pipeline has their profile.
        self._introduced: OrderedDict[RID, str] = OrderedDict()

    def seal(self, payload: bytes, target: RID, *, signature: str = "") -> tuple[bytes, str]:
        """Return the signed message and its signature; a given signature is used again."""
        frame = wire.OPENING + payload + wire.closing(str(self._identity.rid), str(target))
        signature = signature or self._identity.key.sign(frame + b"}")
        return frame + b',"signature":"%s"}' % signature.encode(), signature

    def open(self, body: bytes, kind: type[T], *, expected: RID | None = None) -> Opened[T]:
        """Check a message from outside and return what it says.

        `expected` is the node that was asked, for answers. Raises MalformedMessage, or
        Refused with unknown_node, invalid_key, invalid_signature, invalid_target, checked
        in this order.
        """
        message = wire.read(body, kind)
        envelope = message.envelope
        if envelope is None:
            if not self.allow_unsigned or expected is not None:
                raise MalformedMessage("a signed message is required here")
            return Opened(message.payload)
        key, introduced = self._key_of(envelope.source, message.payload)
        if key_id(key) != envelope.source.id:
            raise Refused(ErrorType.InvalidKey)
        token = _token(envelope, kind, key)
        if not token:
            raise Refused(ErrorType.InvalidSignature)
        if envelope.target != str(self._identity.rid):
            raise Refused(ErrorType.InvalidTarget)
        if expected is not None and envelope.source != expected:
            raise Refused(ErrorType.UnknownNode, f"{envelope.source} answered for {expected}")
        if introduced or _introduces_again(message.payload, envelope.source):
            self.introduce(envelope.source, key)
        return Opened(message.payload, envelope.source, token)

    def introduce(self, node: RID, key: str) -> None:
        """Remember the key of a node that is not in the cache yet."""
        self._introduced[node] = key
        while len(self._introduced) > MOST_INTRODUCED:
            self._introduced.popitem(last=False)

    def settled(self, node: KoiNetNode) -> None:
        """If its profile is in the cache now, the node's key is known for as long as that is."""
        profile = self._graph.get_node_profile(node)
        if profile is not None and profile.public_key:
            self._introduced.pop(node, None)

    def key_of(self, node: KoiNetNode) -> str | None:
        """Return the public key of a known node."""
        profile = self._graph.get_node_profile(node)
        if profile is not None and profile.public_key:
            return profile.public_key
        return self._introduced.get(node)

    def _key_of(self, source: KoiNetNode, payload: Any) -> tuple[str, bool]:
        """Return the sender's key and whether it comes from an introduction in the payload."""
        key = self.key_of(source)
        if key is not None:
            return key, False
        events = payload.events if isinstance(payload, EventsPayload) else []
        event = wire.introduction(events, source)
        if event is None or event.contents is None:
            raise Refused(ErrorType.UnknownNode)
        try:
            profile = convert(event.contents, NodeProfile)
        except InvalidContents:
            raise Refused(ErrorType.UnknownNode, "the profile is not one") from None
        if not profile.public_key:
            raise Refused(ErrorType.InvalidKey, "the profile has no key")
        return profile.public_key, True


def _introduces_again(payload: Any, source: RID) -> bool:
    """Say whether a known sender says once more who it is.

    That is FORGET and NEW, and between the two its profile is not in the cache.
    """
    if not isinstance(payload, EventsPayload) or len(payload.events) > LONGEST_HANDSHAKE:
        return False
    return wire.introduction(payload.events, source) is not None


def _token(envelope: wire.Envelope, kind: type[Any], key: str) -> bytes:
    """Return the replay token of a signature that holds, else nothing."""
    try:
        return verified(key, envelope.signed_forms(kind), envelope.signature)
    except (msgspec.MsgspecError, KoiError, ValueError, RecursionError):
        return b""
