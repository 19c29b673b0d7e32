"""Known values of the protocol: hashes, identifiers, and how RIDs are cut."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from tests.koi import raw

from dpip.koi.canonical import content_hash, matches
from dpip.koi.errors import InvalidRid
from dpip.koi.rid import RID, KoiNetEdge, KoiNetNode, RIDType

HASHES: list[tuple[Any, str]] = [
    ({}, "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"),
    ({"b": 1, "a": 2}, "d3626ac30a87e6f7a6428233b3c68299976865fa5508e4267c5415c76af7a772"),
    ({"a": 1.0}, "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"),
    ({"a": 1}, "015abd7f5cc57a2dd94b7590f04ad8084273905ee33ec5cebeae62276a97f862"),
    ({"é": "é"}, "e8b55b29bf172acb65a8ec20d1762cd9d6112c7abd6799895503d9151b8f42ab"),
    (
        {"\ufb33": 1, "\U0001f600": 2},
        "ec4e7d8c2963caa38dccc3d42693719ac9c6ecd783891b583d333565620ac2be",
    ),
    (
        {"a": 1152921504606846976},
        "05b1752233f6b569d59c9665dd6aa278db3974e650d7409912f0fd273fdbe129",
    ),
    ({"a": 1e21}, "a18fbc0bcef4f91fedea4a6ff70089101462846a93a65795324a14b10cb5c4d9"),
]


@pytest.mark.parametrize(("contents", "digest"), HASHES)
def test_the_hash_is_over_jcs(contents: Any, digest: str) -> None:
    assert content_hash(contents) == digest
    assert matches(contents, digest)


@pytest.mark.parametrize(
    "written",
    ['{"a": 2, "b": 1, "c": "\\u00e9"}', '{"a":2,"b":1,"c":"\\u00e9"}', '{"a":2,"b":1,"c":"é"}'],
    ids=["≤3.2.3", "3.2.4-3.2.5", "≥3.2.6"],
)
def test_all_three_recipes_are_recognised(written: str) -> None:
    contents = {"b": 1, "c": "é", "a": 2}
    assert matches(contents, sha256(written.encode()).hexdigest())
    assert not matches(contents | {"a": 3}, sha256(written.encode()).hexdigest())


CUTS = [
    ("orn:a.b:c:d", "orn:a.b", "c:d"),
    ("urn:isbn:a:b:c", "urn:isbn", "a:b:c"),
    ("spotify:track:1", "spotify", "track:1"),
    ("ORN:a:b", "ORN", "a:b"),
    ("HTTPS://x", "HTTPS", "//x"),
    ("https://h/p?q#f", "https", "//h/p?q#f"),
    ("orn:a.b: ", "orn:a.b", " "),
    ("orn:a.b:\n", "orn:a.b", "\n"),
    ("orn:é:ü", "orn:é", "ü"),
    ("orn:koi-net.node:+", "orn:koi-net.node", "+"),
    ("orn:koi-net.node:a+b", "orn:koi-net.node", "a+b"),
]


@pytest.mark.parametrize(("text", "kind", "reference"), CUTS)
def test_a_rid_is_cut_at_its_first_colons(text: str, kind: str, reference: str) -> None:
    rid = RID.from_string(text)
    assert (str(type(rid)), rid.reference, str(rid)) == (kind, reference, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":x",
        "x:",
        "x",
        "orn",
        "orn:",
        "orn:a",
        "orn::x",
        "orn:a.b:",
        "urn:a:",
        "orn:koi-net.node:a",
        "orn:koi-net.node:a+b+c",
    ],
)
def test_what_is_no_rid(text: str) -> None:
    with pytest.raises(InvalidRid):
        RID.from_string(text)


@pytest.mark.parametrize("text", ["orn:a", "http", "https", "orn:koi-net.node", "urn:isbn", "x"])
def test_a_type(text: str) -> None:
    assert str(RIDType.from_string(text)) == text


@pytest.mark.parametrize("text", ["", "orn", "orn:", "orn:a:b", "http:x", "urn", ":a"])
def test_what_is_no_type(text: str) -> None:
    with pytest.raises(InvalidRid):
        RIDType.from_string(text)


def test_a_node_is_named_by_the_hash_of_its_key_as_text() -> None:
    peer = raw.Peer(name="x")
    rid = RID.from_string(peer.rid)
    assert isinstance(rid, KoiNetNode)
    assert (rid.name, rid.hash) == ("x", sha256(peer.public_key.encode()).hexdigest())


def test_an_edge_is_named_by_the_hash_of_its_ends() -> None:
    source, target = raw.Peer().rid, raw.Peer().rid
    made = KoiNetEdge.generate(RID.from_string(source), RID.from_string(target))
    assert str(made) == raw.edge_rid(source, target)
