"""Requests from other nodes, answered: the server without HTTP."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from .errors import KoiError, MalformedMessage, QueueFull, Refused
from .model import decode
from .network.caller import RECEIVED_HEADER, SEQUENCE_HEADER
from .processor.records import knowledge, numbered
from .protocol import wire
from .protocol.api_models import (
    EventsPayload,
    FetchBundles,
    FetchManifests,
    FetchRids,
    PollEvents,
)
from .protocol.consts import (
    FETCH_BUNDLES_PATH,
    FETCH_MANIFESTS_PATH,
    FETCH_RIDS_PATH,
    POLL_EVENTS_PATH,
)
from .protocol.errors import ErrorResponse, ErrorType
from .protocol.event import Event

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .envelopes import Opened
    from .node import NodeInterface
    from .outbox import Batch
    from .processor.knowledge_object import KnowledgeObject
    from .rid import KoiNetNode

logger = logging.getLogger(__name__)

REQUESTS: dict[str, type[Any]] = {
    POLL_EVENTS_PATH: PollEvents,
    FETCH_RIDS_PATH: FetchRids,
    FETCH_MANIFESTS_PATH: FetchManifests,
    FETCH_BUNDLES_PATH: FetchBundles,
}


@dataclass(frozen=True, slots=True)
class Reply:
    """HTTP status, body (whole, or in pieces) and headers of an answer."""

    status: int
    body: bytes | Iterator[bytes]
    headers: dict[str, str] = field(default_factory=dict)


ACCEPTED = Reply(200, b"null")


@dataclass(frozen=True, slots=True)
class Broadcast:
    """A body sent to the broadcast endpoint, with the one header that matters."""

    body: bytes
    sequence: str = ""


class Responder:
    """Answers for one node. Thread-safe; never raises for what is in a message."""

    def __init__(self, node: NodeInterface) -> None:
        self._node = node

    def broadcast(self, broadcasts: Sequence[Broadcast]) -> list[Reply]:
        """Check and queue several bodies; they survive this process when this returns."""
        replies = [self._guarded(self._accept, one) for one in broadcasts]
        self._node.inbox.sync()
        self._node.processor.wake()
        return replies

    @property
    def waits_for_disk(self) -> bool:
        """Whether accepting waits for a disk: then it is no work for an event loop."""
        return self._node.store.sync

    def _accept(self, one: Broadcast) -> Reply:
        opened = self._node.envelopes.open(one.body, EventsPayload)
        kobjs = knowledge(opened.payload.events, opened.sender)
        if opened.token:
            self._accept_signed(one, kobjs, opened)
        else:
            self._accept_plain(one, kobjs)
        return ACCEPTED

    def _accept_signed(
        self, one: Broadcast, kobjs: list[KnowledgeObject], opened: Opened[EventsPayload]
    ) -> None:
        inbox, seen = self._node.inbox, self._node.seen
        with inbox.lock:
            if seen.knows(opened.token):
                logger.info("a copy of an earlier message of %s was ignored", opened.sender)
                return
            if kobjs:
                inbox.accept(one.body, kobjs)
            seen.add(opened.token)

    def _accept_plain(self, one: Broadcast, kobjs: list[KnowledgeObject]) -> None:
        lane, first, last = numbered(one.sequence)
        inbox, seen = self._node.inbox, self._node.seen
        with inbox.lock:
            known = max(0, seen.mark(lane) - first + 1) if lane else 0
            if kobjs[known:]:
                inbox.accept(one.body, kobjs[known:], skipped=known, sequence=lane and one.sequence)
            if lane:
                seen.advance(lane, last)

    def answer(self, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Answer one of the four other endpoints."""
        return self._guarded(self._answer, (path, body, headers))

    def _answer(self, request: tuple[str, bytes, Mapping[str, str]]) -> Reply:
        path, body, headers = request
        opened = self._node.envelopes.open(body, REQUESTS[path])
        if isinstance(opened.payload, PollEvents):
            return self._poll(opened, headers)
        pieces = self._node.network.response_handler.stream(opened.payload, opened.sender)
        if opened.sender is None:
            return Reply(200, _gathered(_plain(pieces)))
        kind = path.split("/")[1] + "_payload"
        return Reply(200, _gathered(self._signed(kind, pieces, opened.sender)))

    def _poll(self, opened: Opened[PollEvents], headers: Mapping[str, str]) -> Reply:
        who = asking(self._node, opened)
        batch = self._hand_out(who, opened.payload.limit, headers)
        events = [] if batch is None else batch.events
        extra = {} if batch is None else {SEQUENCE_HEADER: self._span(batch)}
        if opened.sender is None:
            plain = EventsPayload([decode(event, Event) for event in events])
            return Reply(200, wire.plain_payload(plain), extra)
        body, _ = self._node.envelopes.seal(wire.events_payload(events), opened.sender)
        return Reply(200, body, extra)

    def _hand_out(self, who: KoiNetNode, limit: int, headers: Mapping[str, str]) -> Batch | None:
        if self._node.network.delivery.is_webhook(who):
            return None
        outbox = self._node.network.outbox
        received = headers.get(RECEIVED_HEADER)
        if received is None:
            return outbox.hand_out(who, limit)
        epoch, _, seq = received.rpartition(":")
        known = int(seq) if epoch == outbox.epoch and seq.isdecimal() else 0
        return outbox.hand_out(who, limit, received=known)

    def _span(self, batch: Batch) -> str:
        return f"{self._node.network.outbox.epoch}:{batch.first}-{batch.last}"

    def node(self) -> Reply:
        """Answer who this node is: its own bundle, for first contact by URL alone."""
        return Reply(200, self._node.identity.bundle.to_json())

    def _signed(self, kind: str, pieces: Iterable[bytes], target: KoiNetNode) -> Iterator[bytes]:
        """Yield a signed answer; the signature comes last, over what went before it."""
        digest = sha256()
        opening = wire.OPENING + b'{"type":"%s",' % kind.encode()
        ending = wire.closing(str(self._node.identity.rid), str(target))
        for piece in _chain(opening, pieces, ending):
            digest.update(piece)
            yield piece
        digest.update(b"}")
        signature = self._node.identity.key.sign_digest(digest.digest())
        yield b',"signature":"%s"}' % signature.encode()

    def _guarded(self, work: Any, request: Any) -> Reply:
        """Turn every way in which a message can be wrong into its answer."""
        try:
            reply: Reply = work(request)
        except Exception as error:  # noqa: BLE001 (every way in which a message can be wrong)
            return refusal(error)
        return reply


def asking(node: NodeInterface, opened: Opened[PollEvents]) -> KoiNetNode:
    """Return who polls; nobody polls twice with one message, or for a node that signs."""
    who = opened.sender or opened.payload.rid
    if who is None:
        raise MalformedMessage("rid: field required")
    if opened.sender is None and who in node.graph.keyed:
        raise Refused(ErrorType.InvalidSignature, f"{who} signs what it asks")
    if opened.token and not node.inbox.accept_token(opened.token):
        raise Refused(ErrorType.InvalidSignature, "this poll was answered before")
    return who


def refusal(error: Exception) -> Reply:
    """Return the answer to a message that raised this."""
    match error:
        case Refused():
            return Reply(400, ErrorResponse(ErrorType(error.code)).to_json())
        case QueueFull():
            return Reply(503, _detail("busy", "too much waits already"), {"retry-after": "5"})
        case MalformedMessage() | ValueError() | RecursionError():
            return Reply(422, _detail("value_error", str(error)))
    # The last net: the reader of a log must see it, no peer.
    logger.error("a request failed", exc_info=error)
    slug = error.slug if isinstance(error, KoiError) else "internal-error"
    return Reply(500, _detail(slug, "the request could not be processed"))


def _plain(pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield b"{"
    yield from pieces


def _chain(opening: bytes, pieces: Iterable[bytes], ending: bytes) -> Iterator[bytes]:
    yield opening
    yield from pieces
    yield ending


_SMALL = 1 << 16


def _gathered(pieces: Iterator[bytes]) -> bytes | Iterator[bytes]:
    """Return a small answer whole; a large one stays a stream."""
    start: list[bytes] = []
    size = 0
    for piece in pieces:
        start.append(piece)
        size += len(piece)
        if size > _SMALL:
            return _resumed(b"".join(start), pieces)
    return b"".join(start)


def _resumed(start: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from rest


def _detail(kind: str, message: str) -> bytes:
    """Return an error body in the shape that FastAPI's clients know."""
    import msgspec

    detail = [{"type": kind, "loc": ["body"], "msg": message[:500]}]
    return msgspec.json.encode({"detail": detail})
