"""Our IPNS records and keys in Kubo, Kubo's in ours."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

from dpip.ipfs import ipns
from dpip.ipfs.keys import PrivateKey, parse_name

if TYPE_CHECKING:
    from tests.ipfs.kubo import Kubo


def test_kubo_stores_and_inspects_our_record(kubo: Kubo) -> None:
    key = PrivateKey.generate()
    cid = kubo.add(b"pointed to", cid_version=1)
    record = ipns.create(
        key, f"/ipfs/{cid}", sequence=5, expires=time.time_ns() + ipns.DEFAULT_LIFETIME
    )
    name = key.name.encode("k")
    kubo.rpc("name/put", name, body=record.raw, allow_offline=True)
    inspected = json.loads(kubo.rpc("name/inspect", body=record.raw, verify=name))
    assert inspected["Validation"]["Valid"] is True
    assert inspected["Entry"]["Sequence"] == 5
    assert inspected["Entry"]["TTL"] == ipns.DEFAULT_TTL
    assert json.loads(kubo.rpc("name/resolve", name))["Path"] == f"/ipfs/{cid}"


def test_our_v2_only_record_is_valid_to_kubo(kubo: Kubo) -> None:
    key = PrivateKey.generate()
    expires = time.time_ns() + ipns.DEFAULT_LIFETIME
    record = ipns.create(key, "/ipfs/bafkqaaa", sequence=0, expires=expires, v1=False)
    answer = kubo.rpc("name/inspect", body=record.raw, verify=key.name.encode("k"))
    assert json.loads(answer)["Validation"]["Valid"] is True


def test_we_verify_what_kubo_publishes(kubo: Kubo) -> None:
    cid = kubo.add(b"published", cid_version=1)
    name = json.loads(
        kubo.rpc("name/publish", f"/ipfs/{cid}", allow_offline=True, ipns_base="base36")
    )
    raw = kubo.rpc("name/get", name["Name"])
    assert ipns.verify(raw, parse_name(name["Name"]), time.time_ns()).value == f"/ipfs/{cid}"


def test_keys_travel_both_ways(kubo: Kubo) -> None:
    key = PrivateKey.generate()
    imported = json.loads(
        kubo.rpc("key/import", "ours", body=key.to_protobuf(), ipns_base="base36")
    )
    assert imported["Id"] == key.name.encode("k")
    pem = json.loads(
        kubo.rpc(
            "key/import", "pem", body=PrivateKey.generate().to_pem(), format="pem-pkcs8-cleartext"
        )
    )
    assert pem["Name"] == "pem"
    made = json.loads(kubo.rpc("key/gen", "theirs", type="ed25519", ipns_base="base36"))
    names = {
        PrivateKey.from_protobuf(path.read_bytes()).name
        for path in (kubo.repo / "keystore").iterdir()
    }
    assert {key.name, parse_name(made["Id"])} <= names
