"""A queued object as a row of the database."""

from __future__ import annotations

from typing import Any

import msgspec

from ..bundle import Manifest
from ..canonical import to_json_value
from ..model import decode
from ..protocol.event import EventType
from ..rid import RID, KoiNetNode
from .knowledge_object import KnowledgeObject, KnowledgeSource


class Item(msgspec.Struct, eq=False, gc=False):
    """A queued object, its number, and whether its cache action is done already.

    `spooled`: it is in the spool and in no row. `end`: the offset behind its record, if it
    is the last object of that one.
    """

    id: int
    kobj: KnowledgeObject
    stored: bool = False
    spooled: bool = False
    end: int = 0


class _Row(msgspec.Struct, omit_defaults=True, array_like=False):
    rid: RID
    source: KnowledgeSource
    event_type: EventType | None = None
    manifest: Manifest | None = None
    contents: dict[str, Any] | None = None
    sender: KoiNetNode | None = None
    normalized: EventType | None = None
    verified: bool = True
    stored: bool = False


def encode(kobj: KnowledgeObject, *, stored: bool = False) -> bytes:
    """Return the JSON that an object is queued as."""
    return msgspec.json.encode(
        _Row(
            kobj.rid,
            kobj.source,
            kobj.event_type,
            kobj.manifest,
            kobj.contents,
            kobj.sender,
            kobj.normalized_event_type,
            kobj.verified,
            stored,
        ),
        enc_hook=to_json_value,
    )


def decode_item(row_id: int, blob: bytes) -> Item:
    """Read a queued object back."""
    row = decode(blob, _Row)
    kobj = KnowledgeObject(
        row.rid,
        row.manifest,
        row.contents,
        row.event_type,
        row.source,
        row.normalized,
        sender=row.sender,
        verified=row.verified,
    )
    return Item(row_id, kobj, row.stored)
