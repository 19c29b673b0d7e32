"""Handlers of a mirror's KOI node: which news is kept, and who is told of it."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from dpip.federation.claims import BadClaim, is_private, read_file, read_project
from dpip.federation.rids import KINDS, IpnsName, PypiFile, PypiProject, project_of
from dpip.federation.trust import Verdict
from dpip.ipfs.errors import IpfsError
from dpip.koi import (
    STOP_CHAIN,
    EventType,
    HandlerType,
    KnowledgeHandler,
    KnowledgeObject,
    KnowledgeSource,
    KoiNetEdge,
    KoiNetNode,
)
from dpip.koi.protocol.edge import EdgeStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.federation.guarded import Guarded
    from dpip.federation.heads import Heads
    from dpip.federation.trust import Trust
    from dpip.koi.processor.handler import StopChain
    from dpip.koi.processor.interface import ProcessorInterface

    Outcome = KnowledgeObject | StopChain | None

log = logging.getLogger(__name__)


class Listener:
    """Judges what peers say.

    `believed` is called with a project's name once its news is kept, `doubted` with the
    name and the page's CID (None: it is said to be gone) that a peer without our trust claims.
    `rerouted` once `guarded` has a new name. All are called on the node's processing thread.
    """

    def __init__(
        self,
        trust: Trust,
        heads: Heads,
        *,
        guarded: Guarded | None = None,
        believed: Callable[[str], None],
        doubted: Callable[[str, str | None], None],
        rerouted: Callable[[], None] = lambda: None,
    ) -> None:
        self._rerouted = rerouted
        self._trust = trust
        self._heads = heads
        self._guarded = guarded
        self._believed = believed
        self._doubted = doubted

    @property
    def handlers(self) -> list[KnowledgeHandler]:
        """The handlers, to be added to the standard ones."""
        external, internal = KnowledgeSource.External, KnowledgeSource.Internal
        return [
            KnowledgeHandler(self.judge, HandlerType.RID, KINDS, external),
            KnowledgeHandler(self.check, HandlerType.Bundle, KINDS, external),
            KnowledgeHandler(self.limit, HandlerType.Network, [*KINDS, KoiNetNode, KoiNetEdge]),
            KnowledgeHandler(self.dropped, HandlerType.Network, [KoiNetNode], internal),
            KnowledgeHandler(self.kept, HandlerType.Final, KINDS, external),
            KnowledgeHandler(self.approved, HandlerType.Final, [KoiNetEdge], external),
        ]

    def judge(self, processor: ProcessorInterface, kobj: KnowledgeObject) -> Outcome:
        """Stop news that this node does not believe; keep at most a doubt from it."""
        del processor
        match self._trust.judge(kobj.rid, kobj.sender):
            case Verdict.CLAIM:
                return None
            case Verdict.HINT:
                self._hint(kobj)
        return STOP_CHAIN

    def _hint(self, kobj: KnowledgeObject) -> None:
        if not isinstance(kobj.rid, PypiProject):
            return
        page = None
        if kobj.event_type != EventType.FORGET:
            page = (kobj.contents or {}).get("page")
            if not isinstance(page, str):
                return
        self._doubted(kobj.rid.name, page)

    def check(self, processor: ProcessorInterface, kobj: KnowledgeObject) -> Outcome:
        """Stop what is not well formed."""
        if kobj.normalized_event_type != EventType.FORGET:
            try:
                self._well_formed(processor, kobj)
            except (BadClaim, IpfsError, ValueError) as error:
                log.info("%s from %s: %s", kobj.rid, kobj.sender, error)
                return STOP_CHAIN
        name = project_of(kobj.rid)
        return None if name is None or self._may_speak_of(name, kobj) else STOP_CHAIN

    def _may_speak_of(self, name: str, kobj: KnowledgeObject) -> bool:
        """Say whether believed news of a project is taken; note first what makes it private.

        That is before it is stored, so that it is hidden from others at every moment.
        """
        if self._guarded is None or kobj.sender is None:
            return True
        if kobj.normalized_event_type == EventType.FORGET:
            return name not in self._guarded or self._guarded.by(name, kobj.sender)
        if is_private(kobj.contents):
            if self._guarded.add(name, kobj.sender):
                log.warning("%s says that %s is private: upstream is not asked", kobj.sender, name)
                self._rerouted()
            return True
        return name not in self._guarded

    def _well_formed(self, processor: ProcessorInterface, kobj: KnowledgeObject) -> None:
        """Raise BadClaim, IpfsError or ValueError for contents that are not what they must be."""
        rid, contents = kobj.rid, kobj.contents or {}
        if not kobj.verified:
            raise BadClaim("the contents are not those that the manifest names")
        if isinstance(rid, PypiProject):
            read_project(rid.name, contents)
        elif isinstance(rid, PypiFile):
            read_file(rid.filename, contents)
        elif isinstance(rid, IpnsName):
            self._heads.check(rid, contents, processor.cache)

    def kept(self, processor: ProcessorInterface, kobj: KnowledgeObject) -> Outcome:
        """Note the news. It stays queued, and is seen again, until it is noted."""
        del processor
        if isinstance(kobj.rid, IpnsName):
            self._heads.keep(kobj.rid, kobj.contents or {})
            return None
        name = project_of(kobj.rid)
        if name is not None:
            self._believed(name)
        return None

    def approved(self, processor: ProcessorInterface, kobj: KnowledgeObject) -> Outcome:
        """Look again at what a provider has once it is sure to tell us of what comes.

        What it learned after the look that goes with a proposal, and before it had read the
        proposal, would be missed.
        """
        if not isinstance(kobj.rid, KoiNetEdge):
            return None
        edge = processor.network.graph.get_edge_profile(rid=kobj.rid)
        if (
            edge is not None
            and edge.status == EdgeStatus.APPROVED
            and edge.target == processor.identity.rid
        ):
            processor.network.catch_up(edge.source, edge.rid_types)
        return None

    def dropped(self, processor: ProcessorInterface, kobj: KnowledgeObject) -> Outcome:
        """Tell nobody that this node's operator has dropped another node: it is nobody's matter."""
        if kobj.normalized_event_type == EventType.FORGET and kobj.rid != processor.identity.rid:
            kobj.network_targets.clear()
        return kobj

    def limit(self, processor: ProcessorInterface, kobj: KnowledgeObject) -> Outcome:
        """Leave out of the recipients who may not hear, and who heard it from the sender."""
        name, graph = project_of(kobj.rid), processor.network.graph
        for node in list(kobj.network_targets):
            secret = name is not None and not self._trust.may_hear(name, node)
            heard = kobj.sender is not None and graph.tells(kobj.sender, node, type(kobj.rid))
            if secret or heard:
                kobj.network_targets.discard(node)
        return kobj
