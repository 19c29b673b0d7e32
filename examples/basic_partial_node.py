"""A partial node: joins the coordinator, then polls for events and prints them."""

from __future__ import annotations

import signal
import time

from dpip.koi import HandlerType, KnowledgeObject, KnowledgeSource, NodeInterface
from dpip.koi.protocol.node import NodeProfile, NodeProvides, NodeType
from examples.options import Options, made, parse

COORDINATOR = "http://127.0.0.1:8000/koi-net"


def make(options: Options) -> NodeInterface:
    """Return the node; nothing runs yet."""
    node = NodeInterface(
        name=options.name,
        profile=NodeProfile(node_type=NodeType.PARTIAL, provides=NodeProvides(event=[])),
        identity_file_path=options.home / "identity.json",
        event_queues_file_path=options.home / "event_queues.json",
        cache_directory_path=options.home / "rid_cache",
        first_contact=options.first_contact,
        allow_unsigned=options.allow_unsigned,
    )

    @node.processor.register_handler(HandlerType.Final)
    def show(_processor: object, kobj: KnowledgeObject) -> None:
        print(kobj.normalized_event_type, kobj.rid, flush=True)

    return node


def run(node: NodeInterface, *, pause: float = 5.0) -> None:
    """Poll until interrupted."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    node.start()
    try:
        while True:
            for event in node.network.poll_neighbors():
                node.processor.handle(event=event, source=KnowledgeSource.External)
            node.processor.flush_kobj_queue()
            time.sleep(pause)
    except KeyboardInterrupt:
        pass
    finally:
        node.stop()


if __name__ == "__main__":
    chosen = parse("partial", first_contact=COORDINATOR)
    partial = made(make, chosen)
    print("-", partial.identity.rid, flush=True)
    run(partial)
