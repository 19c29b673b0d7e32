"""What the answering modules work on: a store, names, and a request whose path is resolved."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .. import dag, ipns
from ..cid import CID
from ..errors import InvalidPath, InvalidRecord, IpfsError, LimitExceeded
from ..keys import parse_name
from .answer import Freshness
from .formats import Format

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..blockstore import Blockstore
    from ..records import RecordStore
    from .request import ContentPath, Request

MAX_NAMES = 32
"""IPNS names that may point to each other before a path is given up."""


class Unresolvable(IpfsError):
    """An IPNS name has no valid record here."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where content comes from. `clock` returns nanoseconds since 1970."""

    store: Blockstore
    records: RecordStore
    clock: Callable[[], int]


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for content: the path as asked, the immutable path behind it, the format."""

    request: Request
    path: ContentPath
    root: CID
    segments: tuple[str, ...]
    format: Format = field(default_factory=Format)
    freshness: Freshness = field(default_factory=Freshness)


def immutable(source: Source, path: ContentPath) -> tuple[CID, tuple[str, ...], Freshness]:
    """Return the root, segments and freshness that a path stands for now.

    Raises InvalidCid, or Unresolvable for a name without a valid record.
    """
    if not path.mutable:
        return CID.parse(path.root), path.segments, Freshness()
    now = source.clock()
    ages: list[int] = []
    target = f"/ipns/{path.root}"
    tail = path.segments
    while target.startswith("/ipns/"):
        if len(ages) == MAX_NAMES:
            raise LimitExceeded(f"more than {MAX_NAMES} names point to each other")
        name, _, rest = target.removeprefix("/ipns/").partition("/")
        record = _record(source, name, now)
        ages.append(min(record.ttl, record.expires - now) // ipns.SECOND)
        target, tail = record.value, (*(part for part in rest.split("/") if part), *tail)
    root, segments = _target(target)
    fresh = Freshness(mutable=True, max_age=min(ages), resolved_at=now / ipns.SECOND)
    return root, (*segments, *tail), fresh


def _record(source: Source, name: str, now: int) -> ipns.Record:
    try:
        record = source.records.get(parse_name(name))
        return ipns.verify(record.raw, parse_name(name), now)
    except (InvalidRecord, IpfsError) as error:
        raise Unresolvable(f"failed to resolve /ipns/{name}: {error}") from None


def _target(value: str) -> tuple[CID, tuple[str, ...]]:
    try:
        return dag.split(value)
    except InvalidPath as error:
        raise Unresolvable(f"an IPNS record points to {error}") from None


def roots_header(resolved: dag.Resolved) -> str:
    """Return X-Ipfs-Roots: one CID for each segment of the path."""
    return ",".join(map(str, resolved.roots))
