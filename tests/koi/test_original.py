"""The programs of the original document, with the import root changed and nothing else."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING, Any

import pytest
from tests.koi.nodes import served, until
from tests.peers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

FULL_NODE = """
from dpip.koi import NodeInterface
from dpip.koi.protocol.node import NodeProfile, NodeProvides, NodeType

node = NodeInterface(
    name="myfullnode",
    profile=NodeProfile(
        base_url="http://127.0.0.1:8000",
        node_type=NodeType.FULL,
        provides=NodeProvides(
            event=[],
            state=[]
        )
    ),
    use_kobj_processor_thread=True
)

from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app: FastAPI):
    node.start()
    yield
    node.stop()


app = FastAPI(lifespan=lifespan, root_path="/koi-net")

from dpip.koi.protocol.api_models import *
from dpip.koi.protocol.consts import *
from dpip.koi.processor.knowledge_object import KnowledgeSource

@app.post(BROADCAST_EVENTS_PATH)
def broadcast_events(req: EventsPayload):
    for event in req.events:
        node.processor.handle(event=event, source=KnowledgeSource.External)

@app.post(POLL_EVENTS_PATH)
def poll_events(req: PollEvents) -> EventsPayload:
    events = node.network.flush_poll_queue(req.rid)
    return EventsPayload(events=events)

@app.post(FETCH_RIDS_PATH)
def fetch_rids(req: FetchRids) -> RidsPayload:
    return node.network.response_handler.fetch_rids(req)

@app.post(FETCH_MANIFESTS_PATH)
def fetch_manifests(req: FetchManifests) -> ManifestsPayload:
    return node.network.response_handler.fetch_manifests(req)

@app.post(FETCH_BUNDLES_PATH)
def fetch_bundles(req: FetchBundles) -> BundlesPayload:
    return node.network.response_handler.fetch_bundles(req)
"""

PARTIAL_NODE = """
from dpip.koi import NodeInterface
from dpip.koi.protocol.node import NodeProfile, NodeProvides, NodeType

node = NodeInterface(
    name="mypartialnode",
    profile=NodeProfile(
        node_type=NodeType.PARTIAL,
        provides=NodeProvides(
            event=[]
        )
    )
)

import time
from dpip.koi.processor.knowledge_object import KnowledgeSource

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
"""


DEPRECATED = pytest.mark.filterwarnings("ignore:The `root_path` parameter is deprecated")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(program: str) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "original"}
    exec(compile(program, "original", "exec"), names)
    return names


def post(port: int, path: str, body: Any, content_type: str | None = "application/json") -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    headers = {"Content-Type": content_type} if content_type else {}
    connection.request("POST", "/koi-net" + path, json.dumps(body), headers)
    response = connection.getresponse()
    text = response.read()
    connection.close()
    assert response.status == 200, text
    return json.loads(text)


@DEPRECATED
def test_the_full_node_with_fastapi(home: Path) -> None:
    names = run(FULL_NODE)
    node = names["node"]
    with served(names["app"]) as port:
        other = "orn:koi-net.node:other+1"
        contents: dict[str, Any] = {
            "base_url": None,
            "node_type": "PARTIAL",
            "provides": {"event": [], "state": []},
        }
        manifest = {
            "rid": other,
            "timestamp": "2025-01-01T00:00:00Z",
            "sha256_hash": "0" * 64,
        }
        from dpip.koi.canonical import content_hash

        manifest["sha256_hash"] = content_hash(contents)
        event = {"rid": other, "event_type": "NEW", "manifest": manifest, "contents": contents}
        assert post(port, "/events/broadcast", {"events": [event]}) is None
        until(lambda: [str(rid) for rid in node.cache.list_rids() if str(rid) == other])
        assert other in post(port, "/rids/fetch", {})["rids"]
        answer = post(port, "/manifests/fetch", {"rids": [other, "orn:a.b:c"]})
        assert answer == {"manifests": [manifest], "not_found": ["orn:a.b:c"]}
        answer = post(port, "/bundles/fetch", {"rids": [other]})
        assert answer["bundles"] == [{"manifest": manifest, "contents": contents}]
        from dpip.koi import RID

        node.network.push_event_to(
            names["Event"](RID.from_string("orn:a.b:c"), "FORGET"), RID.from_string(other)
        )
        events = post(port, "/events/poll", {"rid": other})["events"]
        assert events == [
            {"rid": "orn:a.b:c", "event_type": "FORGET", "manifest": None, "contents": None}
        ]
        assert post(port, "/events/poll", {"rid": other}) == {"events": []}
    node.store.close()


@DEPRECATED
def test_the_routes_take_bodies_of_no_declared_type(home: Path) -> None:
    """Clients of 1.0 send no Content-Type, and FastAPI then leaves the reading to the model."""
    names = run(FULL_NODE)
    with served(names["app"]) as port:
        assert post(port, "/rids/fetch", {"rid_types": ["orn:a.b"]}, None) == {"rids": []}
        assert post(port, "/events/broadcast", {"events": []}, None) is None
        assert post(port, "/events/poll", {"rid": "orn:koi-net.node:a+b"}, None) == {"events": []}
        missing = post(port, "/bundles/fetch", {"rids": ["orn:a.b:c"]}, None)
        assert missing == {"bundles": [], "not_found": ["orn:a.b:c"], "deferred": []}
        with pytest.raises(AssertionError, match="Value error"):
            post(port, "/bundles/fetch", {"rids": 1}, None)
    names["node"].store.close()


@DEPRECATED
def test_fastapi_describes_our_models(home: Path) -> None:
    names = run(FULL_NODE)
    document = names["app"].openapi()
    body = document["paths"]["/bundles/fetch"]["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    name = schema.get("$ref", "").rsplit("/", 1)[-1]
    schema = document["components"]["schemas"].get(name, schema)
    assert schema["properties"]["rids"]["items"]["type"] == "string"
    names["node"].close()


def test_the_partial_node_runs_until_it_is_interrupted(home: Path) -> None:
    (home / "partial.py").write_text(PARTIAL_NODE)
    process = subprocess.Popen([sys.executable, "partial.py"], cwd=home, env=_environment())
    try:
        until((home / "rid_cache" / "koi.sqlite3").exists)
        until((home / "identity.json").exists)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
    identity = json.loads((home / "identity.json").read_text())
    assert identity["rid"].startswith("orn:koi-net.node:mypartialnode+")


def _environment() -> dict[str, str]:
    import os

    return {**os.environ, "PYTHONPATH": str(ROOT / "src")}


def test_both_decorators_and_the_handler_list(home: Path) -> None:
    names = run("""
from dpip.koi import NodeInterface
from dpip.koi.protocol.node import NodeProfile, NodeProvides, NodeType
from dpip.koi.processor.handler import KnowledgeHandler, HandlerType, STOP_CHAIN
from dpip.koi.processor.interface import ProcessorInterface
from dpip.koi.processor.knowledge_object import KnowledgeObject, KnowledgeSource
from dpip.koi.protocol.event import EventType
from dpip.koi.rid import KoiNetEdge
from dpip.koi.processor.default_handlers import (
    basic_rid_handler,
    basic_manifest_handler,
    edge_negotiation_handler,
    basic_network_output_filter
)

node = NodeInterface(
    name="mypartialnode",
    profile=NodeProfile(
        node_type=NodeType.PARTIAL,
        provides=NodeProvides(
            event=[]
        )
    ),
    handlers=[
        basic_rid_handler,
        basic_manifest_handler,
        edge_negotiation_handler,
        basic_network_output_filter

        # include all or none of the default handlers
    ]
)

seen = []

@KnowledgeHandler.create(HandlerType.RID)
def example_handler(processor: ProcessorInterface, kobj: KnowledgeObject):
    seen.append(("created", processor is node.processor, kobj.rid))

node.processor.add_handler(example_handler)

@node.processor.register_handler(HandlerType.RID)
def example_handler(processor: ProcessorInterface, kobj: KnowledgeObject):
    seen.append(("registered", processor is node.processor, kobj.rid))

@KnowledgeHandler.create(
    handler_type=HandlerType.Bundle,
    rid_types=[KoiNetEdge],
    source=KnowledgeSource.External,
    event_types=[EventType.NEW, EventType.UPDATE])
def picky_handler(processor: ProcessorInterface, kobj: KnowledgeObject):
    seen.append("never")

node.processor.add_handler(picky_handler)
node.start()
""")
    node = names["node"]
    rid = node.identity.rid
    assert names["seen"] == [("created", True, rid), ("registered", True, rid)]
    assert node.cache.exists(rid)
    node.close()


def test_the_calls_of_the_reference_sections(home: Path) -> None:
    names = run(PARTIAL_NODE)
    node = names["node"]
    node.start()
    me = node.identity.rid
    assert node.identity.bundle.rid == me
    assert node.identity.profile.node_type == "PARTIAL"
    graph = node.network.graph
    graph.generate()
    assert graph.get_edges("in") == graph.get_edges("out") == graph.get_edges() == []
    assert graph.get_neighbors(direction="out", status=None, allowed_type=None) == []
    assert graph.get_node_profile(me) == node.identity.profile
    assert graph.get_edge_profile(rid=None, source=me, target=me) is None
    assert me in graph.dg
    assert list(graph.dg.nodes) == [me]
    assert node.network.get_state_providers(type(me)) == []
    assert node.network.fetch_remote_bundle(me) is None
    assert node.network.fetch_remote_manifest(me) is None
    assert node.network.poll_neighbors() == []
    assert node.network.flush_poll_queue(me) == []
    node.network.flush_webhook_queue(me)
    node.close()


def test_importing_brings_in_neither_fastapi_nor_pydantic() -> None:
    program = textwrap.dedent("""
        import sys
        import dpip.koi, dpip.koi.server, dpip.koi.testing, dpip.koi.protocol.api_models
        bad = {"fastapi", "pydantic", "pydantic_core", "aiohttp", "uvicorn", "starlette"}
        print(sorted(bad & set(sys.modules)))
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[]"
