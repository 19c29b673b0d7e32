"""PubSub of a Kubo daemon, and IPNS over it: records arrive as they are published.

A daemon that once looked a name up subscribes to the name's topic, and from then on answers
for it with the newest record that anybody in the swarm published
(https://specs.ipfs.tech/ipns/ipns-pubsub-router/). Off unless `Pubsub.Enabled` and
`Ipns.UsePubsub` are set; calls then raise Refused, only `names_enabled` says so plainly.
Kubo validates messages as it does IPNS records, so a topic of one's own carries messages at
most once each.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import Unavailable
from .http import Http, Part

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Message:
    """What a peer published: its peer ID, the bytes, and the topics they went to."""

    sender: str
    data: bytes
    topics: tuple[str, ...]


class PubSub:
    """The PubSub calls of one daemon. Topics are text; on the wire they are multibase."""

    def __init__(self, http: Http) -> None:
        self._http = http

    def publish(self, topic: str, data: bytes) -> None:
        """Publish a message; the daemon spreads it to whoever subscribes."""
        self._http.call("pubsub/pub", [("arg", encoded(topic))], Part(lambda: [data]))

    def subscribe(self, topic: str, *, timeout: float = 3600) -> Iterator[Message]:
        """Yield messages as they come; Unavailable after `timeout` seconds without any.

        The subscription ends when the iterator is closed.
        """
        lines = self._http.lines("pubsub/sub", [("arg", encoded(topic))], timeout=timeout)
        return (_message(line) for line in lines)

    def topics(self) -> list[str]:
        """Return the topics that the daemon subscribes to."""
        found = self._http.call("pubsub/ls").get("Strings") or []
        return [_text(decoded(topic)) for topic in found]

    def peers(self, topic: str | None = None) -> list[str]:
        """Return the IDs of peers that speak PubSub, or only those that subscribe to a topic."""
        params = [] if topic is None else [("arg", encoded(topic))]
        return list(self._http.call("pubsub/peers", params).get("Strings") or [])

    def names_enabled(self) -> bool:
        """Say whether the daemon publishes and resolves IPNS names over PubSub."""
        return bool(self._http.call("name/pubsub/state").get("Enabled"))

    def names(self) -> list[str]:
        """Return the IPNS names (`k51…`) that the daemon has subscribed to."""
        found = self._http.call("name/pubsub/subs", [("ipns-base", "base36")]).get("Strings") or []
        return [name.removeprefix("/ipns/") for name in found]

    def cancel(self, name: str) -> bool:
        """End the subscription to an IPNS name; False if there was none."""
        return bool(self._http.call("name/pubsub/cancel", [("arg", name)]).get("Canceled"))


def encoded(topic: str) -> str:
    """Return a topic as multibase, base64url."""
    raw = topic.encode("utf-8", "surrogateescape")
    return "u" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """Return the bytes of multibase base64url, however long. Raises Unavailable."""
    try:
        if not text.startswith("u"):
            raise ValueError(text[:1])
        return base64.b64decode(text[1:] + "=" * (-len(text[1:]) % 4), b"-_", validate=True)
    except (ValueError, binascii.Error):
        raise Unavailable("the daemon's PubSub answer is not base64url") from None


def _text(raw: bytes) -> str:
    return raw.decode("utf-8", "surrogateescape")


def _message(line: dict[str, Any]) -> Message:
    topics = tuple(_text(decoded(topic)) for topic in line.get("topicIDs") or [])
    return Message(str(line.get("from") or ""), decoded(str(line.get("data") or "u")), topics)
