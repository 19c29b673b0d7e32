from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.koi import HTTPS, ORN, RID, KoiNetEdge, KoiNetNode, RIDType
from dpip.koi.errors import InvalidRid


@pytest.mark.parametrize(
    ("text", "kind", "reference"),
    [
        ("orn:a.b:c:d", "orn:a.b", "c:d"),
        ("urn:isbn:a:b:c", "urn:isbn", "a:b:c"),
        ("spotify:track:1", "spotify", "track:1"),
        ("ORN:a:b", "ORN", "a:b"),
        ("orn:koi-net.node:+", "orn:koi-net.node", "+"),
        ("orn:a.b:ä \n", "orn:a.b", "ä \n"),
        ("https://h/p?#", "https", "//h/p?#"),
    ],
)
def test_parse(text: str, kind: str, reference: str) -> None:
    rid = RID.from_string(text)
    assert (str(type(rid)), rid.reference, str(rid)) == (kind, reference, text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "x:",
        ":x",
        "orn:a.b:",
        "orn::x",
        "orn:a",
        "orn:koi-net.node:a",
        "orn:koi-net.node:a+b+c",
    ],
)
def test_what_is_no_rid(text: str) -> None:
    with pytest.raises(InvalidRid):
        RID.from_string(text)


@pytest.mark.parametrize("text", ["orn", "orn:a:b", "http:x", "", ":a", "orn:"])
def test_what_is_no_type(text: str) -> None:
    with pytest.raises(InvalidRid):
        RIDType.from_string(text)


def test_types_are_equal_by_their_text() -> None:
    assert type(RID.from_string("orn:koi-net.edge:x")) is KoiNetEdge
    assert type(RID.from_string("https://a")) is HTTPS
    unknown: Any = type(RID.from_string("orn:nobody.declared:x"))
    assert unknown == RIDType.from_string("orn:nobody.declared")
    assert hash(unknown) == hash(RIDType.from_string("orn:nobody.declared"))


def test_a_declared_type_takes_its_reference_apart() -> None:
    class Message(ORN):
        namespace = "test.message"

        def __init__(self, channel: str, number: str) -> None:
            super().__init__(f"{channel}/{number}")
            self.channel, self.number = channel, number

        @classmethod
        def from_reference(cls, reference: str) -> Any:
            return cls(*reference.split("/"))

    rid = RID.from_string("orn:test.message:a/1")
    assert isinstance(rid, Message)
    assert (rid.channel, rid.number) == ("a", "1")


def test_a_type_that_rejects_its_reference_gives_our_error() -> None:
    class Strict(ORN):
        namespace = "test.strict"

        @classmethod
        def from_reference(cls, reference: str) -> Any:
            raise TypeError("never")

    with pytest.raises(InvalidRid):
        RID.from_string("orn:test.strict:x")
    assert Strict.namespace == "test.strict"


def test_node_and_edge_ids() -> None:
    node = KoiNetNode.generate("me")
    assert node.name == "me"
    assert len(node.uuid) == 36
    assert not node.names_key
    assert KoiNetNode("me", "a" * 64).names_key
    edge = KoiNetEdge.generate(node, KoiNetNode("you+1"))
    assert len(edge.id) == 64


@given(st.text())
def test_any_text_is_a_rid_or_an_error(text: str) -> None:
    try:
        rid = RID.from_string(text)
    except InvalidRid:
        return
    assert str(rid) == text
    assert RID.from_string(str(rid)) == rid
