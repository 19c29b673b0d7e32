"""Answers to state queries, from the cache: as models, and as streams of JSON.

Bundles whose contents do not have the hash in their manifest are kept for this node's own
use and passed on to nobody; what a crash could still undo is not told. What an `Audience` hides
from whoever asks does not exist for it.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from ..bundle import Bundle, Manifest
from ..cache import BundleCache, Cache
from ..canonical import wire_form
from ..journal import Journal, JournalRid
from ..model import decode, to_plain
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
    from collections.abc import Callable, Iterable, Iterator

    from ..rid import KoiNetNode

CHUNK = 1000


class Audience(Protocol):
    """Who may see what."""

    def hidden_from(self, asker: KoiNetNode | None) -> Callable[[str], bool] | None:
        """Return what says of a RID (its text) that it is hidden; None: nothing is.

        `asker` is the node that signed the question, None if nobody did.
        """
        ...


class ResponseHandler:
    """Answers the three fetches. `asker` is the node that signed the question."""

    cache: BundleCache

    def __init__(self, cache: BundleCache, journal: Journal | None = None) -> None:
        self.cache = cache
        self.journal = journal
        self.audience: Audience | None = None

    def _answers(self, asker: KoiNetNode | None) -> _Answers:
        hidden = None if self.audience is None else self.audience.hidden_from(asker)
        return _Answers(self.cache, self.journal, hidden)

    def fetch_rids(self, req: FetchRids, asker: KoiNetNode | None = None) -> RidsPayload:
        """Return the RIDs of the types asked for; of all, if none is."""
        return RidsPayload([RID.from_string(rid) for rid in self._answers(asker).rids(req)])

    def fetch_manifests(
        self, req: FetchManifests, asker: KoiNetNode | None = None
    ) -> ManifestsPayload:
        """Return manifests by RID or, if none is asked for, by type."""
        missing: list[RID] = []
        found = [decode(blob, Manifest) for blob in self._answers(asker).manifests(req, missing)]
        return ManifestsPayload(found, missing)

    def fetch_bundles(self, req: FetchBundles, asker: KoiNetNode | None = None) -> BundlesPayload:
        """Return bundles by RID."""
        missing: list[RID] = []
        blobs = self._answers(asker).picked(req.rids, missing, "bundle")
        found = [decode(blob, Bundle) for blob in blobs]
        return BundlesPayload(found, missing)

    def stream(
        self, req: FetchRids | FetchManifests | FetchBundles, asker: KoiNetNode | None = None
    ) -> Iterator[bytes]:
        """Yield the JSON of the answer in pieces, without the opening brace and `type`."""
        missing: list[RID] = []
        answers = self._answers(asker)
        if isinstance(req, FetchRids):
            yield b'"rids":['
            yield from _joined(msgspec.json.encode(rid) for rid in answers.rids(req))
            yield b"]}"
            return
        if isinstance(req, FetchManifests):
            yield b'"manifests":['
            yield from _joined(answers.manifests(req, missing))
            yield b'],"not_found":%s}' % wire_form(missing)
            return
        yield b'"bundles":['
        yield from _joined(answers.picked(req.rids, missing, "bundle"))
        yield b'],"not_found":%s,"deferred":[]}' % wire_form(missing)


class _Answers:
    """What one asker is told, as JSON. `hidden` says of a RID that it is not for it."""

    def __init__(
        self, cache: BundleCache, journal: Journal | None, hidden: Callable[[str], bool] | None
    ) -> None:
        self._cache = cache
        self._journal = journal
        self._hidden = hidden

    def _shown(self, rows: Iterable[Any]) -> Iterator[Any]:
        """Yield the rows of RIDs that may be seen; the RID comes first."""
        hidden = self._hidden
        return iter(rows) if hidden is None else (row for row in rows if not hidden(row[0]))

    def rids(self, req: FetchRids) -> Iterator[str]:
        """Yield the RIDs of some types."""
        if isinstance(self._cache, Cache):
            rows = self._cache.scan("rid, verified", req.rid_types or None, durable=True)
            yield from (rid for rid, verified in self._shown(rows) if verified)
        else:
            held = self._cache.list_rids(req.rid_types or None)
            yield from (rid for (rid,) in self._shown((str(rid),) for rid in held))

    def manifests(self, req: FetchManifests, missing: list[RID]) -> Iterator[bytes]:
        """Yield manifests by RID or, if none is asked for, by type."""
        if req.rids:
            yield from self.picked(req.rids, missing, "manifest")
        elif isinstance(self._cache, Cache):
            columns = "rid, manifest, verified"
            rows = self._cache.scan(columns, req.rid_types or None, durable=True)
            yield from (blob for _, blob, verified in self._shown(rows) if verified)
        else:
            held = self._cache.list_rids(req.rid_types or None)
            yield from self.picked(held, missing, "manifest")

    def picked(self, rids: list[RID], missing: list[RID], what: str) -> Iterator[bytes]:
        """Yield manifests or bundles by RID; note what is not here."""
        wanted: list[RID] = []
        for rid in rids:
            if isinstance(rid, JournalRid) and self._journal is not None and what == "bundle":
                page = self._journal.page(rid.reference, self._hidden)
                yield wire_form(Bundle.generate(rid, to_plain(page)))
            elif self._hidden is not None and self._hidden(str(rid)):
                missing.append(rid)
            else:
                wanted.append(rid)
        yield from self._held(wanted, missing, what)

    def _held(self, rids: list[RID], missing: list[RID], what: str) -> Iterator[bytes]:
        if not isinstance(self._cache, Cache):
            for rid in rids:
                bundle = self._cache.read(rid)
                if bundle is None or not bundle.verified:
                    missing.append(rid)
                else:
                    yield wire_form(bundle if what == "bundle" else bundle.manifest)
            return
        for rid, row in self._cache.pick("manifest, contents, verified", rids):
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
