"""A real node of koi-net 1.0: full, partial or coordinator, built as its document says.

The constructor changed between 1.0.0b12 (arguments) and 1.0.0 (a configuration object).
"""

from __future__ import annotations

import inspect
import json
import os
import threading
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import uvicorn
from fastapi import FastAPI
from koi_net import core
from koi_net.processor import default_handlers
from koi_net.processor.handler import HandlerType
from koi_net.processor.knowledge_object import KnowledgeSource
from koi_net.protocol.api_models import (
    BundlesPayload,
    EventsPayload,
    FetchBundles,
    FetchManifests,
    FetchRids,
    ManifestsPayload,
    PollEvents,
    RidsPayload,
)
from koi_net.protocol.edge import EdgeType
from koi_net.protocol.event import Event, EventType
from koi_net.protocol.helpers import generate_edge_bundle
from koi_net.protocol.node import NodeProfile, NodeProvides, NodeType
from rid_lib import RID, RIDType
from rid_lib.ext import Bundle
from rid_lib.types import KoiNetEdge, KoiNetNode
from tests.koi.interop.console import options, serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

ASK = options()


def rid_types(names: list[str]) -> list[Any]:
    return [RIDType.from_string(name) for name in names]


def make_profile() -> Any:
    partial = ASK["kind"] == "partial"
    return NodeProfile(
        base_url=None if partial else f"http://127.0.0.1:{ASK['port']}/koi-net",
        node_type=NodeType.PARTIAL if partial else NodeType.FULL,
        provides=NodeProvides(event=rid_types(ASK["event"]), state=rid_types(ASK["state"])),
    )


def make_node() -> Any:
    if "config" not in inspect.signature(core.NodeInterface.__init__).parameters:
        return core.NodeInterface(
            name=ASK["name"],
            profile=make_profile(),
            cache_directory_path="rid_cache",
            use_kobj_processor_thread=True,
            first_contact=ASK["first_contact"],
        )
    from koi_net.config import KoiNetConfig, NodeConfig, ServerConfig

    koi = KoiNetConfig(
        node_name=ASK["name"],
        node_rid=KoiNetNode.generate(ASK["name"]),
        node_profile=make_profile(),
        cache_directory_path="rid_cache",
        first_contact=ASK["first_contact"],
    )
    config = NodeConfig(server=ServerConfig(port=ASK["port"]), koi_net=koi)
    return core.NodeInterface(config=config, use_kobj_processor_thread=True)


node = make_node()


if ASK["kind"] == "coordinator":

    @node.processor.register_handler(HandlerType.Network, rid_types=[KoiNetNode])
    def answer_handshake(processor: Any, kobj: Any) -> None:
        """Introduce this node to whoever is new, and ask to hear of its nodes and edges."""
        if kobj.event_type != EventType.NEW:
            return
        me = processor.identity
        hello = Event.from_bundle(EventType.NEW, me.bundle)
        processor.network.push_event_to(hello, kobj.rid, flush=True)
        proposal = generate_edge_bundle(
            source=kobj.rid,
            target=me.rid,
            edge_type=EdgeType.WEBHOOK,
            rid_types=[KoiNetNode, KoiNetEdge],
        )
        processor.handle(rid=proposal.rid, event_type=EventType.FORGET)
        processor.handle(bundle=proposal)


if not hasattr(default_handlers, "coordinator_contact"):

    @node.processor.register_handler(HandlerType.Network, rid_types=[KoiNetNode])
    def subscribe_to_coordinator(processor: Any, kobj: Any) -> None:
        """Ask whoever tells of nodes to tell this one too (a default handler from 1.0.0 on)."""
        me = processor.identity
        provides = NodeProfile.model_validate(kobj.contents).provides
        graph = processor.network.graph
        if kobj.rid == me.rid or KoiNetNode not in provides.event:
            return
        if graph.get_edge_profile(source=kobj.rid, target=me.rid) is not None:
            return
        full = me.profile.node_type == NodeType.FULL
        proposal = generate_edge_bundle(
            source=kobj.rid,
            target=me.rid,
            edge_type=EdgeType.WEBHOOK if full else EdgeType.POLL,
            rid_types=[KoiNetNode],
        )
        processor.handle(bundle=proposal)
        known = processor.network.request_handler.fetch_rids(kobj.rid, rid_types=[KoiNetNode])
        for rid in known.rids:
            if rid != me.rid and not processor.cache.exists(rid):
                processor.handle(rid=rid, source=KnowledgeSource.External)


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    node.start()
    yield
    node.stop()


def make_app() -> Any:
    known = inspect.signature(FastAPI.__init__).parameters
    strictness: dict[str, Any] = (
        {"strict_content_type": False} if "strict_content_type" in known else {}
    )
    app = FastAPI(lifespan=lifespan, root_path="/koi-net", **strictness)

    @app.post("/events/broadcast")
    def broadcast_events(req: EventsPayload) -> None:
        for event in req.events:
            node.processor.handle(event=event, source=KnowledgeSource.External)

    @app.post("/events/poll")
    def poll_events(req: PollEvents) -> EventsPayload:
        return EventsPayload(events=node.network.flush_poll_queue(req.rid))

    @app.post("/rids/fetch")
    def fetch_rids(req: FetchRids) -> RidsPayload:
        return node.network.response_handler.fetch_rids(req)

    @app.post("/manifests/fetch")
    def fetch_manifests(req: FetchManifests) -> ManifestsPayload:
        return node.network.response_handler.fetch_manifests(req)

    @app.post("/bundles/fetch")
    def fetch_bundles(req: FetchBundles) -> BundlesPayload:
        return node.network.response_handler.fetch_bundles(req)

    return app


def poll_for_ever() -> None:
    while True:
        try:
            for event in node.network.poll_neighbors():
                node.processor.handle(event=event, source=KnowledgeSource.External)
        except Exception as error:  # noqa: BLE001 - its own loop has no such net
            print("poll failed:", error, flush=True)
        time.sleep(ASK["poll"])


def know(command: dict[str, Any]) -> None:
    bundle = Bundle.generate(RID.from_string(command["rid"]), command["contents"])
    node.processor.handle(bundle=bundle)


def forget(command: dict[str, Any]) -> None:
    node.processor.handle(rid=RID.from_string(command["rid"]), event_type=EventType.FORGET)


def push(command: dict[str, Any]) -> None:
    rid = RID.from_string(command["rid"])
    kind = EventType(command["event_type"])
    event = Event.from_rid(kind, rid)
    if "contents" in command:
        event = Event.from_bundle(kind, Bundle.generate(rid, command["contents"]))
    node.network.push_event_to(event, RID.from_string(command["to"]), flush=True)


def read(command: dict[str, Any]) -> Any:
    """Read from the cache; its files are emptied before they are written, so look again."""
    for _ in range(20):
        try:
            bundle = node.cache.read(RID.from_string(command["rid"]))
        except ValueError:
            time.sleep(0.05)
            continue
        return None if bundle is None else bundle.contents
    raise TimeoutError(command["rid"])


def ask(command: dict[str, Any]) -> Any:
    call = getattr(node.network.request_handler, command["call"])
    to = {"node": RID.from_string(command["node"])} if "node" in command else {}
    to |= {"url": command["url"]} if "url" in command else {}
    answer = call(**to, **command.get("request", {}))
    return None if answer is None else json.loads(answer.model_dump_json())


def main() -> None:
    if ASK["kind"] == "partial":
        node.start()
        threading.Thread(target=poll_for_ever, daemon=True).start()
    else:
        config = uvicorn.Config(make_app(), port=ASK["port"], log_level="warning")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.02)
    rids = {"rids": lambda _: [str(rid) for rid in node.cache.list_rids()], "read": read}
    acts = {"know": know, "forget": forget, "push": push, "ask": ask}
    serve({"rid": str(node.identity.rid), "url": node.identity.profile.base_url}, acts | rids)
    if ASK["kind"] == "partial":
        node.stop()
    else:
        server.should_exit = True
        thread.join(10)
    os._exit(0)


main()
