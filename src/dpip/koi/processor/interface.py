"""`node.processor`: the queue, the handlers, and what performs the pipeline's effects.

One object at a time is processed, in the order of the queue. The exception is an object
whose missing parts have to come from another node: it is set aside until they do, and with
it whatever is queued for the same RID, while the rest goes on. Its effects become durable
together with its leaving the queue, so a process that is killed repeats whole objects.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

from ..clock import utc_now
from ..errors import InvalidContents
from ..protocol.event import ReceivedEvent
from ..rid import RID, KoiNetNode, RIDType
from ..seen import Seen
from .arrangement import Arrangement
from .effects import Effects
from .handler import HandlerType, KnowledgeHandler, StopChain
from .inbox import Inbox
from .job import Job
from .knowledge_object import KnowledgeEventType, KnowledgeObject, KnowledgeSource
from .kobj_queue import KnowledgeQueue
from .pipeline import Broadcast, Effect, Fetch, Store, run
from .policy import SourcePolicy
from .rows import Item

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from ..bundle import Bundle, Manifest
    from ..cache import BundleCache
    from ..identity import NodeIdentity
    from ..network.interface import NetworkInterface
    from ..protocol.event import Event
    from .handler import HandlerFunction
    from .policy import Policy

logger = logging.getLogger(__name__)

MOST_BYTES = 16 << 30
COMMIT_EVERY = 256
GATHER_SECONDS = 0.002  # an idle worker lets a burst come together: one wake-up, one commit
ENOUGH = 64  # objects
MOST_GATHERING = 8  # times, as long as more comes
FAILURE_SECONDS = 0.5


class ProcessorInterface:
    """Queues knowledge and runs it through the pipeline, on a thread of its own if asked."""

    cache: BundleCache
    network: NetworkInterface
    identity: NodeIdentity
    handlers: list[KnowledgeHandler]
    kobj_queue: KnowledgeQueue
    use_kobj_processor_thread: bool
    worker_thread: threading.Thread | None = None

    def __init__(
        self,
        cache: BundleCache,
        network: NetworkInterface,
        identity: NodeIdentity,
        use_kobj_processor_thread: bool,
        default_handlers: Sequence[KnowledgeHandler] = (),
        *,
        policy: Policy | None = None,
        clock: Callable[[], datetime] = utc_now,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.cache = cache
        self.network = network
        self.identity = identity
        self.use_kobj_processor_thread = use_kobj_processor_thread
        self.rid_types_of_interest: list[RIDType] | None = [KoiNetNode]
        self.failures = 0
        self.seen = Seen(network.store)
        self.inbox = self._inbox = Inbox(network.store, self.seen)
        self._effects = Effects(
            network,
            inbox=self._inbox,
            policy=policy or SourcePolicy(),
            clock=clock,
            most_bytes=most_bytes,
        )
        self.handlers = list(default_handlers)
        self._arrangement = Arrangement()
        self.kobj_queue = KnowledgeQueue(self)
        if use_kobj_processor_thread:
            self.worker_thread = self._worker()
        self._changed = threading.Condition()
        self._turn = threading.RLock()
        self._returned: deque[tuple[Job, Any]] = deque()
        self._aside: dict[RID, deque[Item]] = {}
        self._busy_thread: int | None = None
        self._uncommitted = 0
        self._stopping = False

    # Handlers

    def add_handler(self, handler: KnowledgeHandler) -> None:
        """Add a handler at the end of the array `handlers`, which may also be changed itself."""
        self.handlers.append(handler)

    def register_handler(
        self,
        handler_type: HandlerType,
        rid_types: Sequence[RIDType] | None = None,
        source: KnowledgeSource | None = None,
        event_types: Sequence[KnowledgeEventType] | None = None,
    ) -> Callable[[HandlerFunction], HandlerFunction]:
        """Make the decorated function a handler of this node."""

        def decorator(func: HandlerFunction) -> HandlerFunction:
            self.add_handler(KnowledgeHandler(func, handler_type, rid_types, source, event_types))
            return func

        return decorator

    def now(self) -> datetime:
        """Return this moment, by the node's clock."""
        return self._effects.clock()

    def cached_manifest(self, rid: RID) -> Manifest | None:
        """Return what the cache holds of a RID, without its contents."""
        record = self._effects.record(rid)
        return None if record is None else record.manifest

    # The queue

    def handle(  # noqa: PLR0917 (the original signature)
        self,
        rid: RID | None = None,
        manifest: Manifest | None = None,
        bundle: Bundle | None = None,
        event: Event | None = None,
        kobj: KnowledgeObject | None = None,
        event_type: KnowledgeEventType = None,
        source: KnowledgeSource = KnowledgeSource.Internal,
        sender: KoiNetNode | None = None,
    ) -> None:
        """Queue one piece of knowledge; it is safe in the database when this returns.

        Raises QueueFull when too much waits already, InvalidContents when nothing was given.
        """
        found = kobj
        if event is not None:
            found = KnowledgeObject.from_event(event, source)
            found.sender = sender or getattr(event, "sender", None)
        elif bundle is not None:
            found = KnowledgeObject.from_bundle(bundle, event_type, source)
        elif manifest is not None:
            found = KnowledgeObject.from_manifest(manifest, event_type, source)
        elif rid is not None:
            found = KnowledgeObject.from_rid(rid, event_type, source)
        if found is None:
            raise InvalidContents("one of rid, manifest, bundle, event or kobj is needed")
        found.sender = found.sender or sender
        if not (isinstance(event, ReceivedEvent) and event.lane):
            self.accept([found])
        elif self._inbox.add_once(found, event.lane, event.seq):
            self.wake()

    def accept(self, kobjs: Sequence[KnowledgeObject], *, later: bool = False) -> None:
        """Queue many objects with one commit; `later` leaves that to the caller."""
        inside = self._busy_thread == threading.get_ident()
        self._inbox.add(kobjs, later=later or inside)
        self.wake()

    def wake(self) -> None:
        """Let the worker look at the queue."""
        with self._changed:
            self._changed.notify_all()

    @property
    def queue_size(self) -> int:
        """How many objects were accepted and are not processed yet."""
        return self._inbox.size

    # Processing

    def start(self) -> None:
        """Start the worker thread, if this processor has one."""
        self._stopping = False
        if self._working:
            return
        if self.use_kobj_processor_thread:
            self.worker_thread = self.worker_thread or self._worker()
            self.worker_thread.start()

    def _worker(self) -> threading.Thread:
        return threading.Thread(target=self._work, name="koi-processor", daemon=True)

    def stop(self) -> None:
        """Finish the object at hand and stop; what is queued stays queued."""
        self._stopping = True
        self.wake()
        if self._working:
            assert self.worker_thread is not None
            self.worker_thread.join()
            self.worker_thread = None
        with self._turn:
            self._commit()

    def flush_kobj_queue(self, timeout: float | None = None) -> None:
        """Process everything in the queue, or wait for the worker thread to have done so."""
        if self._busy_thread == threading.get_ident():
            return
        if self._working:
            with self._changed:
                self._changed.wait_for(lambda: self._inbox.size == 0 or self._stopping, timeout)
            return
        while True:
            with self._turn:
                idle = not self._step()
                if idle:
                    self._commit()
            if idle and not self._wait_for_returned():
                return

    @property
    def _working(self) -> bool:
        return self.worker_thread is not None and self.worker_thread.ident is not None

    def process_kobj(self, kobj: KnowledgeObject) -> None:
        """Run one object through the pipeline here and now, past the queue."""
        with self._turn:
            job = self._job(Item(0, kobj))
            value: Any = None
            while isinstance(effect := self._advance(job, value), Fetch):
                value = self.network.runner.call(self._effects.fetch(effect))
            self._commit()

    def _work(self) -> None:
        while not self._stopping:
            try:
                with self._turn:
                    busy = self._step()
                    if not busy:
                        self._commit()
            except Exception:  # the last net: this thread must outlive any object
                logger.exception("the queue cannot be processed, trying again")
                time.sleep(FAILURE_SECONDS)
                busy = False
            if not busy:
                with self._changed:
                    if not self._returned and not self._inbox.waiting and not self._stopping:
                        self._changed.notify_all()
                        self._changed.wait(1.0)
                self._gather()

    def _gather(self) -> None:
        """Wait a moment, and on while more comes: the effects of many cost little more."""
        before = 0
        for _ in range(MOST_GATHERING):
            time.sleep(GATHER_SECONDS)
            size = self._inbox.size
            if size <= before + 1 or size >= ENOUGH or self._stopping:
                return
            before = size

    def _wait_for_returned(self) -> bool:
        """Wait for what other nodes were asked for; say whether there is work to do."""
        with self._changed:
            while self._aside and not self._returned and not self._inbox.waiting:
                if not self.network.runner.turn():
                    self._changed.wait(1.0)
            return bool(self._returned or self._inbox.waiting)

    def _step(self) -> bool:
        """Process one object, or go on with one; say whether there was one."""
        if self._returned:
            job, value = self._returned.popleft()
            self._drive(job, value)
            return True
        item = self._inbox.take()
        if item is None:
            return False
        if self._aside and item.kobj.rid in self._aside:
            self._aside[item.kobj.rid].append(item)
        else:
            self._drive(self._job(item), None)
        return True

    def _job(self, item: Item) -> Job:
        self._arrangement.renew(self.handlers)
        chains = self._arrangement.chains(type(item.kobj.rid))
        job = Job(item, item.kobj.sender, chains)
        chain = partial(self._chain, job)
        job.run = run(item.kobj, chain, self._effects.admits, stored=item.stored)
        return job

    def _chain(
        self, job: Job, phase: HandlerType, kobj: KnowledgeObject
    ) -> KnowledgeObject | StopChain:
        for seeing in job.chains.phases[phase]:
            if not seeing.always and not seeing.handler.wants_event(kobj):
                continue
            given = kobj
            if not seeing.ours:
                job.mine = True
                self._effects.settle()
                given = kobj.model_copy()  # what it changes and does not return is not passed on
            result = seeing.func(self, given)
            if result is None:
                continue
            if isinstance(result, StopChain):
                return result
            if isinstance(result, KnowledgeObject):
                kobj = result
        return kobj

    def call_handler_chain(
        self, handler_type: HandlerType, kobj: KnowledgeObject
    ) -> KnowledgeObject | StopChain:
        """Run the handlers of one phase on an object, outside of the pipeline."""
        return self._chain(self._job(Item(0, kobj)), handler_type, kobj)

    def _drive(self, job: Job, value: Any) -> None:
        effect = self._advance(job, value)
        if isinstance(effect, Fetch):
            self._aside.setdefault(job.item.kobj.rid, deque())
            self.network.runner.spawn(self._obtain(job, effect))
            return
        if not self._aside:
            return
        waiting = self._aside.pop(job.item.kobj.rid, deque())
        while waiting and job.item.kobj.rid not in self._aside:
            self._drive(self._job(waiting.popleft()), None)
        if waiting:
            self._aside[job.item.kobj.rid].extend(waiting)

    async def _obtain(self, job: Job, effect: Fetch) -> None:
        value = None
        try:
            value = await self._effects.fetch(effect)
        finally:
            self._returned.append((job, value))
            self.wake()

    def _advance(self, job: Job, value: Any) -> Effect | None:
        """Run until another node has to be asked, which is returned, or to the end."""
        before, self._busy_thread = self._busy_thread, threading.get_ident()
        try:
            effect = job.run.send(value)
            while True:
                if isinstance(effect, Store):
                    late = job.chains.late
                    others = bool(late) and any(one.wants_event(effect.kobj) for one in late)
                    self._effects.store(effect.kobj, job.item, resumable=others)
                    value = None
                elif isinstance(effect, Broadcast):
                    self._effects.broadcast(effect, job.item.kobj)
                    value = None
                elif effect.origin == "network":
                    return effect
                else:
                    value = self._effects.read(effect)
                effect = job.run.send(value)
        except StopIteration:
            pass
        except Exception:  # handlers are other people's code
            self.failures += 1
            logger.exception("processing of %s failed", job.item.kobj.rid)
        finally:
            self._busy_thread = before
        self._finish(job)
        return None

    def _finish(self, job: Job) -> None:
        self._effects.finish(job.item, sender=job.sender)
        self._uncommitted += 1
        if job.mine or self._uncommitted >= COMMIT_EVERY:
            self._commit()

    def _commit(self) -> None:
        self._uncommitted = 0
        self._effects.commit()
        if self._inbox.size == 0:
            self.wake()
