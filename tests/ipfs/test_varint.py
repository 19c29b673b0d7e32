from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.ipfs import varint
from dpip.ipfs.errors import InvalidBlock


@pytest.mark.parametrize(
    ("number", "data"),
    [
        (0, "00"),
        (1, "01"),
        (127, "7f"),
        (128, "8001"),
        (255, "ff01"),
        (300, "ac02"),
        (16384, "808001"),
    ],
)
def test_known_forms(number: int, data: str) -> None:
    assert varint.encode(number).hex() == data
    assert varint.decode(bytes.fromhex(data)) == (number, len(data) // 2)


@pytest.mark.parametrize("data", ["", "80", "8000", "ff" * 9 + "01", "ff" * 1000])
def test_refuses(data: str) -> None:
    with pytest.raises(InvalidBlock):
        varint.decode(bytes.fromhex(data))


def test_protobuf_takes_64_bits_and_no_more() -> None:
    top = (1 << 64) - 1
    assert varint.decode_protobuf(varint.encode(top)) == (top, 10)
    assert varint.decode_protobuf(b"\x80\x00") == (0, 2)
    with pytest.raises(InvalidBlock):
        varint.decode_protobuf(b"\xff" * 9 + b"\x02")


@given(st.integers(0, (1 << 63) - 1), st.binary(max_size=4))
def test_round_trip(number: int, after: bytes) -> None:
    encoded = varint.encode(number)
    assert varint.decode(encoded + after) == (number, len(encoded))
