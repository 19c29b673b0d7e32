"""Which envelopes are accepted, and by which of the four errors the others are refused.

Where releases differ, the expectation names them. Ours takes what any real peer sends, and
also a signature over the very payload that was received, in whatever form: real releases
re-serialise it first, and refuse what they would have written otherwise.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.koi import raw
from tests.koi.interop.child import OURS
from tests.koi.interop.subjects import SIGNED_SUBJECTS

from dpip.koi.canonical import content_hash

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.koi.interop.subjects import Subject

pytestmark = pytest.mark.parametrize("coordinator", SIGNED_SUBJECTS, indirect=True)
JSON = {"Content-Type": "application/json"}
FETCH: raw.Json = {"type": "fetch_rids", "rid_types": [raw.NODE]}


def error(answer: raw.Answer) -> str:
    """Return the protocol error in an answer."""
    assert answer.status == 400, (answer.status, answer.body)
    assert answer.json["type"] == "error_response"
    assert set(answer.json) == {"type", "error"}
    return str(answer.json["error"])


def taken_literally(to: Subject, answer: raw.Answer) -> None:
    """Check that a signature over another than the normal form is taken by ours alone."""
    if to.release == OURS:
        assert answer.status == 200, answer.body
    else:
        assert error(answer) == "invalid_signature"


def posted(to: Subject, path: str, envelope: raw.Json) -> raw.Answer:
    return raw.post(to.url, path, envelope, headers=JSON)


def test_every_kind_of_answer_is_signed_in_canonical_order(coordinator: Subject) -> None:
    peer = coordinator.meet()
    me = peer.bundles(coordinator.url, coordinator.rid, coordinator.rid)["bundles"][0]
    payloads: dict[str, raw.Json] = {
        raw.POLL: {"type": "poll_events", "limit": 0},
        raw.RIDS: {"type": "fetch_rids", "rid_types": []},
        raw.MANIFESTS: {"type": "fetch_manifests", "rid_types": [], "rids": []},
        raw.BUNDLES: {"type": "fetch_bundles", "rids": [coordinator.rid, "orn:test.note:none"]},
    }
    fields = {
        raw.POLL: ["type", "events"],
        raw.RIDS: ["type", "rids"],
        raw.MANIFESTS: ["type", "manifests", "not_found"],
        raw.BUNDLES: ["type", "bundles", "not_found", "deferred"],
    }
    for path, payload in payloads.items():
        answer = peer.send(coordinator.url, coordinator.rid, path, payload)
        assert list(answer.json) == ["payload", "source_node", "target_node", "signature"]
        key = me["contents"]["public_key"]
        opened = raw.opened(answer, coordinator.rid, peer.rid, key)
        assert list(opened) == fields[path]


def test_a_stranger_is_unknown(coordinator: Subject) -> None:
    stranger = raw.Peer()
    answer = stranger.send(coordinator.url, coordinator.rid, raw.RIDS, FETCH)
    assert error(answer) == "unknown_node"


@pytest.mark.parametrize(
    "events",
    [
        lambda p: [raw.event("UPDATE", p.rid, p.profile)],
        lambda p: [raw.event("NEW", p.rid)],
        lambda p: [raw.event("NEW", raw.Peer().rid, p.profile)],
        lambda _: [],
    ],
    ids=["update", "no-bundle", "of-another", "no-events"],
)
def test_an_introduction_is_new_with_bundle_of_the_sender(
    coordinator: Subject, events: Callable[[raw.Peer], list[raw.Json]]
) -> None:
    stranger = raw.Peer()
    answer = stranger.broadcast(coordinator.url, coordinator.rid, events(stranger))
    assert error(answer) == "unknown_node"


def test_a_key_that_is_not_in_the_rid_is_invalid(coordinator: Subject) -> None:
    liar = raw.Peer()
    liar.public_key = raw.Peer().public_key
    answer = liar.broadcast(coordinator.url, coordinator.rid, liar.introduction())
    assert error(answer) == "invalid_key"


def test_the_signature_of_another_is_invalid(coordinator: Subject) -> None:
    peer, other = coordinator.meet(), raw.Peer()
    peer.key = other.key
    answer = peer.send(coordinator.url, coordinator.rid, raw.RIDS, FETCH)
    assert error(answer) == "invalid_signature"


def test_an_envelope_for_another_is_an_invalid_target(coordinator: Subject) -> None:
    peer = coordinator.meet()
    answer = peer.send(coordinator.url, raw.Peer().rid, raw.RIDS, FETCH)
    assert error(answer) == "invalid_target"


def test_the_errors_come_in_order(coordinator: Subject) -> None:
    elsewhere = raw.Peer().rid
    stranger, peer, other = raw.Peer(), coordinator.meet(), raw.Peer()
    unknown = stranger.envelope(FETCH, elsewhere) | {"signature": peer.signature(b"x")}
    assert error(posted(coordinator, raw.RIDS, unknown)) == "unknown_node"
    stranger.public_key = other.public_key
    payload = {"type": "events_payload", "events": stranger.introduction()}
    wrong_key = stranger.envelope(payload, elsewhere) | {"signature": peer.signature(b"x")}
    assert error(posted(coordinator, raw.BROADCAST, wrong_key)) == "invalid_key"
    unsigned = peer.envelope(FETCH, elsewhere) | {"signature": peer.signature(b"x")}
    assert error(posted(coordinator, raw.RIDS, unsigned)) == "invalid_signature"


def test_key_order_and_whitespace_are_free(coordinator: Subject) -> None:
    peer = coordinator.meet()
    rid = f"orn:test.note:order-{peer.rid[-8:]}"
    new = raw.event("NEW", rid, {"b": 1, "a": {"d": None, "c": "é"}})
    envelope = peer.envelope({"type": "events_payload", "events": [new]}, coordinator.rid)
    turned = {key: envelope[key] for key in reversed(envelope)}
    turned["payload"] = {key: turned["payload"][key] for key in ("events", "type")}
    turned["payload"]["events"] = [{key: new[key] for key in reversed(new)}]
    manifest = {key: new["manifest"][key] for key in reversed(new["manifest"])}
    turned["payload"]["events"][0]["manifest"] = manifest
    body = json.dumps(turned, indent=3, ensure_ascii=True).encode()
    answer = raw.post(coordinator.url, raw.BROADCAST, body, headers=JSON)
    assert (answer.status, answer.body) == (200, b"null")
    coordinator.settles(peer, rid, new["contents"])


def test_defaults_may_be_absent_if_they_were_signed(coordinator: Subject) -> None:
    peer = coordinator.meet()
    full = {"type": "fetch_manifests", "rid_types": [], "rids": [coordinator.rid]}
    envelope = peer.envelope({"rids": [coordinator.rid]}, coordinator.rid, signed=full)
    assert posted(coordinator, raw.MANIFESTS, envelope).status == 200


@pytest.mark.parametrize(
    ("path", "payload"),
    [
        (raw.MANIFESTS, {"rids": ["orn:test.note:x"]}),
        (raw.POLL, {"type": "poll_events"}),
        (raw.RIDS, {"rid_types": []}),
    ],
)
def test_a_signature_over_a_form_without_defaults(
    coordinator: Subject, path: str, payload: raw.Json
) -> None:
    peer = coordinator.meet()
    taken_literally(coordinator, posted(coordinator, path, peer.envelope(payload, coordinator.rid)))


def with_times(peer: raw.Peer, written: str, signed: str) -> tuple[raw.Json, raw.Json]:
    """Return the payload written with one form of a time, and the one that is signed."""
    rid = f"orn:test.note:time-{peer.rid[-8:]}"
    events = [raw.event("NEW", rid, {"v": 1}, at=at) for at in (written, signed)]
    wrapped = [{"type": "events_payload", "events": [e]} for e in events]
    return wrapped[0], wrapped[1]


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("2026-11-20T19:38:19+00:00", "2026-11-20T19:38:19Z"),
        ("2026-11-20T19:38:19.5Z", "2026-11-20T19:38:19.500000Z"),
        ("2026-11-20T19:38:19.123456789Z", "2026-11-20T19:38:19.123456Z"),
        ("2026-11-20T19:38:19.000000Z", "2026-11-20T19:38:19Z"),
        ("2026-11-20T21:38:19+02:00", "2026-11-20T21:38:19+02:00"),
    ],
)
def test_times_are_signed_in_their_normal_form(
    coordinator: Subject, written: str, normal: str
) -> None:
    peer = coordinator.meet()
    payload, signed = with_times(peer, written, normal)
    good = peer.envelope(payload, coordinator.rid, signed=signed)
    assert posted(coordinator, raw.BROADCAST, good).status == 200
    if written != normal:
        literal = peer.envelope(payload, coordinator.rid)
        taken_literally(coordinator, posted(coordinator, raw.BROADCAST, literal))


def test_a_null_manifest_is_not_part_of_what_is_signed(coordinator: Subject) -> None:
    peer = coordinator.meet()
    bare = raw.event("FORGET", "orn:test.note:never")
    nulls = bare | {"manifest": None, "contents": None}
    wrapped = [{"type": "events_payload", "events": [e]} for e in (nulls, bare)]
    good = peer.envelope(wrapped[0], coordinator.rid, signed=wrapped[1])
    assert posted(coordinator, raw.BROADCAST, good).status == 200
    literal = peer.envelope(wrapped[0], coordinator.rid)
    taken_literally(coordinator, posted(coordinator, raw.BROADCAST, literal))


def test_numbers_and_nulls_inside_contents_are_signed_as_they_are(coordinator: Subject) -> None:
    peer = coordinator.meet()
    rid = f"orn:test.note:numbers-{peer.rid[-8:]}"
    contents = {
        "z": 1.0,
        "a": 2**60,
        "big": 1e21,
        "small": 1e-7,
        "negative": -0.5,
        "none": None,
        "text": '\u2028 \x7f \u00e9 \U0001f600 \\ " / \t',
        "deep": [{"y": 1, "x": [None, True, False]}],
    }
    new = raw.event("NEW", rid, contents)
    new["manifest"]["sha256_hash"] = content_hash(contents)
    payload = {"type": "events_payload", "events": [new]}
    envelope = peer.envelope(payload, coordinator.rid)
    for number in ("1e+21", "1e-07"):
        assert number in raw.compact(payload).decode()
    signed = raw.compact({k: envelope[k] for k in ("payload", "source_node", "target_node")})
    # The exponent has no leading zero where these releases write JSON.
    envelope["signature"] = peer.signature(signed.replace(b"1e-07", b"1e-7"))
    assert posted(coordinator, raw.BROADCAST, envelope).status == 200
    coordinator.settles(peer, rid, contents)


@pytest.mark.parametrize("place", ["event", "manifest"])
def test_unknown_fields(coordinator: Subject, place: str) -> None:
    """A field that a verifier does not know breaks the signature where it drops it."""
    peer = coordinator.meet()
    rid = f"orn:test.note:extra-{peer.rid[-8:]}"
    new = raw.event("NEW", rid, {"v": 1})
    if place == "event":
        new["extra"] = 1
    else:
        new["manifest"]["@context"] = "orn:koi-net.context:manifest"
    answer = peer.broadcast(coordinator.url, coordinator.rid, [new])
    accepting = {"event": {OURS}, "manifest": {OURS, "2.1.2"}}[place]
    if coordinator.release in accepting:
        assert (answer.status, answer.body) == (200, b"null")
        coordinator.settles(peer, rid, {"v": 1})
    else:
        assert error(answer) == "invalid_signature"


def test_unknown_fields_may_be_left_out_of_what_is_signed(coordinator: Subject) -> None:
    peer = coordinator.meet()
    rid = f"orn:test.note:dropped-{peer.rid[-8:]}"
    new = raw.event("NEW", rid, {"v": 1})
    payload = {"type": "events_payload", "events": [new | {"extra": 1}]}
    signed = {"type": "events_payload", "events": [new]}
    envelope = peer.envelope(payload, coordinator.rid, signed=signed)
    assert posted(coordinator, raw.BROADCAST, envelope).status == 200
    coordinator.settles(peer, rid, {"v": 1})


BAD_SIGNATURES = {
    "not-base64": "*** not base64 ***",
    "empty": "",
    "short": "AAAA",
    "zeros": "A" * 86 + "==",
    "long": "A" * 4000,
}


@pytest.mark.parametrize("signature", BAD_SIGNATURES.values(), ids=BAD_SIGNATURES.keys())
def test_a_malformed_signature_is_an_invalid_signature(
    coordinator: Subject, signature: str
) -> None:
    peer = coordinator.meet()
    envelope = peer.envelope(FETCH, coordinator.rid) | {"signature": signature}
    answer = posted(coordinator, raw.RIDS, envelope)
    if coordinator.release == OURS:
        assert error(answer) == "invalid_signature"
    else:
        assert answer.status in {400, 500}


def malformed(peer: raw.Peer, target: str) -> dict[str, tuple[str, Any]]:
    """Return bodies that make no sense, each with the path that it is sent to."""
    good = peer.envelope(FETCH, target)
    events: raw.Json = {"type": "events_payload"}
    event = raw.event("NEW", "orn:test.note:x", {"v": 1})
    return {
        "not-json": (raw.RIDS, b"{not json"),
        "empty": (raw.RIDS, b""),
        "not-utf8": (raw.RIDS, b'"\xff\xfe"'),
        "list": (raw.RIDS, b"[]"),
        "null": (raw.RIDS, b"null"),
        "no-signature": (raw.RIDS, {k: v for k, v in good.items() if k != "signature"}),
        "no-source": (raw.RIDS, {k: v for k, v in good.items() if k != "source_node"}),
        "source-null": (raw.RIDS, good | {"source_node": None}),
        "payload-null": (raw.RIDS, good | {"payload": None}),
        "payload-list": (raw.RIDS, good | {"payload": []}),
        "types-string": (raw.RIDS, good | {"payload": {"rid_types": "orn:a"}}),
        "wrong-type": (raw.RIDS, good | {"payload": {"type": "poll_events", "limit": 0}}),
        "limit-text": (raw.POLL, good | {"payload": {"limit": "many"}}),
        "rids-missing": (raw.BUNDLES, good | {"payload": {"type": "fetch_bundles"}}),
        "events-missing": (raw.BROADCAST, good | {"payload": events}),
        "event-kind": (
            raw.BROADCAST,
            good | {"payload": events | {"events": [event | {"event_type": "OLD"}]}},
        ),
        "manifest-time": (
            raw.BROADCAST,
            good
            | {
                "payload": events
                | {"events": [event | {"manifest": event["manifest"] | {"timestamp": "soon"}}]}
            },
        ),
        "contents-list": (
            raw.BROADCAST,
            good | {"payload": events | {"events": [event | {"contents": [1]}]}},
        ),
    }


@pytest.mark.parametrize("case", sorted(malformed(raw.Peer(), raw.Peer().rid)))
def test_a_malformed_body_is_a_422(coordinator: Subject, case: str) -> None:
    path, body = malformed(raw.Peer(), coordinator.rid)[case]
    answer = raw.post(coordinator.url, path, body, headers=JSON)
    bad_bytes = case == "not-utf8" and coordinator.release != OURS
    assert answer.status == (400 if bad_bytes else 422), (answer.status, answer.body)
    assert answer.json["detail"]


@pytest.mark.parametrize("rid", ["", ":x", "x:", "orn::x", "orn:a.b:", "no-colon"])
def test_a_malformed_rid_is_a_422(coordinator: Subject, rid: str) -> None:
    peer = raw.Peer()
    envelope = peer.envelope({"type": "fetch_bundles", "rids": [rid]}, coordinator.rid)
    answer = posted(coordinator, raw.BUNDLES, envelope)
    # A TypeError of the older RID library was not foreseen by its server.
    assert answer.status == (500 if coordinator.release == "1.3.2" else 422)


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_the_content_type_does_not_matter_to_us(coordinator: Subject, kind: str | None) -> None:
    peer = coordinator.meet()
    body = raw.compact(peer.envelope(FETCH, coordinator.rid))
    headers = {} if kind is None else {"Content-Type": kind}
    answer = raw.post(coordinator.url, raw.RIDS, body, headers=headers)
    assert answer.status == (200 if coordinator.release == OURS else 422)
