from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import peers

from dpip.ipfs import car, dagcbor, varint
from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID
from dpip.ipfs.errors import HashMismatch, InvalidCar, IpfsError, LimitExceeded

blocks = st.lists(st.binary(max_size=50).map(lambda data: Block(CID.of(data), data)), max_size=6)
ROOT = CID.of(b"root")
WHOLE = b"".join(car.write([ROOT], [Block(ROOT, b"root"), Block(CID.of(b"two"), b"two")]))


class Trickle(io.RawIOBase):
    """A source that gives one byte at a time."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._inner = io.BytesIO(data)

    def read(self, size: int = -1, /) -> bytes:
        return self._inner.read(min(size, 1))


@given(blocks)
def test_round_trips_however_it_arrives(written: list[Block]) -> None:
    stream = b"".join(car.write([ROOT], written))
    for source in (io.BytesIO(stream), Trickle(stream)):
        reader = car.read(source)
        assert reader.roots == (ROOT,)
        assert list(reader) == written


@pytest.mark.parametrize("cut", range(1, len(WHOLE)))
def test_a_cut_stream_is_noticed_unless_between_blocks(cut: int) -> None:
    boundary = len(car.header([ROOT])), len(car.header([ROOT])) + 1 + 36 + 4
    source = io.BytesIO(WHOLE[:cut])
    if cut in boundary:
        assert len(list(car.read(source))) == boundary.index(cut)
        return
    with pytest.raises(InvalidCar):
        list(car.read(source))


def test_a_wrong_block_is_refused() -> None:
    with pytest.raises(HashMismatch):
        list(car.read(io.BytesIO(WHOLE[:-1] + b"x")))


@pytest.mark.parametrize("size", [car.MAX_SECTION + 1, 1 << 62])
def test_a_huge_length_costs_nothing(size: int) -> None:
    with pytest.raises(LimitExceeded):
        list(car.read(io.BytesIO(car.header([ROOT]) + varint.encode(size))))
    with pytest.raises(LimitExceeded):
        car.read(io.BytesIO(varint.encode(size)))


@pytest.mark.parametrize(
    "header", [{"version": 2}, {"version": 1}, {"version": 1, "roots": [1]}, [], {"version": "1"}]
)
def test_refuses_other_headers(header: dagcbor.Value) -> None:
    body = dagcbor.encode(header)
    with pytest.raises(InvalidCar):
        car.read(io.BytesIO(varint.encode(len(body)) + body))


@given(st.binary(max_size=100))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    for stream in (data, car.header([ROOT]) + data):
        try:
            list(car.read(io.BytesIO(stream)))
        except IpfsError:
            continue


def test_cars_of_another_implementation() -> None:
    for path in sorted(peers.bench_data("gateway").glob("*/*.car")):
        with path.open("rb") as file:
            reader = car.read(file)
            assert reader.roots
            assert list(reader)
