"""Heads of published indexes as news: `orn:ipns.name:<k51…>`.

A record is signed by the key that its name is made of, so whoever brings it is transport. It
counts if it is whole, not expired, and better than the one at hand by IPNS's own order: higher
sequence, then later expiry. The times of manifests say nothing about that: nodes that found a
record elsewhere date their news of it when they found it.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from dpip.federation.claims import BadClaim
from dpip.federation.rids import IpnsName
from dpip.ipfs import ipns
from dpip.ipfs.errors import IpfsError, NotFound
from dpip.ipfs.keys import parse_name
from dpip.koi import Bundle, KnowledgeObject

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dpip.ipfs.cid import CID
    from dpip.ipfs.records import RecordStore
    from dpip.koi import BundleCache

log = logging.getLogger(__name__)


def head_contents(record: ipns.Record) -> dict[str, Any]:
    """Return what a bundle holds: the record in base64; value and sequence are for reading."""
    return {
        "record": base64.b64encode(record.raw).decode(),
        "value": record.value,
        "sequence": record.sequence,
    }


def read_head(rid: IpnsName, contents: dict[str, Any], now: int | None = None) -> ipns.Record:
    """Return the record of a bundle; `now` (nanoseconds since 1970) refuses expired ones.

    Raises BadClaim and IpfsError.
    """
    try:
        raw = base64.b64decode(contents["record"], validate=True)
    except (KeyError, TypeError, ValueError, binascii.Error):
        raise BadClaim(f"{rid}: no IPNS record in base64") from None
    record = ipns.verify(raw, parse_name(rid.reference), now)
    if contents.get("value") != record.value or contents.get("sequence") != record.sequence:
        raise BadClaim(f"{rid}: value and sequence are not those of the record")
    return record


class Heads:
    """The heads that a node has. `names` are those that it publishes or follows.

    `clock` gives nanoseconds since 1970.
    """

    def __init__(
        self,
        records: RecordStore,
        names: Callable[[], Iterable[CID]],
        clock: Callable[[], int],
    ) -> None:
        self._records = records
        self._names = names
        self._clock = clock

    def follows(self, name: str) -> bool:
        """Say whether this node publishes or follows the index of that name."""
        return any(one.encode("k") == name for one in self._names())

    def check(self, rid: IpnsName, contents: dict[str, Any], cache: BundleCache) -> None:
        """Raise BadClaim or IpfsError unless this head is better than the one that is held."""
        record = read_head(rid, contents, self._clock())
        held = _held(rid, cache)
        if held is not None and ipns.best([held, record]) is not record:
            raise BadClaim(f"{rid}: the record is older than the one that is held")

    def keep(self, rid: IpnsName, contents: dict[str, Any]) -> None:
        """Keep a head where gateways and followers find it, if it is one of ours."""
        if self.follows(rid.reference):
            self._put(parse_name(rid.reference), read_head(rid, contents))

    def news(self, cache: BundleCache) -> list[KnowledgeObject]:
        """Return the news of heads that came another way: published here, or found elsewhere."""
        return [kobj for name in self._names() for kobj in self._news(name, cache)]

    def _news(self, name: CID, cache: BundleCache) -> list[KnowledgeObject]:
        rid = IpnsName(name.encode("k"))
        held = _held(rid, cache)
        try:
            found = self._records.get(name)
        except NotFound:
            found = None
        best = ipns.best([one for one in (held, found) if one is not None])
        if best is None:
            return []
        if found is None or best.raw != found.raw:
            self._put(name, best)
        if held is not None and best.raw == held.raw:
            return []
        return [KnowledgeObject.from_bundle(Bundle.generate(rid, head_contents(best)))]

    def _put(self, name: CID, record: ipns.Record) -> None:
        # It may have expired since it was heard: then nobody needs it.
        with contextlib.suppress(IpfsError):
            self._records.put(name, record.raw, self._clock())
            log.info("the head of %s is %s", name.encode("k"), record.value)


def _held(rid: IpnsName, cache: BundleCache) -> ipns.Record | None:
    bundle = cache.read(rid)
    if bundle is None:
        return None
    try:
        return read_head(rid, bundle.contents)
    except (BadClaim, IpfsError):
        return None
