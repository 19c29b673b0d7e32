"""A coordinator: the node that others contact first, and learn of each other from."""

from __future__ import annotations

from dpip.koi import KoiNetEdge, KoiNetNode, NodeInterface
from dpip.koi.processor.default_handlers import coordinator_handlers
from dpip.koi.protocol.node import NodeProfile, NodeProvides, NodeType
from dpip.koi.server import serve
from examples.options import Options, made, parse


def make(options: Options) -> NodeInterface:
    """Return the node; nothing runs yet."""
    return NodeInterface(
        name=options.name,
        profile=NodeProfile(
            base_url=options.base_url,
            node_type=NodeType.FULL,
            provides=NodeProvides(
                event=[KoiNetNode, KoiNetEdge],
                state=[KoiNetNode, KoiNetEdge],
            ),
        ),
        identity_file_path=options.home / "identity.json",
        event_queues_file_path=options.home / "event_queues.json",
        cache_directory_path=options.home / "rid_cache",
        use_kobj_processor_thread=True,
        first_contact=options.first_contact,
        handlers=coordinator_handlers,
        allow_unsigned=options.allow_unsigned,
    )


if __name__ == "__main__":
    chosen = parse("coordinator", port=8000)
    node = made(make, chosen)
    print(chosen.base_url, node.identity.rid, flush=True)
    serve(node, port=chosen.port)
