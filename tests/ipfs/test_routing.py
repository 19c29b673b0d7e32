"""https://specs.ipfs.tech/routing/http-routing-v1/"""

from __future__ import annotations

import json

import pytest
from tests.ipfs.gateway.asking import KEY, World
from tests.ipfs.gateway.asking import world as make

from dpip.ipfs import ipns
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.routing import Peer, Routing

PEER = PrivateKey.from_seed(b"p" * 32).name.encode("k")
ADDRESSES = ("/ip4/127.0.0.1/tcp/4747/http", "/dns4/localhost/tcp/4443/tls/http")
RECORD = "application/vnd.ipfs.ipns-record"
PUT = {"method": "PUT", "content_type": RECORD}


@pytest.fixture
def world() -> World:
    made = make()
    made.app = Routing(made.store, made.records, peer=Peer(PEER, ADDRESSES), clock=lambda: made.now)
    return made


def test_we_provide_what_we_have(world: World) -> None:
    reply = world.ask("/routing/v1/providers/{hello}")
    assert reply.headers["content-type"] == "application/json"
    assert reply.headers["access-control-allow-origin"] == "*"
    (record,) = json.loads(reply.body)["Providers"]
    assert record == {
        "Schema": "peer",
        "ID": PEER,
        "Addrs": list(ADDRESSES),
        "Protocols": ["transport-ipfs-gateway-http"],
    }
    absent = world.ask("/routing/v1/providers/{absent}")
    assert (absent.status, json.loads(absent.body)) == (200, {"Providers": []})


def test_ndjson_where_asked_for(world: World) -> None:
    reply = world.ask("/routing/v1/providers/{hello}", accept="application/x-ndjson")
    assert reply.headers["content-type"] == "application/x-ndjson"
    assert json.loads(reply.body)["ID"] == PEER
    reply = world.ask("/routing/v1/providers/{absent}", accept="application/x-ndjson")
    assert (reply.status, reply.body) == (200, b"")


@pytest.mark.parametrize(
    ("query", "addresses"),
    [
        ("filter-protocols=transport-ipfs-gateway-http,unknown", 2),
        ("filter-protocols=transport-bitswap", None),
        ("filter-addrs=tls", 1),
        ("filter-addrs=!tls", 1),
        ("filter-addrs=quic-v1", None),
    ],
)
def test_filters(world: World, query: str, addresses: int | None) -> None:
    found = json.loads(world.ask("/routing/v1/providers/{hello}?" + query).body)["Providers"]
    assert [len(record["Addrs"]) for record in found] == ([] if addresses is None else [addresses])


def test_peers(world: World) -> None:
    assert json.loads(world.ask(f"/routing/v1/peers/{PEER}").body)["Peers"][0]["ID"] == PEER
    other = PrivateKey.generate().name.encode("b")
    assert json.loads(world.ask(f"/routing/v1/peers/{other}").body) == {"Peers": []}


def test_records_are_put_and_got(world: World) -> None:
    path, name = "/routing/v1/ipns/{name}", KEY.name
    assert world.ask(path, accept=RECORD).status == 404
    expires = world.now + ipns.DEFAULT_LIFETIME
    new, old = (ipns.create(KEY, "/ipfs/bafkqaaa", sequence=n, expires=expires) for n in (2, 1))
    assert world.ask(path, body=new.raw, **PUT).status == 200
    assert world.ask(path, body=old.raw, **PUT).status == 200
    reply = world.ask(path, accept=RECORD)
    assert (reply.status, reply.body) == (200, new.raw)
    assert reply.headers["content-type"] == RECORD
    assert reply.headers["cache-control"] == "public, max-age=300"
    assert world.records.get(name).sequence == 2


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/routing/v1/providers/nope", "GET", 422),
        ("/routing/v1/ipns/nope", "GET", 400),
        ("/routing/v1/nope/x", "GET", 400),
        ("/routing/v1/providers", "PUT", 501),
        ("/routing/v1/providers/{hello}", "DELETE", 501),
        ("/routing/v1/providers/{hello}", "OPTIONS", 200),
    ],
)
def test_other_requests(world: World, path: str, method: str, status: int) -> None:
    assert world.ask(path, method).status == status


def test_bad_records_are_refused(world: World) -> None:
    path = "/routing/v1/ipns/{name}"
    for body in (b"", b"nonsense", b"x" * 100_000):
        assert world.ask(path, body=body, **PUT).status == 400
    assert world.ask(path, "PUT", b"x", content_type="text/plain").status == 406
    assert world.ask(path, accept="text/html").status == 406
