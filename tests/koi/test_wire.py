from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.koi import RID, Bundle, Event, EventType, KoiNetNode
from dpip.koi.errors import MalformedMessage
from dpip.koi.protocol import wire
from dpip.koi.protocol.api_models import (
    EventsPayload,
    FetchBundles,
    FetchManifests,
    FetchRids,
    ManifestsPayload,
    PollEvents,
)
from dpip.koi.signing import PrivateKey, replay_token, verifies

KEY = PrivateKey.generate()
ME = KEY.node_rid("me")
TARGET = KoiNetNode("you", "b" * 64)
BUNDLE = Bundle.generate(RID.from_string("orn:test.thing:é"), {"b": None, "a": 1.0, "c": 1e21})


def envelope(body: bytes, kind: type[Any]) -> wire.Envelope:
    message = wire.read(body, kind)
    assert message.envelope is not None
    return message.envelope


def sealed(payload: bytes) -> dict[str, Any]:
    frame = wire.OPENING + payload + wire.closing(str(ME), str(TARGET)) + b"}"
    whole: dict[str, Any] = json.loads(frame)
    return {**whole, "signature": KEY.sign(frame)}


def accepted(message: dict[str, Any], kind: type[Any], **how: Any) -> bool:
    found = envelope(json.dumps(message, **how).encode(), kind)
    forms = found.signed_forms(kind)
    return any(verifies(KEY.public_text, form, found.signature) for form in forms)


EVENTS = wire.signed_payload(EventsPayload([Event.from_bundle(EventType.NEW, BUNDLE)]))


def test_the_two_wires_are_told_apart_by_the_body() -> None:
    assert wire.read(b'{"rids":[]}', FetchBundles).envelope is None
    assert envelope(json.dumps(sealed(b'{"rids":[]}')).encode(), FetchBundles).source == ME


@pytest.mark.parametrize(
    ("payload", "written"),
    [
        (PollEvents(ME, 3), b'{"type":"poll_events","limit":3}'),
        (FetchRids(), b'{"type":"fetch_rids","rid_types":[]}'),
        (FetchManifests(), b'{"type":"fetch_manifests","rid_types":[],"rids":[]}'),
        (ManifestsPayload([]), b'{"type":"manifests_payload","manifests":[],"not_found":[]}'),
        (
            EventsPayload([Event(ME, EventType.FORGET)]),
            b'{"type":"events_payload","events":[{"rid":"%s","event_type":"FORGET"}]}'
            % str(ME).encode(),
        ),
    ],
)
def test_signed_payloads_have_all_defaults_and_no_nulls(payload: Any, written: bytes) -> None:
    assert wire.signed_payload(payload) == written


def test_formatting_on_the_wire_is_free() -> None:
    message = sealed(EVENTS)
    assert accepted(message, EventsPayload, indent=2)
    assert accepted(dict(reversed(message.items())), EventsPayload)
    event = message["payload"]["events"][0]
    event["manifest"] = dict(reversed(event["manifest"].items()))
    assert accepted(message, EventsPayload)


def test_defaults_may_be_left_out_if_the_full_form_was_signed() -> None:
    message = sealed(b'{"type":"fetch_manifests","rid_types":[],"rids":[]}')
    message["payload"] = {}
    assert accepted(message, FetchManifests)


@pytest.mark.parametrize("context_is_signed", [True, False])
def test_both_dialects_of_manifests_verify(context_is_signed: bool) -> None:
    extra = b',"@context":"orn:koi-net.context:manifest"}'
    manifest = BUNDLE.manifest.to_json()
    plain = b'{"type":"manifests_payload","manifests":[%s],"not_found":[]}' % manifest
    signed = plain.replace(manifest, manifest[:-1] + extra)
    message = sealed(signed if context_is_signed else plain)
    message["payload"]["manifests"][0]["@context"] = "orn:koi-net.context:manifest"
    assert accepted(message, ManifestsPayload, indent=1)


def test_a_change_is_noticed() -> None:
    message = sealed(EVENTS)
    message["payload"]["events"][0]["contents"]["b"] = 0
    assert not accepted(message, EventsPayload)


def test_times_are_normalised_before_they_are_signed() -> None:
    message = sealed(EVENTS)
    manifest = message["payload"]["events"][0]["manifest"]
    manifest["timestamp"] = manifest["timestamp"].replace("Z", "+00:00")
    assert accepted(message, EventsPayload)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"null", b"{", b'{"payload":{},"signature":5}', b"\xff",
        b'{"payload":{},"signature":"","source_node":"x","target_node":"orn:a.b:c"}',
        b'{"payload":{},"signature":"","source_node":"orn:a.b:c","target_node":"orn:a.b:c"}',
        b'{"rids":["orn:a"]}', b'{"rids":[5]}', b'{"rids":{}}', b'{"rids":' + b"[" * 5000,
        b'{"payload":{"type":"poll_events"},"signature":"","source_node":"orn:koi-net.node:a+b"}',
    ],
)  # fmt: skip
def test_malformed_bodies(body: bytes) -> None:
    with pytest.raises(MalformedMessage):
        wire.read(body, FetchBundles)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_message_or_malformed(body: bytes) -> None:
    for kind in (EventsPayload, PollEvents, FetchManifests):
        try:
            wire.read(body, kind)
        except MalformedMessage:
            continue


def test_a_mirrored_signature_is_the_same_message_again() -> None:
    import base64

    signature = KEY.sign(b"x")
    raw = base64.b64decode(signature)
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    mirrored = raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    twin = base64.b64encode(mirrored).decode()
    assert verifies(KEY.public_text, b"x", twin)
    assert replay_token(twin) == replay_token(signature) != replay_token(KEY.sign(b"x"))


@pytest.mark.parametrize("signature", ["", "x", "AAAA", "é", "A" * 88])
def test_what_is_no_signature(signature: str) -> None:
    assert not verifies(KEY.public_text, b"x", signature)
    assert not verifies("no key", b"x", KEY.sign(b"x"))
