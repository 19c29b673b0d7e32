from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import peers

from dpip.ipfs import dagcbor, ipns
from dpip.ipfs.cid import CID
from dpip.ipfs.errors import InvalidCid, InvalidKey, InvalidRecord, IpfsError
from dpip.ipfs.keys import PrivateKey, PublicKey, parse_name
from dpip.ipfs.protobuf import blob, number

KEY = PrivateKey.from_seed(bytes(range(32)))
NOW = 1_800_000_000 * ipns.SECOND + 123_456_789
LATER = NOW + ipns.DEFAULT_LIFETIME
PATH = "/ipfs/bafkqaaa"


def signed(sequence: int = 1, expires: int = LATER, *, v1: bool = True) -> ipns.Record:
    return ipns.create(KEY, PATH, sequence=sequence, expires=expires, v1=v1)


@pytest.mark.parametrize("v1", [True, False])
def test_what_is_signed_verifies(v1: bool) -> None:
    record = signed(7, v1=v1)
    assert ipns.verify(record.raw, KEY.name, NOW) == record
    assert len(record.raw) < 450


def test_only_for_its_name_and_time() -> None:
    with pytest.raises(InvalidRecord, match="signature"):
        ipns.verify(signed().raw, PrivateKey.generate().name, NOW)
    with pytest.raises(InvalidRecord, match="expired"):
        ipns.verify(signed().raw, KEY.name, LATER)
    assert ipns.verify(signed().raw, KEY.name).expires == LATER


@given(st.integers(0, 500), st.integers(1, 255))
def test_no_changed_byte_changes_what_it_says(at: int, change: int) -> None:
    record = signed()
    raw = bytearray(record.raw)
    raw[at % len(raw)] ^= change
    try:
        found = ipns.verify(bytes(raw), KEY.name, NOW)
    except InvalidRecord:
        return
    assert (found.value, found.sequence, found.expires) == (PATH, 1, LATER)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(InvalidRecord):
        ipns.verify(data, KEY.name, NOW)


def test_the_best_has_the_highest_sequence_then_the_latest_expiry() -> None:
    low, high = signed(1, LATER + 5), signed(2, LATER)
    longer = signed(2, LATER + 1)
    assert ipns.best([low, high]) is high
    assert ipns.best([longer, high]) is longer
    assert ipns.best([]) is None


def test_republishing_is_due_at_half_life() -> None:
    assert not ipns.republish_due(signed(), NOW)
    assert ipns.republish_due(signed(), NOW + ipns.DEFAULT_LIFETIME // 2 + 1)


def crafted(**changes: dagcbor.Value) -> bytes:
    values: dict[str, dagcbor.Value] = {
        "Value": b"/ipfs/bafkqaaa", "Validity": b"2100-01-01T00:00:00Z", "ValidityType": 0,
        "Sequence": 1, "TTL": 1,
    }  # fmt: skip
    values.update(changes)
    data = dagcbor.encode({key: value for key, value in values.items() if value is not None})
    return blob(8, KEY.sign(b"ipns-signature:" + data)) + blob(9, data)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (crafted(Sequence=None), "lacks"),
        (crafted(Sequence="1"), "type"),
        (crafted(Sequence=True), "type"),
        (crafted(TTL=-1), "negative"),
        (crafted(ValidityType=1), "validity type"),
        (crafted(Validity=b"tomorrow"), "time"),
        (crafted(Value=b"\xff"), "text"),
        (crafted() + blob(1, b"/ipfs/other") + blob(2, b"x"), "signed"),
        (crafted() + blob(7, b"nonsense"), "key"),
        (blob(9, crafted()), "V2"),
        (crafted(Value=b"x" * 11_000), "bytes"),
    ],
)
def test_signed_nonsense_is_refused(raw: bytes, reason: str) -> None:
    assert ipns.verify(crafted(), KEY.name, NOW).value == PATH
    with pytest.raises(InvalidRecord, match=reason):
        ipns.verify(raw, KEY.name, NOW)


def test_published_vectors() -> None:
    valid = {"v1-v2", "v2", "v1-v2-broken-signature-v1"}
    seen = set()
    for path in peers.bench_data("gateway").glob("ipns/*.ipns-record"):
        name, _, kind = path.name.removesuffix(".ipns-record").partition("_")
        seen.add(kind)
        if kind in valid:
            assert ipns.verify(path.read_bytes(), parse_name(name), NOW).value.startswith("/ipfs/")
        else:
            with pytest.raises(InvalidRecord):
                ipns.verify(path.read_bytes(), parse_name(name), NOW)
    assert len(seen) == 6


@given(st.integers(0, 4_000_000_000 * ipns.SECOND))
def test_times_round_trip(moment: int) -> None:
    assert ipns.parse_time(ipns.format_time(moment)) == moment


@pytest.mark.parametrize(
    ("text", "expected"),
    [("1970-01-01T00:00:01Z", 10**9), ("1970-01-01T01:00:00.5+01:00", 5 * 10**8)],
)
def test_times_of_others(text: str, expected: int) -> None:
    assert ipns.parse_time(text) == expected


def test_keys_round_trip() -> None:
    for again in (
        PrivateKey.from_protobuf(KEY.to_protobuf()),
        PrivateKey.from_pem(KEY.to_pem()),
        PrivateKey.from_pem(KEY.to_pem(b"secret"), b"secret"),
    ):
        assert again.name == KEY.name
    assert b"ENCRYPTED" in KEY.to_pem(b"secret")
    assert PublicKey.of_name(KEY.name) == KEY.public


@pytest.mark.parametrize("password", [None, b"wrong"])
def test_an_encrypted_key_needs_its_password(password: bytes | None) -> None:
    with pytest.raises(InvalidKey):
        PrivateKey.from_pem(KEY.to_pem(b"secret"), password)


@given(st.binary(max_size=80))
def test_keys_are_read_or_refused(data: bytes) -> None:
    for message in (data, number(1, 1) + blob(2, data)):
        with pytest.raises(IpfsError):
            PrivateKey.from_protobuf(message)


def test_names_in_every_spelling() -> None:
    name = KEY.name
    assert name.encode("k").startswith("k51")
    from dpip.ipfs.multibase import encode_base58

    spellings = [name.encode("k"), name.encode("b"), encode_base58(name.multihash)]
    for text in (*spellings, "/ipns/" + spellings[0]):
        assert parse_name(text) == name
    for text in ("", "k51", "example.org", str(CID.of(b"")), "12D3KooW"):
        with pytest.raises(InvalidCid):
            parse_name(text)


def test_a_renewed_record_replaces_the_old_and_never_a_newer_value() -> None:
    old, later = signed(), NOW + ipns.DEFAULT_LIFETIME - 1
    new = ipns.renew(KEY, old, later)
    assert ipns.verify(new.raw, KEY.name, later + ipns.DEFAULT_LIFETIME - 1) == new
    assert (new.value, new.sequence, new.ttl) == (old.value, old.sequence, old.ttl)
    assert ipns.best([old, new]) is new
    published = ipns.create(KEY, "/ipfs/bafkqaaa", sequence=old.sequence + 1, expires=later)
    assert ipns.best([new, published]) is published
