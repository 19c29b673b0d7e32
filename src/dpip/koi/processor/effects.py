"""What the pipeline asks for, done: reading, fetching, storing, queueing, judging."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ..protocol.event import EventType
from ..rid import KoiNetEdge, KoiNetNode
from ..tombstones import Tombstones
from .holdings import holdings
from .knowledge_object import KnowledgeObject, KnowledgeSource
from .policy import ANONYMOUS, Facts, Policy

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ..cache import Record
    from ..network.interface import NetworkInterface
    from ..rid import RID
    from .inbox import Inbox
    from .pipeline import Broadcast, Fetch
    from .rows import Item

LOOK_EVERY = 256


class Effects:
    """The driver's hands. Changes wait for `commit`, except in caches of other make."""

    def __init__(
        self,
        network: NetworkInterface,
        *,
        inbox: Inbox,
        policy: Policy,
        clock: Callable[[], datetime],
        most_bytes: int,
    ) -> None:
        self._most_bytes = most_bytes
        self._looked = 0
        self._full = False
        self.policy = policy
        self._store = network.store
        self._cache = network.cache
        self._network = network
        self._inbox = inbox
        self._outbox = network.outbox
        self._holdings = holdings(network.cache, Tombstones(network.store), inbox.upcoming)
        self.clock = clock
        self._to_wake: set[KoiNetNode] = set()
        self._held: KnowledgeObject | None = None

    def admits(self, kobj: KnowledgeObject) -> bool:
        """Ask the policy whether an external object may go on."""
        if kobj.source == KnowledgeSource.Internal:
            return True
        record, forgotten = self._holdings.look_up(kobj.rid, kobj.sender)
        edge = None
        if isinstance(kobj.rid, KoiNetEdge):
            edge = self._network.graph.get_edge_profile(rid=kobj.rid)
        facts = Facts(
            now=self.clock(),
            me=self._network.identity.rid,
            record=record,
            forgotten=forgotten,
            edge=edge,
            keyed=self._network.graph.keyed,
        )
        if not self.policy.admits(kobj, facts):
            return False
        if record is None and kobj.event_type == EventType.FORGET:
            self._note_early_forget(kobj)
        return record is not None or not self._no_room()

    def _no_room(self) -> bool:
        """Say whether the database has reached its limit; looks now and then."""
        if self._looked % LOOK_EVERY == 0:
            self._full = self._store.size > self._most_bytes
        self._looked += 1
        return self._full

    def _note_early_forget(self, kobj: KnowledgeObject) -> None:
        if kobj.manifest is not None and not isinstance(kobj.rid, KoiNetNode):
            sender = ANONYMOUS if kobj.sender is None else str(kobj.sender)
            stamp = kobj.manifest.timestamp
            self._holdings.bury(kobj.rid, stamp, sender=sender)

    def record(self, rid: RID) -> Record | None:
        """Return what the cache holds of a RID, without its contents."""
        return self._holdings.record(rid)

    def settle(self) -> None:
        """Write what was held back, for others to see it."""
        self._holdings.flush()

    def read(self, effect: Fetch) -> Any:
        """Return a part from the cache, or None."""
        self.settle()
        bundle = self._cache.read(effect.rid)
        return bundle.manifest if bundle and effect.what == "manifest" else bundle

    async def fetch(self, effect: Fetch) -> Any:
        """Return a part from another node, or None."""
        if effect.what == "manifest":
            return await self._network.find_manifest(effect.rid, effect.sender)
        return await self._network.find_bundle(effect.rid, effect.sender)

    def store(self, kobj: KnowledgeObject, item: Item, *, resumable: bool) -> None:
        """Write to the cache or delete from it.

        `resumable`: at once, noting in the queue that it is done, for handlers of others to
        see it. Otherwise together with the rest of the object's effects, in `finish`.
        """
        if kobj.contents is None:
            return
        if resumable:
            with self._store.change(later=True) as connection:
                self._change(kobj)
                self._holdings.flush()
                if item.id:
                    item.kobj = kobj
                    self._inbox.update(item, connection=connection)
        else:
            self._held = kobj
        forgotten = kobj.normalized_event_type == EventType.FORGET
        internal = kobj.source == KnowledgeSource.Internal
        self._network.graph.apply(
            kobj.rid,
            None if forgotten else kobj.contents,
            told_by=self._network.identity.rid if internal else kobj.sender,
        )
        if isinstance(kobj.rid, KoiNetNode):
            self._network.envelopes.settled(kobj.rid)

    def finish(self, item: Item, *, sender: KoiNetNode | None) -> None:
        """Write what was held back and take the object out of the queue."""
        held, self._held = self._held, None
        if held is not None:
            self._change(held)
        if item.id:
            self._inbox.finish(item, sender=sender)

    def _change(self, kobj: KnowledgeObject) -> None:
        bundle = kobj.bundle
        if bundle is None:
            return
        if kobj.normalized_event_type == EventType.FORGET:
            self._holdings.delete(bundle)
            return
        source = None
        if kobj.source == KnowledgeSource.External:
            source = ANONYMOUS if kobj.sender is None else str(kobj.sender)
        self._holdings.put(bundle, source=source, verified=kobj.verified)

    def broadcast(self, effect: Broadcast, kobj: KnowledgeObject) -> None:
        """Queue the event for its targets; what is not verified stays here."""
        if not kobj.verified:
            return
        targets = effect.targets - {self._network.identity.rid}
        event = effect.event.signed_form()
        held, self._held = self._held, None
        with self._store.change(later=True):
            if held is not None:
                self._change(held)
            self._holdings.flush()
            self._outbox.push(event, targets, later=True)
        self._to_wake |= targets

    def commit(self) -> None:
        """Make everything so far durable, then let the deliveries begin."""
        self._holdings.flush()
        if self._inbox.changed:
            with self._store.change() as connection:
                self._inbox.checkpoint(connection)
            self._inbox.settled()
        self._store.commit()
        self._holdings.settled()
        if self._to_wake:
            targets, self._to_wake = self._to_wake, set()
            self._network.delivery.wake(targets)
