"""One request to one node: where to, on which wire, and is the answer its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from ..bundle import Bundle
from ..errors import KoiError, MalformedMessage, Refused, UnreachablePeer, UnusableAnswer
from ..model import decode
from ..protocol import wire
from ..protocol.api_models import EventsPayload, PollEvents
from ..protocol.consts import BROADCAST_EVENTS_PATH
from ..protocol.errors import ErrorType
from ..protocol.event import Event, EventType
from ..protocol.node import NodeProfile, NodeType
from ..rid import RID, KoiNetNode
from ..signing import key_id
from .transport import DEFAULT_TIMEOUT, Answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..envelopes import Envelopes
    from ..identity import NodeIdentity
    from .graph import NetworkGraph
    from .transport import Transport

T = TypeVar("T")

NODE_PATH = "/node"
"""Where nodes of this library say who they are: an addition to the protocol, GET."""

SEQUENCE_HEADER = "koi-sequence"
RECEIVED_HEADER = "koi-received"


@dataclass(frozen=True, slots=True)
class Peer:
    """Whom to call: a base URL, and the RID if the signed wire is to be spoken."""

    url: str
    rid: KoiNetNode | None = None
    signed: bool = False


class Caller:
    """Calls other nodes. `contacts` are RID and URL pairs that the operator gave."""

    def __init__(
        self,
        identity: NodeIdentity,
        graph: NetworkGraph,
        envelopes: Envelopes,
        transport: Transport,
        *,
        contacts: dict[KoiNetNode, str] | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self.identity = identity
        self.graph = graph
        self.envelopes = envelopes
        self.transport = transport
        self.contacts = contacts or {}
        self.timeout = timeout
        self.replaced: set[KoiNetNode] = set()
        """Nodes whose URL answers in the name of another one now."""
        self.on_replaced: Callable[[str], None] = lambda _: None
        """Called with the URL each time that this shows."""
        self._plain: set[KoiNetNode] = set()
        self._found: dict[str, Peer] = {}

    async def peer(self, node: RID | None, url: str | None) -> Peer:
        """Return whom to call; raise UnreachablePeer if there is no way to that node."""
        if isinstance(node, KoiNetNode):
            return self._known(node, url)
        if url is None:
            raise UnreachablePeer("neither a node nor a URL was given")
        known = self.graph.node_at(url, besides=self.replaced)
        if known is not None and self.envelopes.key_of(known):
            return self._known(known, url)
        return await self._discover(url.rstrip("/"))

    def _known(self, node: KoiNetNode, url: str | None) -> Peer:
        profile = self.graph.get_node_profile(node)
        if profile is not None and profile.node_type == NodeType.FULL:
            url = url or profile.base_url
        url = url or self.contacts.get(node)
        if not url:
            raise UnreachablePeer(f"{node} has no known URL")
        keyed = self.envelopes.key_of(node) is not None or node.names_key
        keyed = keyed and node not in self._plain
        return Peer(url.rstrip("/"), node, self._wire(signed=keyed, what=str(node)))

    def _wire(self, *, signed: bool, what: str) -> bool:
        if signed and self.identity.signs:
            return True
        if not self.envelopes.allow_unsigned:
            raise UnreachablePeer(f"{what} does not sign, and unsigned messages are not allowed")
        return False

    async def discover(self, url: str) -> Peer:
        """Ask a URL anew who is there."""
        self._found.pop(url, None)
        return await self._discover(url)

    async def _discover(self, url: str) -> Peer:
        """Ask a URL who is there; a node of another library does not say, and is called plain."""
        if url in self._found:
            return self._found[url]
        answer = await self.transport.send(url + NODE_PATH, None, {}, self.timeout)
        peer = Peer(url)
        if answer.status == 200:
            peer = self._introduced(url, answer.body)
        if not peer.signed:
            self._wire(signed=False, what=url)
        self._found[url] = peer
        return peer

    def _introduced(self, url: str, body: bytes) -> Peer:
        try:
            bundle = decode(body, Bundle)
            profile = bundle.validate_contents(NodeProfile)
        except KoiError:
            return Peer(url)
        rid, key = bundle.rid, profile.public_key
        if not isinstance(rid, KoiNetNode) or not key or key_id(key) != rid.id:
            return Peer(url)
        self.envelopes.introduce(rid, key)
        self.contacts.setdefault(rid, url)
        self.replaced.discard(rid)
        return Peer(url, rid, self.identity.signs)

    async def ask(self, peer: Peer, path: str, payload: Any, kind: type[T]) -> T:
        """Send a request and return the answer; raise UnreachablePeer or UnusableAnswer."""
        found, _ = await self.exchange(peer, path, payload, kind)
        return found

    async def exchange(
        self, peer: Peer, path: str, payload: Any, kind: type[T], *, headers: Any = None
    ) -> tuple[T, Answer]:
        """Send a request and return the answer with its HTTP headers.

        A peer that does not know this node is told who it is, and asked once more.
        """
        try:
            return await self._exchange(peer, path, payload, kind, headers)
        except UnusableAnswer as error:
            if error.code != ErrorType.UnknownNode:
                raise
            await self.introduce(peer)
            return await self._exchange(peer, path, payload, kind, headers)

    async def _exchange(
        self, peer: Peer, path: str, payload: Any, kind: type[T], headers: Any
    ) -> tuple[T, Answer]:
        if peer.signed and peer.rid is not None:
            body, _ = self.envelopes.seal(wire.signed_payload(payload), peer.rid)
        else:
            if isinstance(payload, PollEvents) and payload.rid is None:
                payload = PollEvents(self.identity.rid, payload.limit)
            body = wire.plain_payload(payload)
        answer = await self.post(peer, path, body, headers)
        try:
            opened = self.envelopes.open(
                answer.body, kind, expected=peer.rid if peer.signed else None
            )
        except (MalformedMessage, Refused) as error:
            raise UnusableAnswer(f"{peer.url}{path}: {error}", status=200) from None
        return opened.payload, answer

    async def post(self, peer: Peer, path: str, body: bytes, headers: Any = None) -> Answer:
        """Send a finished body; raise UnusableAnswer unless the answer is a success."""
        sent = {"Content-Type": "application/json", **(headers or {})}
        answer = await self.transport.send(peer.url + path, body, sent, self.timeout)
        if answer.status != 200:
            self._found.pop(peer.url, None)
            code = _error_code(answer.body)
            if code == ErrorType.InvalidTarget and peer.rid is not None:
                self.replaced.add(peer.rid)
                self.on_replaced(peer.url)
            text = f"{peer.url}{path} answered {answer.status} {code}".rstrip()
            raise UnusableAnswer(text, status=answer.status, code=code)
        if peer.rid is not None:
            self.replaced.discard(peer.rid)
        return answer

    async def broadcast(self, peer: Peer, events: list[Event]) -> None:
        """Deliver events now, past all queues."""
        payload = EventsPayload(events)
        if peer.signed and peer.rid is not None:
            body, _ = self.envelopes.seal(wire.signed_payload(payload), peer.rid)
        else:
            body = wire.plain_payload(payload)
        try:
            await self.post(peer, BROADCAST_EVENTS_PATH, body)
        except UnusableAnswer as error:
            if not self.speaks_plain(peer, error):
                raise
            await self.post(peer, BROADCAST_EVENTS_PATH, wire.plain_payload(payload))

    def speaks_plain(self, peer: Peer, error: UnusableAnswer) -> bool:
        """Say whether a peer with a key turns out to understand plain messages only.

        Such is a node of this library behind routes of its owner's making. Remembered.
        """
        if not (peer.signed and error.status == 422 and self.envelopes.allow_unsigned):
            return False
        if peer.rid is not None:
            self._plain.add(peer.rid)
        return True

    async def introduce(self, peer: Peer) -> None:
        """Say who this node is: FORGET first, so that the NEW is not taken for known."""
        bundle = self.identity.bundle
        forget = Event.from_rid(EventType.FORGET, self.identity.rid)
        await self.broadcast(peer, [forget, Event.from_bundle(EventType.NEW, bundle)])


def _error_code(body: bytes) -> str:
    try:
        found = msgspec.json.decode(body)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return ""
    code = found.get("error") if isinstance(found, dict) else None
    return code if isinstance(code, str) else ""
