"""Learning what was missed: new and newer objects of a provider, and what it has forgotten.

A provider of this library has a journal (`journal.py`): a node that read it before asks what
came since, which costs what has changed. Of any other provider, and at the first time, the
state is compared: its manifests against the cache. What is unknown or newer is fetched, a
hundred at a time; what the provider introduced and no longer holds counts as its FORGET.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING

from ..cache import Cache
from ..errors import KoiError, UnusableAnswer
from ..journal import NO_CURSOR, JournalRid, Page
from ..processor.knowledge_object import KnowledgeObject, KnowledgeSource
from ..protocol.api_models import BundlesPayload, FetchBundles, FetchManifests, ManifestsPayload
from ..protocol.consts import FETCH_BUNDLES_PATH, FETCH_MANIFESTS_PATH
from ..protocol.errors import ErrorType
from ..protocol.event import EventType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence

    from ..bundle import Manifest
    from ..cache import BundleCache
    from ..journal import Cursors, Forgotten
    from ..rid import RID, KoiNetNode, RIDType
    from .caller import Caller, Peer

logger = logging.getLogger(__name__)

AT_ONCE = 100
ATTEMPTS = 5
FIRST_PAUSE = 0.5
MOST_PAGES = 100_000


class CatchUp:
    """Queues what a provider has and the cache lacks.

    `cursors` say how far providers were read before; without them state is compared. Of the
    types in `undated` the times do not say which of two objects is newer.
    """

    def __init__(
        self,
        cache: BundleCache,
        caller: Caller,
        accept: Callable[[list[KnowledgeObject]], None],
        sleep: Callable[[float], Awaitable[None]],
        *,
        cursors: Cursors | None = None,
        undated: Collection[RIDType] = (),
    ) -> None:
        self._sleep = sleep
        self._cache = cache
        self._caller = caller
        self._accept = accept
        self._cursors = cursors
        self._undated = undated

    async def run(
        self, node: KoiNetNode, rid_types: Sequence[RIDType], *, after: float = 0.0
    ) -> None:
        """Catch up with one node on some types; tries a few times and raises nothing."""
        if not rid_types:
            return
        if after:
            await self._sleep(after)
        pause = FIRST_PAUSE
        for _ in range(ATTEMPTS):
            try:
                await self._catch_up(node, rid_types)
            except KoiError as error:
                logger.info("cannot catch up with %s: %s", node, error)
                await self._sleep(pause)
                pause *= 4
            else:
                return

    async def _catch_up(self, node: KoiNetNode, rid_types: Sequence[RIDType]) -> None:
        peer = await self._caller.peer(node, None)
        if self._cursors is None:
            await self._compare(peer, node, rid_types)
            return
        page = await self._page(peer, self._cursors.get(node, rid_types))
        if page is None or not page.known:
            await self._compare(peer, node, rid_types)
        for _ in range(MOST_PAGES):
            if page is None:
                return
            await self._read(peer, node, rid_types, page)
            # What was found is queued for good before the cursor says that it was read.
            self._cursors.put(node, rid_types, page.cursor)
            page = await self._page(peer, page.cursor) if page.more else None

    async def _page(self, peer: Peer, cursor: str) -> Page | None:
        """Return a page of a provider's journal; None from one that keeps none."""
        rid = JournalRid(cursor or NO_CURSOR)
        try:
            answer = await self._caller.ask(
                peer, FETCH_BUNDLES_PATH, FetchBundles([rid]), BundlesPayload
            )
            for bundle in answer.bundles:
                if bundle.rid == rid:
                    return Page.read(bundle.contents)
        except (UnusableAnswer, ValueError) as error:
            if getattr(error, "code", "") == ErrorType.UnknownNode:
                raise
            logger.debug("%s keeps no journal: %s", peer.url, error)
        return None

    async def _read(
        self, peer: Peer, node: KoiNetNode, rid_types: Sequence[RIDType], page: Page
    ) -> None:
        changed = [manifest for manifest in page.changed if type(manifest.rid) in rid_types]
        await self._fetch(peer, node, self._wanted(changed))
        gone = [one for one in page.forgotten if type(one.rid) in rid_types]
        self._accept([found for one in gone for found in self._farewell(node, one)])

    def _farewell(self, node: KoiNetNode, gone: Forgotten) -> list[KnowledgeObject]:
        """Return the FORGET of what is held and is no newer than what was forgotten."""
        held = self._held(gone.rid)
        if held is None or held.timestamp > gone.timestamp:
            return []
        # With a time, so that whatever comes in between is judged by it.
        manifest = replace(held, timestamp=gone.timestamp)
        return [_forget(node, gone.rid, manifest)]

    async def _compare(self, peer: Peer, node: KoiNetNode, rid_types: Sequence[RIDType]) -> None:
        # What comes in while the question is under way is none of what may be missing.
        before = self._introduced_by(node, rid_types)
        request = FetchManifests(rid_types=list(rid_types))
        state = await self._caller.ask(peer, FETCH_MANIFESTS_PATH, request, ManifestsPayload)
        await self._fetch(peer, node, self._wanted(state.manifests))
        held = {manifest.rid for manifest in state.manifests}
        self._accept([_forget(node, rid) for rid in before if rid not in held])

    def _wanted(self, manifests: Iterable[Manifest]) -> list[RID]:
        found = []
        for manifest in manifests:
            mine = self._held(manifest.rid)
            if manifest.rid != self._caller.identity.rid and (
                mine is None or self._is_newer(manifest, mine)
            ):
                found.append(manifest.rid)
        return found

    def _held(self, rid: RID) -> Manifest | None:
        if isinstance(self._cache, Cache):
            record = self._cache.record(rid)
            return None if record is None else record.manifest
        bundle = self._cache.read(rid)
        return None if bundle is None else bundle.manifest

    def _is_newer(self, theirs: Manifest, mine: Manifest) -> bool:
        if type(theirs.rid) in self._undated:
            return theirs.sha256_hash != mine.sha256_hash
        return mine.timestamp < theirs.timestamp

    async def _fetch(self, peer: Peer, node: KoiNetNode, rids: list[RID]) -> None:
        sender = node if peer.signed else None
        for start in range(0, len(rids), AT_ONCE):
            request = FetchBundles(rids[start : start + AT_ONCE])
            answer = await self._caller.ask(peer, FETCH_BUNDLES_PATH, request, BundlesPayload)
            asked = set(request.rids)
            self._accept(
                [
                    KnowledgeObject(
                        bundle.rid,
                        bundle.manifest,
                        bundle.contents,
                        source=KnowledgeSource.External,
                        sender=sender,
                    )
                    for bundle in answer.bundles
                    if bundle.rid in asked
                ]
            )

    def _introduced_by(self, node: KoiNetNode, rid_types: Sequence[RIDType]) -> list[RID]:
        found: list[RID] = []
        if isinstance(self._cache, Cache):
            found = self._cache.introduced_by(node, rid_types)
        return found


def _forget(node: KoiNetNode, rid: RID, manifest: Manifest | None = None) -> KnowledgeObject:
    """Return a FORGET that was missed."""
    return KnowledgeObject(
        rid,
        manifest,
        event_type=EventType.FORGET,
        source=KnowledgeSource.External,
        sender=node,
    )
