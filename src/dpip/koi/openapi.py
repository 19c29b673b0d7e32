"""The OpenAPI 3.1 document of the five endpoints, generated from the models."""

from __future__ import annotations

from typing import Any

import msgspec

from .model import as_text
from .network.caller import NODE_PATH
from .protocol import consts
from .protocol.api_models import (
    Bundle,
    BundlesPayload,
    EventsPayload,
    FetchBundles,
    FetchManifests,
    FetchRids,
    ManifestsPayload,
    PollEvents,
    RidsPayload,
)
from .protocol.errors import ErrorResponse

VERSION = "1.1.0"
_NODE = "orn:koi-net.node:example+00"

_Endpoint = tuple[str, str, str, type[Any], type[Any] | None, dict[str, Any]]
"""Path, title, description, request, answer, example of a request."""

_ENDPOINTS: list[_Endpoint] = [
    (
        consts.BROADCAST_EVENTS_PATH,
        "Broadcast events",
        "Tell this node what happened elsewhere. Answers null once the events are durable.",
        EventsPayload,
        None,
        {"events": []},
    ),
    (
        consts.POLL_EVENTS_PATH,
        "Poll events",
        "Take the events queued for the asking node; they stay queued until its next poll.",
        PollEvents,
        EventsPayload,
        {"rid": _NODE, "limit": 0},
    ),
    (
        consts.FETCH_RIDS_PATH,
        "Fetch RIDs",
        "List the RIDs of some types; of all types, if none is named.",
        FetchRids,
        RidsPayload,
        {"rid_types": ["orn:koi-net.node"]},
    ),
    (
        consts.FETCH_MANIFESTS_PATH,
        "Fetch manifests",
        "Return manifests by RID or, if no RID is named, by type.",
        FetchManifests,
        ManifestsPayload,
        {"rid_types": ["orn:koi-net.node"], "rids": []},
    ),
    (
        consts.FETCH_BUNDLES_PATH,
        "Fetch bundles",
        "Return bundles by RID.",
        FetchBundles,
        BundlesPayload,
        {"rids": [_NODE]},
    ),
]


def document() -> dict[str, Any]:
    """Return the document; paths are below the prefix that a node's base URL ends with."""
    models = [model for row in _ENDPOINTS for model in row[3:5] if model is not None]
    schemas, components = msgspec.json.schema_components(
        [*models, Bundle, ErrorResponse],
        schema_hook=as_text,
        ref_template="#/components/schemas/{name}",
    )
    by_model = dict(zip([*models, Bundle, ErrorResponse], schemas, strict=True))
    paths = {endpoint[0]: {"post": _operation(by_model, endpoint)} for endpoint in _ENDPOINTS}
    paths[NODE_PATH] = {"get": _node(by_model)}
    components["SignedEnvelope"] = _envelope(models, by_model)
    components["ValidationError"] = _VALIDATION_ERROR
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "KOI-net Protocol API",
            "version": VERSION,
            "description": "Bodies are plain (protocol 1.0) or signed envelopes (1.1 to 2.1); "
            "an answer is of the same kind as its request.",
        },
        "servers": [{"url": consts.PREFIX}],
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items()))},
    }


def _operation(schemas: dict[Any, Any], endpoint: _Endpoint) -> dict[str, Any]:
    _, title, text, request, answer, example = endpoint
    either = {"anyOf": [schemas[request], _ref("SignedEnvelope")]}
    found = {"type": "null"} if answer is None else schemas[answer]
    if answer is not None:
        found = {"anyOf": [found, _ref("SignedEnvelope")]}
    return {
        "operationId": title.lower().replace(" ", "_"),
        "summary": title,
        "description": text,
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": either, "example": example}},
        },
        "responses": {
            "200": _response("Success", found),
            "400": _response("The signed message was refused", schemas[ErrorResponse]),
            "413": _response("The body is too large", _DETAIL),
            "422": _response("The body is malformed", _ref("ValidationError")),
            "503": _response("Too much waits already; come back later", _DETAIL),
        },
    }


def _node(schemas: dict[Any, Any]) -> dict[str, Any]:
    return {
        "operationId": "who_is_there",
        "summary": "Who is there",
        "description": "Return this node's own bundle, so that a URL is enough for first contact. "
        "An addition to the protocol; other libraries answer 404.",
        "responses": {"200": _response("The node's bundle", schemas[Bundle])},
    }


def _envelope(models: list[type[Any]], schemas: dict[Any, Any]) -> dict[str, Any]:
    return {
        "title": "SignedEnvelope",
        "description": "A payload signed by its source with ECDSA P-256 over SHA-256: raw r and "
        "s in base64, over the compact JSON of the first three fields.",
        "type": "object",
        "properties": {
            "payload": {"anyOf": [schemas[model] for model in dict.fromkeys(models)]},
            "source_node": {"type": "string"},
            "target_node": {"type": "string"},
            "signature": {"type": "string"},
        },
        "required": ["payload", "source_node", "target_node", "signature"],
    }


def _response(text: str, schema: Any) -> dict[str, Any]:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/schemas/{name}"}


_DETAIL = {"type": "object", "properties": {"detail": {}}, "required": ["detail"]}
_VALIDATION_ERROR = {
    "title": "ValidationError",
    "type": "object",
    "properties": {
        "detail": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {
                    "type": {"type": "string"},
                    "loc": {"type": "array", "items": {"type": "string"}},
                    "msg": {"type": "string"},
                },
                "required": ["type", "loc", "msg"],
            },
        }
    },
    "required": ["detail"],
}


if __name__ == "__main__":
    import json
    import sys

    sys.stdout.write(json.dumps(document(), indent=2) + "\n")
