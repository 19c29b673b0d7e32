"""Learning what was missed: new and newer objects of a provider, and what it has forgotten.

The protocol has no log to ask for, so state is compared: the provider's manifests against
the cache. What is unknown or newer is fetched, a hundred at a time; what the provider
introduced and no longer holds counts as its FORGET.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

from ..cache import Cache
from ..errors import KoiError
from ..processor.knowledge_object import KnowledgeObject, KnowledgeSource
from ..protocol.api_models import BundlesPayload, FetchBundles, FetchManifests, ManifestsPayload
from ..protocol.consts import FETCH_BUNDLES_PATH, FETCH_MANIFESTS_PATH
from ..protocol.errors import ErrorType
from ..protocol.event import EventType

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence

    from ..bundle import Manifest
    from ..cache import BundleCache
    from ..rid import RID, KoiNetNode, RIDType
    from .caller import Caller, Peer

logger = logging.getLogger(__name__)

AT_ONCE = 100
ATTEMPTS = 5
FIRST_PAUSE = 0.5


class CatchUp:
    """Compares one provider's state with the cache and queues the differences."""

    def __init__(
        self,
        cache: BundleCache,
        caller: Caller,
        accept: Callable[[list[KnowledgeObject]], None],
        sleep: Callable[[float], Awaitable[None]],
    ) -> None:
        self._sleep = sleep
        self._cache = cache
        self._caller = caller
        self._accept = accept

    async def run(self, node: KoiNetNode, rid_types: Sequence[RIDType]) -> None:
        """Catch up with one node on some types; tries a few times and raises nothing."""
        if not rid_types:
            return
        pause = FIRST_PAUSE
        for _ in range(ATTEMPTS):
            try:
                await self._compare(node, rid_types)
            except KoiError as error:
                logger.info("cannot catch up with %s: %s", node, error)
                await self._introduce(node, error)
                await self._sleep(pause)
                pause *= 4
            else:
                return

    async def _introduce(self, node: KoiNetNode, error: KoiError) -> None:
        if getattr(error, "code", "") == ErrorType.UnknownNode:
            with suppress(KoiError):
                await self._caller.introduce(await self._caller.peer(node, None))

    async def _compare(self, node: KoiNetNode, rid_types: Sequence[RIDType]) -> None:
        peer = await self._caller.peer(node, None)
        # What comes in while the question is under way is none of what may be missing.
        before = self._introduced_by(node, rid_types)
        request = FetchManifests(rid_types=list(rid_types))
        state = await self._caller.ask(peer, FETCH_MANIFESTS_PATH, request, ManifestsPayload)
        await self._fetch(peer, node, self._wanted(state.manifests))
        held = {manifest.rid for manifest in state.manifests}
        self._forget(node, [rid for rid in before if rid not in held])

    def _wanted(self, manifests: Iterable[Manifest]) -> list[RID]:
        found = []
        for manifest in manifests:
            mine = self._cache.read(manifest.rid)
            if manifest.rid != self._caller.identity.rid and (
                mine is None or mine.manifest.timestamp < manifest.timestamp
            ):
                found.append(manifest.rid)
        return found

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

    def _forget(self, node: KoiNetNode, rids: list[RID]) -> None:
        """Queue the FORGETs that were missed."""
        self._accept(
            [
                KnowledgeObject(
                    rid,
                    event_type=EventType.FORGET,
                    source=KnowledgeSource.External,
                    sender=node,
                )
                for rid in rids
            ]
        )
