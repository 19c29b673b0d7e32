"""A full node behind routes of your own, with FastAPI: a place to start from.

It speaks protocol 1.0. For the signed wire, and for speed, let `dpip.koi.server` be the
server: see the coordinator example.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import uvicorn
from fastapi import APIRouter, FastAPI

from dpip.koi import KnowledgeSource, NodeInterface
from dpip.koi.protocol.api_models import (
    BundlesPayload,
    EventsPayload,
    FetchBundles,
    FetchManifests,
    FetchRids,
    ManifestsPayload,
    PollEvents,
    RidsPayload,
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
    name="full",
    profile=NodeProfile(
        base_url="http://127.0.0.1:8000/koi-net",
        node_type=NodeType.FULL,
        provides=NodeProvides(event=[], state=[]),
    ),
    use_kobj_processor_thread=True,
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
    node.start()
    yield
    node.stop()


routes = APIRouter(prefix="/koi-net")


@routes.post(BROADCAST_EVENTS_PATH)
def broadcast_events(req: EventsPayload) -> None:
    for event in req.events:
        node.processor.handle(event=event, source=KnowledgeSource.External)


@routes.post(POLL_EVENTS_PATH)
def poll_events(req: PollEvents) -> EventsPayload:
    return EventsPayload(node.network.flush_poll_queue(req.rid, req.limit) if req.rid else [])


@routes.post(FETCH_RIDS_PATH)
def fetch_rids(req: FetchRids) -> RidsPayload:
    return node.network.response_handler.fetch_rids(req)


@routes.post(FETCH_MANIFESTS_PATH)
def fetch_manifests(req: FetchManifests) -> ManifestsPayload:
    return node.network.response_handler.fetch_manifests(req)


@routes.post(FETCH_BUNDLES_PATH)
def fetch_bundles(req: FetchBundles) -> BundlesPayload:
    return node.network.response_handler.fetch_bundles(req)


# Clients of protocol 1.0 send no Content-Type, which FastAPI refuses unless told otherwise.
app = FastAPI(lifespan=lifespan, strict_content_type=False)
app.include_router(routes)


if __name__ == "__main__":
    uvicorn.run("examples.full_node_template:app", port=8000)
