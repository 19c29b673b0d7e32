"""A full node behind routes of your own, with FastAPI, on both wires: a place to start from.

Where nothing of your own happens in the routes, `app.mount("/koi-net", server.app(node))` does
the same in one line, and faster.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from fastapi import APIRouter, FastAPI, Request, Response

from dpip.koi import KnowledgeSource, KoiError, KoiNetEdge, KoiNetNode, NodeInterface
from dpip.koi.messages import receive, refusal
from dpip.koi.processor.default_handlers import coordinator_handlers
from dpip.koi.protocol.api_models import (
    EventsPayload,
    FetchBundles,
    FetchManifests,
    FetchRids,
    PollEvents,
)
from dpip.koi.protocol.consts import (
    BROADCAST_EVENTS_PATH,
    FETCH_BUNDLES_PATH,
    FETCH_MANIFESTS_PATH,
    FETCH_RIDS_PATH,
    POLL_EVENTS_PATH,
)
from dpip.koi.protocol.node import NodeProfile, NodeProvides, NodeType

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

node = NodeInterface(
    name="signed",
    profile=NodeProfile(
        base_url="http://127.0.0.1:8000/koi-net",
        node_type=NodeType.FULL,
        provides=NodeProvides(
            event=[KoiNetNode, KoiNetEdge],
            state=[KoiNetNode, KoiNetEdge],
        ),
    ),
    use_kobj_processor_thread=True,
    handlers=coordinator_handlers,
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    node.start()
    yield
    node.stop()


def answered(body: bytes) -> Response:
    return Response(body, media_type="application/json")


routes = APIRouter(prefix="/koi-net")


@routes.post(BROADCAST_EVENTS_PATH)
async def broadcast_events(http: Request) -> Response:
    message = receive(node, await http.body(), EventsPayload)
    for event in message.request.events:
        node.processor.handle(event=event, source=KnowledgeSource.External)
    return answered(message.answer())


@routes.post(POLL_EVENTS_PATH)
async def poll_events(http: Request) -> Response:
    message = receive(node, await http.body(), PollEvents)
    assert message.request.rid is not None
    events = node.network.flush_poll_queue(message.request.rid, message.request.limit)
    return answered(message.answer(EventsPayload(events)))


@routes.post(FETCH_RIDS_PATH)
async def fetch_rids(http: Request) -> Response:
    message = receive(node, await http.body(), FetchRids)
    return answered(message.answer(node.network.response_handler.fetch_rids(message.request)))


@routes.post(FETCH_MANIFESTS_PATH)
async def fetch_manifests(http: Request) -> Response:
    message = receive(node, await http.body(), FetchManifests)
    return answered(message.answer(node.network.response_handler.fetch_manifests(message.request)))


@routes.post(FETCH_BUNDLES_PATH)
async def fetch_bundles(http: Request) -> Response:
    message = receive(node, await http.body(), FetchBundles)
    return answered(message.answer(node.network.response_handler.fetch_bundles(message.request)))


@routes.get("/node")
async def who_is_here() -> Response:
    """Say who this node is, so that nodes of this library need only its URL."""
    return answered(node.identity.bundle.to_json())


app = FastAPI(lifespan=lifespan)
app.include_router(routes)


@app.exception_handler(KoiError)
async def refuse(_http: Request, error: Exception) -> Response:
    reply = refusal(error)
    return Response(reply.body, reply.status, media_type="application/json")


if __name__ == "__main__":
    uvicorn.run("examples.signed_node_template:app", port=8000)
