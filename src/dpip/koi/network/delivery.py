"""Delivering queued events to subscribers that are called (webhooks).

Each target has a lane and a task of its own, so nobody waits for anybody else. A lane
sends one batch at a time, in order; a failure is retried with growing pauses, a batch that
the target finds fault with is taken apart until the one bad event is found and dropped.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING
from uuid import uuid4

from ..errors import KoiError, UnreachablePeer, UnusableAnswer
from ..model import decode
from ..protocol import wire
from ..protocol.api_models import EventsPayload
from ..protocol.consts import BROADCAST_EVENTS_PATH
from ..protocol.edge import EdgeType
from ..protocol.errors import ErrorType
from ..protocol.event import Event
from ..protocol.node import NodeType
from ..rid import RID, KoiNetNode
from .caller import SEQUENCE_HEADER, Caller

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..outbox import Batch, Outbox
    from .background import Runner

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.5
LONGEST_PAUSE = 60.0
_FAULTY = {400, 413, 422}


class Delivery:
    """Pumps the lanes of the outbox; `wake` says that there is something to do."""

    def __init__(self, outbox: Outbox, caller: Caller, runner: Runner) -> None:
        self._outbox = outbox
        self._caller = caller
        self._runner = runner
        self._active: set[KoiNetNode] = set()
        self._pausing: set[KoiNetNode] = set()
        self._again: set[KoiNetNode] = set()
        self._introduced: set[KoiNetNode] = set()
        self._stopped = False

    def is_webhook(self, target: KoiNetNode) -> bool:
        """Say whether this node calls the target, rather than waiting to be polled."""
        profile = self._caller.graph.get_node_profile(target)
        if profile is None:
            return target in self._caller.contacts
        if profile.node_type != NodeType.FULL:
            return False
        edge = self._caller.graph.get_edge_profile(source=self._caller.identity.rid, target=target)
        return edge is None or edge.edge_type == EdgeType.WEBHOOK

    def wake(self, targets: Iterable[KoiNetNode]) -> None:
        """Start the lanes of those targets that are called. From any thread."""
        webhooks = [target for target in targets if self.is_webhook(target)]
        if webhooks and not self._stopped:
            self._runner.soon(self._start, webhooks)

    def wake_all(self) -> None:
        """Start every lane that has something waiting, as after a restart."""
        found = [RID.from_string(text) for text in self._outbox.targets()]
        self.wake([target for target in found if isinstance(target, KoiNetNode)])

    @property
    def busy(self) -> bool:
        """Whether a lane is sending, and not merely pausing after a failure."""
        return bool(self._active - self._pausing)

    def stop(self) -> None:
        """Start no more lanes."""
        self._stopped = True

    def _start(self, targets: list[KoiNetNode]) -> None:
        for target in targets:
            if target in self._active:
                self._again.add(target)
            elif not self._stopped:
                self._active.add(target)
                self._runner.spawn(self._pump(target))

    async def _pump(self, target: KoiNetNode) -> None:
        pause = FIRST_PAUSE
        try:
            while not self._stopped and self.is_webhook(target):
                self._again.discard(target)
                try:
                    more = await self.deliver(target)
                except Exception as error:
                    if not isinstance(error, KoiError):
                        logger.exception("delivery to %s failed", target)
                    logger.info("cannot deliver to %s, again in %.1f s: %s", target, pause, error)
                    self._pausing.add(target)
                    await self._runner.sleep(pause)
                    self._pausing.discard(target)
                    pause = min(pause * 2, LONGEST_PAUSE)
                    continue
                pause = FIRST_PAUSE
                if not more and target not in self._again:
                    return
        finally:
            self._active.discard(target)
            self._pausing.discard(target)

    async def deliver(self, target: KoiNetNode) -> bool:
        """Send the next batch; say whether there was one. Raises what is worth a retry."""
        batch = self._outbox.batch(target)
        if batch is None:
            return False
        try:
            await self._send(target, batch)
        except UnusableAnswer as error:
            await self._take_apart(target, batch, error)
            return True
        self._introduced.discard(target)
        self._outbox.confirm(target, batch.last)
        return True

    async def _send(self, target: KoiNetNode, batch: Batch) -> None:
        peer = await self._caller.peer(target, None)
        if peer.signed:
            payload = wire.events_payload(batch.events)
            body, token = self._caller.envelopes.seal(payload, target, signature=batch.token)
        else:
            events = [decode(event, Event) for event in batch.events]
            body, token = wire.plain_payload(EventsPayload(events)), batch.token or uuid4().hex
        if not batch.token:
            self._outbox.attempt(target, batch.last, token)
        sequence = f"{self._outbox.epoch}:{batch.first}-{batch.last}"
        headers = {} if peer.signed else {SEQUENCE_HEADER: sequence}
        await self._caller.post(peer, BROADCAST_EVENTS_PATH, body, headers)

    async def _take_apart(self, target: KoiNetNode, batch: Batch, error: UnusableAnswer) -> None:
        if error.code == ErrorType.UnknownNode:
            await self._caller.introduce(await self._caller.peer(target, None))
            if target in self._introduced:
                raise UnreachablePeer(f"{target} does not know this node yet") from None
            self._introduced.add(target)
            return
        if self._caller.speaks_plain(await self._caller.peer(target, None), error):
            self._outbox.attempt(target, batch.last, "")
            return
        if error.status not in _FAULTY or error.code == ErrorType.InvalidTarget:
            raise UnreachablePeer(str(error)) from None
        if batch.first == batch.last:
            logger.warning("%s refuses an event, dropped: %s", target, error)
            self._outbox.confirm(target, batch.last)
            return
        self._outbox.attempt(target, (batch.first + batch.last) // 2, "")
