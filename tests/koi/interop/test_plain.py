"""The plain wire of 1.0 to the byte: nulls, missing headers, defaults, what is not sense."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.koi import raw
from tests.koi.interop.child import OURS, Child, eventually
from tests.koi.interop.subjects import PLAIN_SUBJECTS, Subject

if TYPE_CHECKING:
    from pathlib import Path

plain = pytest.mark.parametrize("coordinator", PLAIN_SUBJECTS, indirect=True)


@plain
def test_answers_are_bare_and_hold_every_field(coordinator: Subject) -> None:
    peer = coordinator.meet()
    wanted: dict[str, tuple[raw.Json, list[str]]] = {
        raw.POLL: ({"rid": peer.rid}, ["events"]),
        raw.RIDS: ({}, ["rids"]),
        raw.MANIFESTS: ({}, ["manifests", "not_found"]),
        raw.BUNDLES: ({"rids": [coordinator.rid]}, ["bundles", "not_found", "deferred"]),
    }
    for path, (body, fields) in wanted.items():
        answer = raw.post(coordinator.url, path, body)
        assert answer.status == 200, answer.body
        assert answer.headers["content-type"] == "application/json"
        assert [name for name in answer.json if name != "type"] == fields


@plain
def test_no_types_means_all_types(coordinator: Subject) -> None:
    peer = coordinator.meet()
    assert {coordinator.rid, peer.rid} <= set(peer.rids(coordinator.url, coordinator.rid))

    def all_agree() -> bool:
        # What others sent before may still be on its way through the pipeline.
        everything = peer.rids(coordinator.url, coordinator.rid)
        listed = raw.post(coordinator.url, raw.RIDS, {"rid_types": []}).json["rids"]
        found = raw.post(coordinator.url, raw.MANIFESTS, {}).json["manifests"]
        return listed == everything and {m["rid"] for m in found} == set(everything)

    eventually(all_agree, "no types to mean all types")


@plain
def test_nulls_and_unknown_fields_are_taken(coordinator: Subject) -> None:
    peer = coordinator.meet()
    rid = f"orn:test.note:{peer.rid[-8:]}"
    kept = raw.event("NEW", rid, {"v": 1}) | {"extra": [1]}
    nothing = {"rid": rid + "-none", "event_type": "FORGET", "manifest": None, "contents": None}
    answer = raw.post(coordinator.url, raw.BROADCAST, {"events": [nothing, kept], "more": 1})
    assert (answer.status, answer.body) == (200, b"null")
    coordinator.settles(peer, rid, {"v": 1})


@plain
@pytest.mark.parametrize(
    ("path", "body"),
    [
        (raw.BROADCAST, {}),
        (raw.BROADCAST, {"events": None}),
        (raw.BROADCAST, {"events": [{"rid": "orn:a.b:c"}]}),
        (raw.BROADCAST, {"events": [{"rid": "orn:a.b:c", "event_type": "OLD"}]}),
        (raw.POLL, {}),
        (raw.BUNDLES, {}),
        (raw.BUNDLES, {"rids": "orn:a.b:c"}),
        (raw.RIDS, {"rid_types": 1}),
        (raw.RIDS, b"{"),
        (raw.RIDS, b"[]"),
    ],
)
def test_a_malformed_body_is_a_422(coordinator: Subject, path: str, body: raw.Json | bytes) -> None:
    answer = raw.post(coordinator.url, path, body)
    assert answer.status == 422, (answer.status, answer.body)
    assert answer.json["detail"]


@plain
@pytest.mark.parametrize("rid", ["", "x:", "orn:a.b:", "no-colon"])
def test_a_malformed_rid_is_never_taken(coordinator: Subject, rid: str) -> None:
    answer = raw.post(coordinator.url, raw.BUNDLES, {"rids": [rid]})
    assert answer.status == (422 if coordinator.release == OURS else 500)


@plain
def test_a_get_is_not_allowed_and_a_wrong_path_not_found(coordinator: Subject) -> None:
    assert raw.post(coordinator.url, "/nothing/here", {}).status == 404


@pytest.mark.parametrize("path", [raw.BROADCAST, raw.POLL, raw.RIDS, raw.MANIFESTS, raw.BUNDLES])
def test_a_signed_node_answers_nobody_without_a_signature(tmp_path: Path, path: str) -> None:
    with Child(OURS, "coordinator", tmp_path) as child:
        subject = Subject(child, "signed")
        peer = raw.PlainPeer()
        events = peer.introduction()
        answer = raw.post(subject.url, path, {"rid": peer.rid, "rids": [], "events": events})
        assert answer.status in {400, 422}
        assert peer.rid not in child.rids()
