from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.koi.canonical import content_hash, jcs, matches, wire_form
from dpip.koi.errors import InvalidContents

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("contents", "digest"),
    [
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
    ],
)
def test_known_hashes(contents: Any, digest: str) -> None:
    assert content_hash(contents) == digest
    assert matches(contents, digest)


@pytest.mark.parametrize("separators", [(",", ":"), (", ", ": ")])
def test_the_older_recipes_are_recognised(separators: tuple[str, str]) -> None:
    contents = {"b": [1.0, None], "a": "é"}
    written = json.dumps(contents, sort_keys=True, separators=separators)
    assert matches(contents, sha256(written.encode()).hexdigest())
    assert not matches({**contents, "a": "e"}, sha256(written.encode()).hexdigest())


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0.0, "0"), (-0.0, "0"), (1e20, "100000000000000000000"), (1e-6, "0.000001"),
        (1e-7, "1e-7"), (123456789.125, "123456789.125"), (5e-324, "5e-324"),
        (1.7976931348623157e308, "1.7976931348623157e+308"), (-1.5e25, "-1.5e+25"),
    ],
)  # fmt: skip
def test_numbers_as_ecmascript_writes_them(number: float, text: str) -> None:
    assert jcs([number]).decode() == f"[{text}]"


@pytest.mark.parametrize("contents", [{"a": float("nan")}, {"a": float("inf")}, {"a": object()}])
def test_what_has_no_canonical_form(contents: Any) -> None:
    with pytest.raises(InvalidContents):
        content_hash(contents)


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, max_size=5))
def test_the_order_of_keys_does_not_matter(contents: dict[str, Any]) -> None:
    turned = dict(reversed(contents.items()))
    assert content_hash(contents) == content_hash(turned)
    assert matches(contents, content_hash(turned))


@given(JSON)
def test_wire_form_reads_back(value: Any) -> None:
    assert json.loads(wire_form(value)) == value


def test_wire_form_writes_exponents_with_a_plus_but_leaves_text_alone() -> None:
    assert wire_form({"1e5": [1e21, "1e5", 'a"1e5', 1e-7]}) == (
        b'{"1e5":[1e+21,"1e5","a\\"1e5",1e-7]}'
    )


def test_whatever_has_the_hash_of_its_plain_form_is_verified() -> None:
    contents = {"b": [1, 2.5, None, "\u00e9"], "a": {"when": "2026-01-02", "zero": -0.0}}
    for digest in (content_hash(contents), sha256(msgspec.json.encode(contents, order="sorted"))):
        text = digest if isinstance(digest, str) else digest.hexdigest()
        assert matches(contents, text)
        assert not matches(contents | {"c": 1}, text)
