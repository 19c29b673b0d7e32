"""A partial node: a place to start from."""

from __future__ import annotations

import time

from dpip.koi import KnowledgeSource, NodeInterface
from dpip.koi.protocol.node import NodeProfile, NodeProvides, NodeType

node = NodeInterface(
    name="partial",
    profile=NodeProfile(node_type=NodeType.PARTIAL, provides=NodeProvides(event=[])),
    first_contact="http://127.0.0.1:8000/koi-net",
)


if __name__ == "__main__":
    node.start()
    try:
        while True:
            for event in node.network.poll_neighbors():
                node.processor.handle(event=event, source=KnowledgeSource.External)
            node.processor.flush_kobj_queue()
            time.sleep(5)
    finally:
        node.stop()
