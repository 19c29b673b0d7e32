"""`NodeInterface`: one object that is a node. Here the parts are put together."""

from __future__ import annotations

import logging
import time
from pathlib import Path
from typing import TYPE_CHECKING

from .cache import BundleCache, Cache
from .envelopes import Envelopes
from .identity import NodeIdentity
from .journal import Cursors, Journal
from .network.address import AddressPolicy
from .network.background import Background, Runner
from .network.contact import Contact
from .network.graph import NetworkGraph
from .network.interface import NetworkInterface
from .network.transport import HttpTransport, Transport
from .outbox import Outbox
from .processor.default_handlers import default_handlers, subscribe, types_of_interest
from .processor.effects import Effects
from .processor.inbox import Inbox
from .processor.interface import ProcessorInterface, utc_now
from .processor.policy import Policy, SourcePolicy
from .rid import KoiNetNode
from .seen import Seen
from .store import Store
from .tombstones import Tombstones

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from .processor.handler import KnowledgeHandler
    from .protocol.node import NodeProfile
    from .rid import RIDType

logger = logging.getLogger(__name__)


class NodeInterface:
    """A KOI-net node: its `cache`, `identity`, `network` and `processor`.

    Made with a name and a profile only, it is a node of protocol 1.0 that also signs: plain
    messages are accepted, and sent to peers without a key. `allow_unsigned=False` makes it
    speak the signed wire and nothing else. `first_contact` is a URL, or `RID@URL`. State is
    in three places: the identity file (with the key beside it), the cache directory, and
    for caches of other make a database beside `event_queues_file_path`. When the database
    reaches `most_bytes`, nothing new is taken from outside.
    """

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
        most_bytes: int = 16 << 30,
        clock: Callable[[], datetime] = utc_now,
        transport: Transport | None = None,
        runner: Runner | None = None,
    ) -> None:
        self.cache = cache if cache is not None else Cache(cache_directory_path)
        self.identity = NodeIdentity(
            name,
            profile,
            self.cache,
            identity_file_path,
            key_path=key_path,
            key_password=key_password,
        )
        self.first_contact = first_contact
        self.use_kobj_processor_thread = use_kobj_processor_thread
        self.store = (
            self.cache.store
            if isinstance(self.cache, Cache)
            else Store(Path(event_queues_file_path).with_suffix(".sqlite3"))
        )
        self.graph = network.graph if network else NetworkGraph(self.cache, self.identity)
        self.envelopes = Envelopes(self.identity, self.graph, allow_unsigned=allow_unsigned)
        self.seen = Seen(self.store)
        self.inbox = Inbox(self.store, self.seen)
        self.cursors = Cursors(self.store)
        kept_here = isinstance(self.cache, Cache) and self.cache.store is self.store
        self.journal = Journal(self.store) if kept_here else None
        contact = None if first_contact is None else Contact.parse(first_contact)
        addresses = AddressPolicy.for_node(
            self.identity.profile.base_url,
            allowed=tuple(allowed_networks),
            named=() if contact is None else (contact.url,),
        )
        self.network = network or NetworkInterface(
            identity=self.identity,
            cache=self.cache,
            graph=self.graph,
            envelopes=self.envelopes,
            outbox=Outbox(self.store),
            transport=transport or HttpTransport(addresses),
            runner=runner or Background(),
            contact=contact,
            journal=self.journal,
            cursors=self.cursors,
        )
        self.processor = processor or ProcessorInterface(
            self.cache,
            self.network,
            self.identity,
            use_kobj_processor_thread,
            default_handlers if handlers is None else handlers,
            inbox=self.inbox,
            effects=Effects(
                store=self.store,
                cache=self.cache,
                network=self.network,
                inbox=self.inbox,
                outbox=self.network.outbox,
                tombstones=Tombstones(self.store),
                policy=policy or SourcePolicy(),
                clock=clock,
                most_bytes=most_bytes,
            ),
        )
        interest = rid_types_of_interest
        self.processor.rid_types_of_interest = None if interest is None else list(interest)
        self.network.on_found = self.processor.accept

    def start(self) -> None:
        """Go on where the last run stopped, and introduce this node if it knows nobody."""
        self.graph.generate()
        self.processor.start()
        self.processor.handle(bundle=self.identity.bundle)
        if not self.use_kobj_processor_thread:
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
        if self.use_kobj_processor_thread:
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
