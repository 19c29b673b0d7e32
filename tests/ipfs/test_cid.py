from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.ipfs import multibase
from dpip.ipfs.cid import CID, DAG_PB, IDENTITY, LIBP2P_KEY, RAW, SHA2_512, inline, verify
from dpip.ipfs.errors import HashMismatch, InvalidCid, IpfsError

EMPTY_DIR_V0 = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"
EMPTY_DIR_V1 = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
EMPTY_DIR = b"\x0a\x02\x08\x01"


def test_reads_the_two_versions_of_one_directory() -> None:
    v0, v1 = CID.parse(EMPTY_DIR_V0), CID.parse(EMPTY_DIR_V1)
    assert (v0.version, v1.version) == (0, 1)
    assert v0.codec == v1.codec == DAG_PB
    assert v0.multihash == v1.multihash
    assert v0.to_v1() == v1
    assert (str(v0), str(v1)) == (EMPTY_DIR_V0, EMPTY_DIR_V1)
    assert verify(v0, EMPTY_DIR) == verify(v1, EMPTY_DIR) == EMPTY_DIR


def test_digest_is_the_hash() -> None:
    cid = CID.of(b"hello")
    assert cid.digest == hashlib.sha256(b"hello").digest()
    assert CID.of(b"hello", hash_code=SHA2_512).digest == hashlib.sha512(b"hello").digest()


def test_identity_carries_its_block() -> None:
    cid = CID.parse("bafkqaaa")
    assert (cid.codec, cid.hash_code, inline(cid)) == (RAW, IDENTITY, b"")
    assert inline(CID.of(b"tiny", hash_code=IDENTITY)) == b"tiny"
    assert inline(CID.of(b"tiny")) is None


def test_wrong_bytes_are_refused() -> None:
    with pytest.raises(HashMismatch) as caught:
        verify(CID.of(b"right"), b"wrong")
    assert not caught.value.permanent


@pytest.mark.parametrize(
    "text",
    [
        "",
        "b",
        "bafy",
        "Qm",
        "hello world",
        EMPTY_DIR_V0[:-1],
        EMPTY_DIR_V1 + "a",
        "z" + EMPTY_DIR_V0,
        "b" * 5000,
        "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf355",
    ],
)
def test_refuses_what_is_no_cid(text: str) -> None:
    with pytest.raises(InvalidCid):
        CID.parse(text)


@given(st.binary(max_size=300))
def test_never_fails_in_another_way(data: bytes) -> None:
    try:
        cid = CID.from_bytes(data)
    except InvalidCid:
        return
    assert cid.raw == data
    assert CID.parse(str(cid)) == cid
    assert isinstance(cid.codec, int)
    assert len(cid.digest) <= len(data)


@given(st.binary(max_size=60), st.sampled_from("fFbBkKzmuU"))
def test_multibase_round_trips(data: bytes, base: str) -> None:
    assert multibase.decode(multibase.encode(data, base)) == data


@given(st.text(max_size=60))
def test_multibase_reads_or_refuses(text: str) -> None:
    try:
        data = multibase.decode(text)
    except IpfsError:
        return
    assert multibase.encode(data, text[0]) == text


@given(st.binary(min_size=32, max_size=32), st.sampled_from([RAW, DAG_PB, LIBP2P_KEY, 0x0129]))
def test_binary_and_text_round_trip(digest: bytes, codec: int) -> None:
    cid = CID.v1(codec, b"\x12\x20" + digest)
    assert CID.from_bytes(cid.raw) == cid
    assert cid.codec == codec
    for base in "bkzfu":
        assert CID.parse(cid.encode(base)) == cid
    assert CID.read(cid.raw + b"more") == (cid, len(cid.raw))
    assert CID.parse(str(CID.v0(digest))) == CID.v0(digest)
