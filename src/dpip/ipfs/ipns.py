"""IPNS records: a signed, dated pointer from a key's name to a path.

https://specs.ipfs.tech/ipns/ipns-record/. A record is a protobuf message. What counts is its
field `data`, a DAG-CBOR map, and `signatureV2` over it. For readers older than 2021 the same
values stand beside it with `signatureV1`; where they are there they must agree with `data`.
Times are nanoseconds since 1970, UTC; none is read from a clock here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from . import dagcbor
from .errors import InvalidBlock, InvalidKey, InvalidRecord
from .keys import PublicKey
from .protobuf import blob, fields, number

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .cid import CID
    from .keys import PrivateKey

SECOND = 10**9
DEFAULT_LIFETIME = 48 * 3600 * SECOND
DEFAULT_TTL = 300 * SECOND
MAX_RECORD = 10 * 1024
"""Largest record that anybody has to accept, in bytes."""

_V2_PREFIX = b"ipns-signature:"
_NUMBERS = {3: "ValidityType", 5: "Sequence", 6: "TTL"}
_BLOBS = {1: "Value", 4: "Validity"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Record:
    """A record whose signature has been checked against its name, or that was just signed."""

    raw: bytes
    value: str
    """The path pointed to, `/ipfs/…` or `/ipns/…`."""
    sequence: int
    expires: int
    """When it stops to be valid, in nanoseconds since 1970."""
    ttl: int
    """How long it may be cached, in nanoseconds."""


def create(
    key: PrivateKey,
    value: str,
    *,
    sequence: int,
    expires: int,
    ttl: int = DEFAULT_TTL,
    v1: bool = True,
) -> Record:
    """Sign and return a record. `v1` adds what readers older than 2021 need."""
    validity = format_time(expires).encode()
    data = dagcbor.encode({
        "Value": value.encode(), "Validity": validity, "ValidityType": 0,
        "Sequence": sequence, "TTL": ttl,
    })  # fmt: skip
    parts = []
    if v1:
        parts += [blob(1, value.encode()), blob(2, key.sign(value.encode() + validity + b"0"))]
        parts += [number(3, 0), blob(4, validity), number(5, sequence), number(6, ttl)]
    parts += [blob(8, key.sign(_V2_PREFIX + data)), blob(9, data)]
    return Record(b"".join(parts), value, sequence, expires, ttl)


def verify(raw: bytes, name: CID, now: int | None = None) -> Record:
    """Return the record if it is by the key of `name`, whole, and not expired at `now`.

    `now` None leaves expiry out. Raises InvalidRecord saying what is wrong.
    """
    if len(raw) > MAX_RECORD:
        raise InvalidRecord(f"IPNS record of {len(raw)} bytes; at most {MAX_RECORD} are allowed")
    message = _message(raw)
    signature, data = message.get(8), message.get(9)
    if not isinstance(signature, bytes) or not isinstance(data, bytes):
        raise InvalidRecord("IPNS record without a V2 signature")
    if not _key(message, name).verifies(signature, _V2_PREFIX + data):
        raise InvalidRecord("IPNS record with a wrong signature")
    record = _record(raw, message, data)
    if now is not None and record.expires <= now:
        raise InvalidRecord(f"IPNS record expired at {format_time(record.expires)}")
    return record


def best(records: Iterable[Record]) -> Record | None:
    """Return the record to follow: highest sequence, then latest expiry, then highest bytes."""
    return max(records, key=lambda found: (found.sequence, found.expires, found.raw), default=None)


def republish_due(record: Record, now: int, lifetime: int = DEFAULT_LIFETIME) -> bool:
    """Say whether a record should be signed anew: less than half of its lifetime is left."""
    return record.expires - now < lifetime // 2


def renew(key: PrivateKey, record: Record, now: int, lifetime: int = DEFAULT_LIFETIME) -> Record:
    """Sign a record's value again, for `lifetime` from `now`, under the same sequence.

    Of one sequence the later expiry wins, so this replaces the record, but never one with a
    new value that was published in the meantime.
    """
    return create(
        key, record.value, sequence=record.sequence, expires=now + lifetime, ttl=record.ttl
    )


def format_time(nanoseconds: int) -> str:
    """Return RFC 3339 with nanoseconds, in UTC."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{_EPOCH + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"


def parse_time(text: str) -> int:
    """Return nanoseconds since 1970 of an RFC 3339 time. Raises InvalidRecord."""
    head, dot, tail = text.partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))] if dot else ""
    zone = tail[len(digits) :] if dot else ""
    try:
        moment = datetime.fromisoformat(head + zone if dot else text)
    except ValueError:
        raise InvalidRecord(f"not a time: {text[:40]!r}") from None
    if moment.tzinfo is None or len(digits) > 9:
        raise InvalidRecord(f"not a time: {text[:40]!r}")
    whole = (moment - _EPOCH) // timedelta(seconds=1)
    return whole * SECOND + int(digits.ljust(9, "0"))


def _message(raw: bytes) -> dict[int, int | bytes]:
    try:
        return {field: value for field, _, value in fields(raw)}
    except InvalidBlock as error:
        raise InvalidRecord(f"not an IPNS record: {error}") from None


def _key(message: dict[int, int | bytes], name: CID) -> PublicKey:
    """Return the key of a name; one too long for a name comes with the record."""
    embedded = message.get(7)
    try:
        if isinstance(embedded, bytes) and embedded:
            key = PublicKey.from_protobuf(embedded)
            if key.name.multihash != name.multihash:
                raise InvalidRecord("the key in the IPNS record is not that of the name")
            return key
        return PublicKey.of_name(name)
    except InvalidKey as error:
        raise InvalidRecord(str(error)) from None


def _record(raw: bytes, message: dict[int, int | bytes], data: bytes) -> Record:
    try:
        values: Any = dagcbor.decode(data)
    except InvalidBlock as error:
        raise InvalidRecord(f"IPNS record data: {error}") from None
    names = {**_NUMBERS, **_BLOBS}
    if not isinstance(values, dict) or not values.keys() >= set(names.values()):
        raise InvalidRecord("IPNS record data lacks a field")
    for field, name in names.items():
        kind = bytes if field in _BLOBS else int
        if type(values[name]) is not kind:
            raise InvalidRecord(f"IPNS record data: {name} is of the wrong type")
    if message.get(1) or message.get(2):
        for field, name in names.items():
            if message.get(field, b"" if field in _BLOBS else 0) != values[name]:
                raise InvalidRecord(f"IPNS record: {name} is not what was signed")
    if values["ValidityType"] != 0:
        raise InvalidRecord(f"IPNS record with validity type {values['ValidityType']}")
    try:
        value, validity = values["Value"].decode(), values["Validity"].decode()
    except UnicodeDecodeError:
        raise InvalidRecord("IPNS record whose value is not text") from None
    if min(values["Sequence"], values["TTL"]) < 0:
        raise InvalidRecord("IPNS record with a negative number")
    return Record(raw, value, values["Sequence"], parse_time(validity), values["TTL"])
