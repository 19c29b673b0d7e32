"""First contact: introducing this node to another one until it answers."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import InvalidRid, KoiError
from ..processor.knowledge_object import KnowledgeObject, KnowledgeSource
from ..protocol.api_models import BundlesPayload, FetchBundles
from ..protocol.consts import FETCH_BUNDLES_PATH
from ..protocol.event import EventType
from ..rid import RID, KoiNetNode

if TYPE_CHECKING:
    from .background import Runner
    from .caller import Caller

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0


@dataclass(frozen=True, slots=True)
class Contact:
    """Whom to call first. A URL is enough for nodes of this library and of protocol 1.0."""

    url: str
    rid: KoiNetNode | None = None

    @classmethod
    def parse(cls, text: str) -> Contact:
        """Read `URL` or `RID@URL`; raise InvalidRid."""
        if not text.startswith("orn:"):
            return cls(text.rstrip("/"))
        name, _, url = text.rpartition("@")
        rid = RID.from_string(name or text)
        if not isinstance(rid, KoiNetNode) or "://" not in url:
            raise InvalidRid(f"a first contact is URL or RID@URL, not {text!r}")
        return cls(url.rstrip("/"), rid)


async def introduce(contact: Contact, caller: Caller, runner: Runner) -> None:
    """Introduce this node, again and again with growing pauses until it is accepted."""
    pause = FIRST_PAUSE
    while True:
        try:
            peer = await caller.peer(contact.rid, contact.url)
            await caller.introduce(peer)
        except KoiError as error:
            logger.warning("first contact failed, again in %.1f s: %s", pause, error)
            await runner.sleep(pause)
            pause = min(pause * 2, LONGEST_PAUSE)
        else:
            return


async def meet_successor(url: str, caller: Caller) -> list[KnowledgeObject]:
    """Introduce this node to whoever answers at a URL now; return what that one says of itself."""
    peer = await caller.discover(url)
    if peer.rid is None or not peer.signed:
        return []
    await caller.introduce(peer)
    request = FetchBundles([peer.rid])
    answer = await caller.ask(peer, FETCH_BUNDLES_PATH, request, BundlesPayload)
    found = [
        KnowledgeObject.from_bundle(bundle, EventType.NEW, KnowledgeSource.External)
        for bundle in answer.bundles
        if bundle.rid == peer.rid
    ]
    return [kobj.model_copy(update={"sender": peer.rid}) for kobj in found]
