"""A node of ours: full, partial or coordinator, on the interface that everybody has."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

from tests.koi.interop.console import options, serve

from dpip.koi import (
    RID,
    Bundle,
    Event,
    EventType,
    HandlerType,
    KnowledgeSource,
    KoiNetEdge,
    KoiNetNode,
    NodeInterface,
    RIDType,
)
from dpip.koi.processor.knowledge_object import KnowledgeObject
from dpip.koi.protocol.edge import EdgeProfile, EdgeStatus, EdgeType
from dpip.koi.protocol.node import NodeProfile, NodeProvides, NodeType
from dpip.koi.server import server as server_of

ASK = options()


def rid_types(names: list[str]) -> list[RIDType]:
    return [RIDType.from_string(name) for name in names]


def make_node() -> NodeInterface:
    partial = ASK["kind"] == "partial"
    return NodeInterface(
        name=ASK["name"],
        profile=NodeProfile(
            base_url=None if partial else f"http://127.0.0.1:{ASK['port']}/koi-net",
            node_type=NodeType.PARTIAL if partial else NodeType.FULL,
            provides=NodeProvides(event=rid_types(ASK["event"]), state=rid_types(ASK["state"])),
        ),
        use_kobj_processor_thread=True,
        first_contact=ASK["first_contact"],
        allow_unsigned=ASK["allow_unsigned"],
        rid_types_of_interest=rid_types(ASK["interest"]),
    )


node = make_node()

if ASK["kind"] == "coordinator":

    @node.processor.register_handler(HandlerType.Network, rid_types=[KoiNetNode])
    def answer_handshake(processor: Any, kobj: KnowledgeObject) -> None:
        """Introduce this node to whoever is new, and ask to hear of its nodes and edges."""
        if kobj.event_type != EventType.NEW or kobj.source == KnowledgeSource.Internal:
            return
        assert isinstance(kobj.rid, KoiNetNode)
        me = processor.identity
        hello = Event.from_bundle(EventType.NEW, me.bundle)
        processor.network.push_event_to(hello, kobj.rid, flush=True)
        rid = KoiNetEdge.generate(kobj.rid, me.rid)
        profile = EdgeProfile(
            source=kobj.rid,
            target=me.rid,
            edge_type=EdgeType.WEBHOOK,
            status=EdgeStatus.PROPOSED,
            rid_types=[KoiNetNode, KoiNetEdge],
        )
        processor.handle(rid=rid, event_type=EventType.FORGET)
        processor.handle(bundle=Bundle.generate(rid, profile))


if ASK["handled"] is not None:

    @node.processor.register_handler(HandlerType.Final)
    def note_handled(_: Any, kobj: KnowledgeObject) -> None:
        """Write down what has been through the pipeline; whole lines survive a kill."""
        line = f"{kobj.rid} {kobj.normalized_event_type}\n".encode()
        descriptor = os.open(ASK["handled"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.write(descriptor, line)
        os.close(descriptor)


def poll_for_ever() -> None:
    while True:
        for event in node.network.poll_neighbors():
            node.processor.handle(event=event, source=KnowledgeSource.External)
        time.sleep(ASK["poll"])


def know(command: dict[str, Any]) -> None:
    node.processor.handle(
        bundle=Bundle.generate(RID.from_string(command["rid"]), command["contents"])
    )


def forget(command: dict[str, Any]) -> None:
    node.processor.handle(rid=RID.from_string(command["rid"]), event_type=EventType.FORGET)


def push(command: dict[str, Any]) -> None:
    rid, kind = RID.from_string(command["rid"]), EventType(command["event_type"])
    event = Event.from_rid(kind, rid)
    if "contents" in command:
        event = Event.from_bundle(kind, Bundle.generate(rid, command["contents"]))
    target = RID.from_string(command["to"])
    assert isinstance(target, KoiNetNode)
    node.network.push_event_to(event, target, flush=True)


def ask(command: dict[str, Any]) -> Any:
    call = getattr(node.network.request_handler, command["call"])
    answer = call(node=RID.from_string(command["node"]), **command.get("request", {}))
    return None if answer is None else json.loads(answer.to_json())


def read(command: dict[str, Any]) -> Any:
    bundle = node.cache.read(RID.from_string(command["rid"]))
    return None if bundle is None else bundle.contents


def main() -> None:
    Path(ASK["home"]).mkdir(parents=True, exist_ok=True)
    server = None
    if ASK["kind"] == "partial":
        node.start()
        threading.Thread(target=poll_for_ever, daemon=True).start()
    else:
        server = server_of(node, port=ASK["port"])
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.005)
    commands = {"know": know, "forget": forget, "push": push, "ask": ask, "read": read}
    rids = {"rids": lambda _: [str(rid) for rid in node.cache.list_rids()]}
    serve({"rid": str(node.identity.rid), "url": node.identity.profile.base_url}, commands | rids)
    if server is None:
        node.stop()
    else:
        server.should_exit = True
        thread.join(20)


main()
