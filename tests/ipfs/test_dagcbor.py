from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.ipfs import dagcbor
from dpip.ipfs.cid import CID
from dpip.ipfs.dagcbor import Value
from dpip.ipfs.errors import InvalidBlock, IpfsError, LimitExceeded

cids = st.binary(max_size=10).map(CID.of)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 64), (1 << 64) - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
    | st.binary(max_size=8)
    | cids
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8"), max_size=4), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(values)
def test_round_trips(value: Value) -> None:
    data = dagcbor.encode(value)
    assert dagcbor.decode(data) == value
    assert dagcbor.encode(dagcbor.decode(data)) == data


@given(st.binary(max_size=60))
def test_reads_only_what_writing_gives(data: bytes) -> None:
    try:
        value = dagcbor.decode(data)
    except IpfsError:
        return
    assert dagcbor.encode(value) == data


@given(values)
def test_agrees_with_libipld(value: Value) -> None:
    libipld = pytest.importorskip("libipld")
    data = dagcbor.encode(value)
    negative_zero = b"\xfb\x80" + bytes(7)
    # libipld drops the sign of zero, which DAG-CBOR keeps.
    if negative_zero not in data and not any(True for _ in dagcbor.links(value)):
        assert libipld.encode_dag_cbor(value) == data


def test_keys_are_sorted_by_length_first() -> None:
    assert dagcbor.encode({"bb": 1, "a": 2, "": 3}).hex() == "a36003" + "616102" + "62626201"


def test_a_link_is_tag_42() -> None:
    cid = CID.of(b"")
    assert dagcbor.encode(cid)[:5].hex() == "d82a582500"
    assert list(dagcbor.links({"a": [cid, {"b": cid}], "c": 1})) == [cid, cid]


@pytest.mark.parametrize(
    "data",
    [
        *("", "1800", "1817", "190001", "1a00000001", "1b0000000000000001", "3800", "5800", "7800"),
        *("5f4100ff", "9fff", "bfff", "f7", "f90000", "fa00000000", "fb7ff8000000000000"),
        *("fbfff0000000000000", "c000", "d82a00", "d82a4101", "d82a4100", "6180", "a1410001"),
        *("a2616101616102", "a2616201616102", "0000", "9a10000000", "bbffffffffffffffff"),
        *("5bffffffffffffffff", "1c", "1f", "f818"),
    ],
)
def test_refuses(data: str) -> None:
    with pytest.raises(InvalidBlock):
        dagcbor.decode(bytes.fromhex(data))


def test_depth_is_limited_both_ways() -> None:
    with pytest.raises(LimitExceeded):
        dagcbor.decode(b"\x81" * 100_000 + b"\x00")
    nested: Value = 0
    for _ in range(1000):
        nested = [nested]
    with pytest.raises(LimitExceeded):
        dagcbor.encode(nested)


@pytest.mark.parametrize(
    "value", [math.nan, math.inf, 1 << 64, -(1 << 64) - 1, {1: 2}, "\ud800", {1}]
)
def test_has_no(value: Value) -> None:
    with pytest.raises(InvalidBlock):
        dagcbor.encode(value)
