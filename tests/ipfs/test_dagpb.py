from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.ipfs import dagpb, unixfs
from dpip.ipfs.cid import CID
from dpip.ipfs.dagpb import Link, Node
from dpip.ipfs.errors import InvalidBlock

if TYPE_CHECKING:
    from collections.abc import Callable

cids = st.binary(min_size=32, max_size=32).map(CID.v0)
names = st.binary(max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
links = st.builds(Link, cids, names, st.integers(0, (1 << 64) - 1))
nodes = st.builds(Node, st.lists(links, max_size=5).map(tuple), st.none() | st.binary(max_size=20))


@given(nodes)
def test_round_trips_up_to_the_order_of_links(node: Node) -> None:
    block = dagpb.encode(node)
    back = dagpb.decode(block)
    assert back.data == node.data
    assert sorted(back.links, key=repr) == sorted(node.links, key=repr)
    assert [ln.name_bytes for ln in back.links] == sorted(ln.name_bytes for ln in node.links)
    assert dagpb.encode(back) == block
    assert dagpb.encoded_size(node.links, node.data) == len(block)


def test_links_of_a_file_keep_their_order() -> None:
    children = tuple(Link(CID.of(bytes([n])), "", n) for n in (3, 1, 2))
    assert dagpb.decode(dagpb.encode(Node(children, b""))).links == children


LINK = dagpb.encode_link(Link(CID.of(b"x"), "n", 1))


@pytest.mark.parametrize(
    "block",
    [
        b"\x0a\x01a\x0a\x01b",
        LINK + b"\x0a\x00" + LINK,
        b"\x1a\x00",
        b"\x08\x01",
        b"\x12\x02\x12\x00",
        b"\x12\x04\x18\x01\x18\x01",
        LINK[:-1],
        b"\x0a\xff\xff\xff\xff\x0f",
        b"\x0b",
        b"\x00\x00",
    ],
)
def test_refuses_what_is_not_strict(block: bytes) -> None:
    with pytest.raises(InvalidBlock):
        dagpb.decode(block)


def test_takes_data_before_links() -> None:
    assert dagpb.decode(b"\x0a\x01a" + LINK) == Node((Link(CID.of(b"x"), "n", 1),), b"a")


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(block: bytes) -> None:
    for read in (dagpb.decode, unixfs.decode):
        try:
            read(block)
        except InvalidBlock:
            continue


@given(
    st.builds(
        unixfs.Data,
        st.sampled_from(list(unixfs.Kind)),
        st.none() | st.binary(max_size=20),
        st.none() | st.integers(0, 1 << 60),
        st.lists(st.integers(0, 1 << 60), max_size=4).map(tuple),
        st.none() | st.just(0x22),
        st.none() | st.integers(8, 1024),
    )
)
def test_unixfs_round_trips(data: unixfs.Data) -> None:
    assert unixfs.decode(unixfs.encode(data)) == data


def test_unixfs_reads_mode_time_and_packed_sizes() -> None:
    message = bytes.fromhex("0802 1803 2202 0102 38a403 4210 08ffffffffffffffffff01 1505000000")
    data = unixfs.decode(message)
    assert data.blocksizes == (1, 2)
    assert data.mode == 0o644
    assert data.mtime == (-1, 5)


@given(links, st.integers(0, 60), st.integers(0, 255))
def test_the_short_way_reads_links_as_the_long_way(link: Link, at: int, value: int) -> None:
    body = bytearray(dagpb.encode_link(link)[2:])
    for change in (False, True):
        if change:
            body[at % len(body)] = value
        short = read_or_none(dagpb._usual_link, bytes(body))
        long = read_or_none(dagpb._decode_link, bytes(body))
        assert short in {None, long}
    assert dagpb._usual_link(dagpb.encode_link(link)[2:]) == link


def read_or_none(read: Callable[[bytes], Link | None], body: bytes) -> Link | None:
    try:
        return read(body)
    except InvalidBlock:
        return None
