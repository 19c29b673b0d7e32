"""What the spool of a node holds: accepted bodies as they came, and signatures of polls."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..protocol import wire
from ..protocol.api_models import EventsPayload
from ..signing import replay_token
from .knowledge_object import KnowledgeObject, KnowledgeSource

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..protocol.event import Event
    from ..rid import KoiNetNode

_BODY = struct.Struct(">cQIIH")  # kind, first, count, skipped, length of the sequence
_KIND = b"B"
_TOKEN = b"T"
LONGEST_SEQUENCE = 200


@dataclass(frozen=True, slots=True)
class Accepted:
    """A body and the place of its objects in the queue: `count` numbers from `first` on.

    `skipped` events in front had been accepted before; `sequence` is the header that said so.
    """

    first: int
    count: int
    body: bytes
    skipped: int = 0
    sequence: str = ""

    @property
    def last(self) -> int:
        """The number of the last object."""
        return self.first + self.count - 1

    def written(self) -> bytes:
        """Return the record."""
        sequence = self.sequence.encode()
        head = _BODY.pack(_KIND, self.first, self.count, self.skipped, len(sequence))
        return b"".join((head, sequence, self.body))

    def said(self) -> tuple[list[KnowledgeObject], bytes]:
        """Return the objects, as on the day when they came, and the token of the signature."""
        message = wire.read(self.body, EventsPayload)
        sender = None if message.envelope is None else message.envelope.source
        token = b"" if message.envelope is None else replay_token(message.envelope.signature)
        return knowledge(message.payload.events, sender)[self.skipped :], token


def token_record(token: bytes) -> bytes:
    """Return the record of a signature that must not count a second time."""
    return _TOKEN + token


def read(record: bytes) -> Accepted | bytes:
    """Return what a record says: a body, or a token."""
    if record[:1] == _TOKEN:
        return record[1:]
    _, first, count, skipped, length = _BODY.unpack_from(record)
    sequence = record[_BODY.size : _BODY.size + length].decode()
    return Accepted(first, count, record[_BODY.size + length :], skipped, sequence)


def knowledge(events: Iterable[Event], sender: KoiNetNode | None) -> list[KnowledgeObject]:
    """Return events from outside as objects for the pipeline."""
    found = []
    for event in events:
        manifest, contents = event.manifest, event.contents
        if manifest is None or (manifest.rid is not event.rid and manifest.rid != event.rid):
            manifest = contents = None  # a manifest that speaks of another RID is not taken
        found.append(
            KnowledgeObject(
                event.rid,
                manifest,
                contents,
                event.event_type,
                KnowledgeSource.External,
                None,
                set(),
                sender,
            )
        )
    return found


def numbered(sequence: str) -> tuple[str, int, int]:
    """Read the lane, the first and the last number of a batch; no lane if it is not that."""
    lane, _, span = sequence.rpartition(":")
    first, _, last = span.partition("-")
    numbers = first.isdecimal() and last.isdecimal()
    if not lane or not numbers or len(sequence) > LONGEST_SEQUENCE:
        return "", 0, 0
    return lane, int(first), int(last)
