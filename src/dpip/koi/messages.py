"""Messages of either wire for nodes behind routes of their owner's making.

`server.app` answers all five endpoints by itself. Whoever writes the routes, as the original
document does, and wants the signed wire too, reads each body with `receive` and answers with
what it returns: a plain message gets a plain answer, a signed one a signed answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from .protocol import wire
from .protocol.api_models import EventsPayload, PollEvents
from .protocol.event import ReceivedEvent
from .responder import asking, refusal

if TYPE_CHECKING:
    from .envelopes import Opened
    from .node import NodeInterface
    from .protocol.api_models import ResponseModels
    from .rid import KoiNetNode

__all__ = ["Message", "receive", "refusal"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Message(Generic[T]):
    """A request and how to answer it. `sender` is the node that signed it, or None.

    Events of a signed broadcast know their sender, so handing them to `processor.handle` is
    enough; the `rid` of a poll is whoever asks, on either wire.
    """

    request: T
    sender: KoiNetNode | None
    _node: NodeInterface
    _token: bytes

    def answer(self, payload: ResponseModels | None = None) -> bytes:
        """Return the body of the answer; without a payload, as to a broadcast, it is null.

        A signed broadcast counts as accepted from here on: a copy of it brings no events.
        """
        if payload is None:
            if self._token:
                self._node.inbox.accept_token(self._token)
            return b"null"
        if self.sender is None:
            return wire.plain_payload(payload)
        body, _ = self._node.envelopes.seal(wire.signed_payload(payload), self.sender)
        return body


def receive(node: NodeInterface, body: bytes, kind: type[T]) -> Message[T]:
    """Check a body that came to one of the endpoints.

    Raises MalformedMessage and Refused; `refusal(error)` is what to answer then.
    """
    opened: Opened[Any] = node.envelopes.open(body, kind)
    request: Any = opened.payload
    if isinstance(request, EventsPayload):
        request = _events(node, opened)
    elif isinstance(request, PollEvents):
        request = PollEvents(asking(node, opened), request.limit)
    return Message(request, opened.sender, node, opened.token)


def _events(node: NodeInterface, opened: Opened[Any]) -> EventsPayload:
    if opened.token and node.seen.knows(opened.token):
        return EventsPayload([])
    return EventsPayload(
        [
            ReceivedEvent(
                event.rid, event.event_type, event.manifest, event.contents, opened.sender
            )
            for event in opened.payload.events
        ]
    )
