"""A real node of koi-net 1.3 to 2.1: full, partial or coordinator, from its configuration."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from koi_net.components.cache import Cache
from koi_net.components.event_queue import EventQueue
from koi_net.components.identity import NodeIdentity
from koi_net.components.interfaces import HandlerType, KnowledgeHandler
from koi_net.components.kobj_queue import KobjQueue
from koi_net.config.full_node import FullNodeConfig
from koi_net.config.partial_node import PartialNodeConfig
from koi_net.core import FullNode, PartialNode
from koi_net.infra import LogSystem
from koi_net.protocol.edge import EdgeType, generate_edge_bundle
from koi_net.protocol.event import Event, EventType
from rid_lib import RID
from rid_lib.ext import Bundle
from rid_lib.types import KoiNetEdge, KoiNetNode
from tests.koi.interop.console import options, serve

ASK = options()
logging.disable(logging.INFO)


@dataclass
class AnswerHandshake(KnowledgeHandler):
    """Introduce this node to whoever is new, and ask to hear of its nodes and edges."""

    identity: NodeIdentity
    cache: Cache
    event_queue: EventQueue
    kobj_queue: KobjQueue

    handler_type = HandlerType.Network
    rid_types = (KoiNetNode,)
    event_types = (EventType.NEW,)

    def handle(self, kobj: Any) -> None:
        if kobj.source != kobj.rid:
            return
        hello = Event.from_bundle(EventType.NEW, self.cache.read(self.identity.rid))
        self.event_queue.push(hello, kobj.rid)
        proposal = generate_edge_bundle(
            source=kobj.rid,
            target=self.identity.rid,
            edge_type=EdgeType.WEBHOOK,
            rid_types=[KoiNetNode, KoiNetEdge],
        )
        self.kobj_queue.push(rid=proposal.rid, event_type=EventType.FORGET)
        self.kobj_queue.push(bundle=proposal)


class Full(FullNode):
    config_schema = FullNodeConfig


class Coordinator(Full):
    answer_handshake: Any = AnswerHandshake


class Partial(PartialNode):
    config_schema = PartialNodeConfig


def write_config(home: Path) -> None:
    """Write JSON, which is YAML, where the node looks for its configuration."""
    partial = ASK["kind"] == "partial"
    koi: dict[str, Any] = {
        "node_name": ASK["name"],
        "node_profile": {
            "node_type": "PARTIAL" if partial else "FULL",
            "public_key": "",
            "provides": {"event": ASK["event"], "state": ASK["state"]},
        },
        "rid_types_of_interest": ASK["interest"],
        "event_worker": {"queue_timeout": ASK["wait"] / 10, "max_wait_time": ASK["wait"]},
    }
    if ASK["first_contact"]:
        rid, _, url = ASK["first_contact"].rpartition("@")
        koi["first_contact"] = {"rid": rid, "url": url}
    own = {"poller": {"polling_interval": 1}} if partial else {"server": {"port": ASK["port"]}}
    (home / "config.yaml").write_text(json.dumps({"koi_net": koi} | own))


LogSystem(use_file_handler=False)
home = Path(ASK["home"])
if not (home / "config.yaml").exists():
    write_config(home)
kinds = {"full": Full, "coordinator": Coordinator, "partial": Partial}
node: Any = kinds[ASK["kind"]](root_dir=home)


def know(command: dict[str, Any]) -> None:
    bundle = Bundle.generate(RID.from_string(command["rid"]), command["contents"])
    node.kobj_queue.push(bundle=bundle)


def forget(command: dict[str, Any]) -> None:
    node.kobj_queue.push(rid=RID.from_string(command["rid"]), event_type=EventType.FORGET)


def push(command: dict[str, Any]) -> None:
    rid = RID.from_string(command["rid"])
    kind = EventType(command["event_type"])
    event = Event.from_rid(kind, rid)
    if "contents" in command:
        event = Event.from_bundle(kind, Bundle.generate(rid, command["contents"]))
    node.event_queue.push(event, RID.from_string(command["to"]))


def read(command: dict[str, Any]) -> Any:
    bundle = node.cache.read(RID.from_string(command["rid"]))
    return None if bundle is None else bundle.contents


def ask(command: dict[str, Any]) -> Any:
    call = getattr(node.request_handler, command["call"])
    answer = call(node=RID.from_string(command["node"]), **command.get("request", {}))
    return None if answer is None else json.loads(answer.model_dump_json())


def main() -> None:
    node.start()
    state = {
        "rids": lambda _: [str(rid) for rid in node.cache.list_rids()],
        "state": lambda _: str(node.get_state()),
        "read": read,
    }
    acts = {"know": know, "forget": forget, "push": push, "ask": ask}
    profile = node.identity.profile
    serve({"rid": str(node.identity.rid), "url": profile.base_url}, acts | state)
    node.stop()
    os._exit(0)


main()
