"""`NodeInterface`: one object that is a node. Here the parts are put together."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from .cache import BundleCache, Cache
from .clock import utc_now
from .identity import NodeIdentity
from .network.interface import NetworkInterface
from .processor.default_handlers import default_handlers, subscribe, types_of_interest
from .processor.interface import MOST_BYTES, ProcessorInterface
from .rid import KoiNetNode

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime
    from pathlib import Path

    from .network.background import Runner
    from .network.transport import Transport
    from .processor.handler import KnowledgeHandler
    from .processor.policy import Policy
    from .protocol.node import NodeProfile
    from .rid import RIDType

logger = logging.getLogger(__name__)


class NodeInterface:
    """A KOI-net node: its `cache`, `identity`, `network` and `processor`.

    Made with a name and a profile only, it is a node of protocol 1.0 that also signs: plain
    messages are accepted, and sent to peers without a key. `allow_unsigned=False` makes it
    speak the signed wire and nothing else, `keyless=True` the plain wire and nothing else.
    `first_contact` is a URL, or `RID@URL`.

    State is in three places: the identity file (with the key beside it), the cache
    directory, and for caches of other make a database beside `event_queues_file_path`. What
    a node of the original package left in these places is taken over. When the database
    reaches `most_bytes`, nothing new is taken from outside. Killed at any instant, the node
    loses nothing that it accepted; with `sync`, nor does it in a power cut, for one disk
    flush per commit.

    `cache`, `network` and `processor` take objects that the caller made, with their own
    identity and settings: what is said here about those parts then has no effect.
    """

    cache: BundleCache
    identity: NodeIdentity
    network: NetworkInterface
    processor: ProcessorInterface
    first_contact: str | None
    use_kobj_processor_thread: bool

    def __init__(  # noqa: PLR0917 (the original signature)
        self,
        name: str,
        profile: NodeProfile,
        identity_file_path: str | Path = "identity.json",
        event_queues_file_path: str | Path = "event_queues.json",
        cache_directory_path: str | Path = "rid_cache",
        use_kobj_processor_thread: bool = False,
        first_contact: str | None = None,
        handlers: Sequence[KnowledgeHandler] | None = None,
        cache: BundleCache | None = None,
        network: NetworkInterface | None = None,
        processor: ProcessorInterface | None = None,
        *,
        allow_unsigned: bool = True,
        rid_types_of_interest: Sequence[RIDType] | None = (KoiNetNode,),
        policy: Policy | None = None,
        allowed_networks: Sequence[str] = (),
        key_path: str | Path | None = None,
        key_password: str | None = None,
        keyless: bool = False,
        most_bytes: int = MOST_BYTES,
        sync: bool = False,
        clock: Callable[[], datetime] = utc_now,
        transport: Transport | None = None,
        runner: Runner | None = None,
    ) -> None:
        network = network or (processor.network if processor else None)
        self.cache = _cache(cache, network) or Cache(cache_directory_path, sync=sync)
        self.identity = (
            network.identity
            if network
            else NodeIdentity(
                name,
                profile,
                self.cache,
                identity_file_path,
                key_path=key_path,
                key_password=key_password,
                keyless=keyless,
            )
        )
        self.first_contact = first_contact
        self.use_kobj_processor_thread = use_kobj_processor_thread
        self.network = network or NetworkInterface(
            event_queues_file_path,
            first_contact,
            self.cache,
            self.identity,
            allow_unsigned=allow_unsigned,
            allowed_networks=allowed_networks,
            sync=sync,
            transport=transport,
            runner=runner,
        )
        if network and first_contact is not None and network.contact is None:
            network.name_first_contact(first_contact)
        self.store = self.network.store
        self.graph = self.network.graph
        self.envelopes = self.network.envelopes
        self.processor = processor or ProcessorInterface(
            self.cache,
            self.network,
            self.identity,
            use_kobj_processor_thread,
            default_handlers if handlers is None else handlers,
            policy=policy,
            clock=clock,
            most_bytes=most_bytes,
        )
        self.inbox = self.processor.inbox
        self.seen = self.processor.seen
        interest = rid_types_of_interest
        self.processor.rid_types_of_interest = None if interest is None else list(interest)
        self.network.on_found = self.processor.accept

    def start(self) -> None:
        """Go on where the last run stopped, and introduce this node if it knows nobody."""
        self.graph.generate()
        self.processor.start()
        self.processor.handle(bundle=self.identity.bundle)
        if not self.processor.use_kobj_processor_thread:
            self.processor.flush_kobj_queue()
        self.network.start()
        self._renew_subscriptions()

    def _renew_subscriptions(self) -> None:
        """Propose what has become of interest since, and catch up on what is subscribed."""
        incoming = set(self.graph.get_neighbors("in"))
        for node, profile in self.graph.profiles():
            if node in incoming:
                self.network.catch_up(node, types_of_interest(self.processor, profile))
            subscribe(self.processor, node, profile)

    def stop(self, timeout: float = 5.0) -> None:
        """Process and deliver what can be in `timeout` seconds; the rest stays queued."""
        deadline = time.monotonic() + timeout
        if self.processor.use_kobj_processor_thread:
            self.processor.flush_kobj_queue(timeout)
        else:
            self.processor.flush_kobj_queue()
        self.processor.stop()
        self.network.stop(max(0.0, deadline - time.monotonic()))
        self.store.commit()

    def close(self) -> None:
        """Stop, and let go of the database: for programs that go on without the node."""
        self.stop()
        self.store.close()


def _cache(given: BundleCache | None, network: NetworkInterface | None) -> BundleCache | None:
    return given if given is not None or network is None else network.cache
