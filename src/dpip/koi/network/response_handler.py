"""Answers to state queries, from the cache: as models, and as streams of JSON.

Bundles whose contents do not have the hash in their manifest are kept for this node's own
use and passed on to nobody.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from ..bundle import Bundle, Manifest
from ..cache import BundleCache, Cache
from ..canonical import wire_form
from ..model import decode
from ..protocol.api_models import (
    BundlesPayload,
    FetchBundles,
    FetchManifests,
    FetchRids,
    ManifestsPayload,
    RidsPayload,
)
from ..rid import RID

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

CHUNK = 1000


class ResponseHandler:
    """Answers the three fetches."""

    def __init__(self, cache: BundleCache) -> None:
        self.cache = cache

    def fetch_rids(self, req: FetchRids) -> RidsPayload:
        """Return the RIDs of the types asked for; of all, if none is."""
        return RidsPayload([RID.from_string(rid) for rid in self._rids(req)])

    def fetch_manifests(self, req: FetchManifests) -> ManifestsPayload:
        """Return manifests by RID or, if none is asked for, by type."""
        missing: list[RID] = []
        found = [decode(blob, Manifest) for blob in self._manifests(req, missing)]
        return ManifestsPayload(found, missing)

    def fetch_bundles(self, req: FetchBundles) -> BundlesPayload:
        """Return bundles by RID."""
        missing: list[RID] = []
        found = [decode(blob, Bundle) for blob in self._bundles(req, missing)]
        return BundlesPayload(found, missing)

    def stream(self, req: FetchRids | FetchManifests | FetchBundles) -> Iterator[bytes]:
        """Yield the JSON of the answer in pieces, without the opening brace and `type`."""
        missing: list[RID] = []
        if isinstance(req, FetchRids):
            yield b'"rids":['
            yield from _joined(msgspec.json.encode(rid) for rid in self._rids(req))
            yield b"]}"
            return
        if isinstance(req, FetchManifests):
            yield b'"manifests":['
            yield from _joined(self._manifests(req, missing))
            yield b'],"not_found":%s}' % wire_form(missing)
            return
        yield b'"bundles":['
        yield from _joined(self._bundles(req, missing))
        yield b'],"not_found":%s,"deferred":[]}' % wire_form(missing)

    def _rids(self, req: FetchRids) -> Iterator[str]:
        if isinstance(self.cache, Cache):
            rows = self.cache.scan("rid, verified", req.rid_types or None)
            yield from (rid for rid, verified in rows if verified)
        else:
            yield from map(str, self.cache.list_rids(req.rid_types or None))

    def _manifests(self, req: FetchManifests, missing: list[RID]) -> Iterator[bytes]:
        if req.rids:
            yield from self._picked(req.rids, missing, "manifest")
        elif isinstance(self.cache, Cache):
            rows = self.cache.scan("manifest, verified", req.rid_types or None)
            yield from (blob for blob, verified in rows if verified)
        else:
            yield from self._picked(
                self.cache.list_rids(req.rid_types or None), missing, "manifest"
            )

    def _bundles(self, req: FetchBundles, missing: list[RID]) -> Iterator[bytes]:
        return self._picked(req.rids, missing, "bundle")

    def _picked(self, rids: list[RID], missing: list[RID], what: str) -> Iterator[bytes]:
        if not isinstance(self.cache, Cache):
            for rid in rids:
                bundle = self.cache.read(rid)
                if bundle is None or not bundle.verified:
                    missing.append(rid)
                else:
                    yield wire_form(bundle if what == "bundle" else bundle.manifest)
            return
        for rid, row in self.cache.pick("manifest, contents, verified", rids):
            if row is None or not row[2]:
                missing.append(rid)
            else:
                yield row[0] if what == "manifest" else _bundle(row)


def _bundle(row: Any) -> bytes:
    return b'{"manifest":%s,"contents":%s}' % (row[0], row[1])


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the parts with commas between, many at a time."""
    source = iter(parts)
    first = True
    while chunk := list(islice(source, CHUNK)):
        yield (b"" if first else b",") + b",".join(chunk)
        first = False
