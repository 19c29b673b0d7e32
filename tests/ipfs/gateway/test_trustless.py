"""https://specs.ipfs.tech/http-gateways/trustless-gateway/, clause by clause."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import pytest

from dpip.ipfs import car
from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID, verify

if TYPE_CHECKING:
    from tests.ipfs.gateway.asking import World

RAW = "application/vnd.ipld.raw"
CAR = "application/vnd.ipld.car"
RECORD = "application/vnd.ipfs.ipns-record"


@pytest.mark.parametrize("path", ["/ipfs/{hello}", "/ipfs/{root}", "/ipfs/{root}/sub/long"])
def test_blocks(world: World, path: str) -> None:
    by_query, by_accept = world.ask(path + "?format=raw"), world.ask(path, accept=RAW)
    assert by_query.status == by_accept.status == 200
    assert by_query.body == by_accept.body
    cid = by_query.headers["x-ipfs-roots"].rpartition(",")[2]
    assert verify(CID.parse(cid), by_query.body)
    assert by_query.headers["content-type"] == RAW
    assert by_query.headers["etag"] == f'"{cid}.raw"'
    assert by_query.headers["content-disposition"].startswith(f'attachment; filename="{cid}.bin"')
    assert by_query.headers["cache-control"] == "public, max-age=29030400, immutable"
    assert by_query.headers["x-content-type-options"] == "nosniff"
    assert by_query.headers["content-length"] == str(len(by_query.body))
    assert "content-location" not in by_query.headers
    assert by_accept.headers["content-location"].endswith("?format=raw")


def test_head_is_get_without_a_body(world: World) -> None:
    for path in ("/ipfs/{hello}?format=raw", "/ipfs/{root}?format=car&dag-scope=block"):
        get, head = world.ask(path), world.ask(path, "HEAD")
        assert head.body == b""
        assert head.status == get.status
        assert {k: v for k, v in get.headers.items() if k != "content-length"} == {
            k: v for k, v in head.headers.items() if k != "content-length"
        }


def test_probe(world: World) -> None:
    for method in ("GET", "HEAD"):
        assert world.ask("/ipfs/bafkqaaa?format=raw", method).status == 200
        assert world.ask("/ipfs/bafkqaaa", method, accept=RAW).body == b""
    reply = world.ask("/ipfs/bafkqaaa?format=car")
    assert reply.status == 200
    assert reply.car() == []


def test_responses_are_short_enough_for_kubos_probe(world: World) -> None:
    headers = world.ask("/ipfs/bafkqaaa?format=raw", "HEAD").headers
    assert sum(len(k) + len(v) + 4 for k, v in headers.items()) < 1500


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("format_", ["raw", "car"])
def test_an_absent_root_is_404(world: World, method: str, format_: str) -> None:
    assert world.ask(f"/ipfs/{{absent}}?format={format_}", method).status == 404
    assert world.ask(f"/ipfs/{{absent}}/x?format={format_}", method).status == 404


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/ipfs/{root}/sub?dag-scope=block", "root sub"),
        ("/ipfs/{root}/sub?dag-scope=entity", "root sub"),
        ("/ipfs/{root}/sub/hello.txt?dag-scope=all", "root sub hello"),
        ("/ipfs/{hello}?dag-scope=entity", "hello"),
        ("/ipfs/{data}?dag-scope=entity", "data"),
        ("/ipfs/{data}", "data hello"),
        ("/ipfs/{data}/file", "data hello"),
        ("/ipfs/{symlink}?dag-scope=entity", "symlink"),
        ("/ipfs/{long}?dag-scope=block", "long"),
        ("/ipfs/{root}/sub/nope", "root sub"),
        ("/ipfs/{root}/nope/more", "root"),
        ("/ipfs/{root}/sub?entity-bytes=0:5", "root sub"),
    ],
)
def test_which_blocks_a_car_holds(world: World, path: str, expected: str) -> None:
    path += "&format=car" if "?" in path else "?format=car"
    reply = world.ask(path)
    assert reply.status == 200
    assert reply.car() == [world.cids[name] for name in expected.split()]


def test_a_car_of_everything_is_depth_first(world: World) -> None:
    cids = world.ask("/ipfs/{sub}?format=car").car()
    assert cids[:3] == [world.cids[name] for name in ("sub", "hello", "long")]
    assert len(cids) == len(set(cids)) == 3 + 2 + 5


def test_duplicates_only_where_asked_for(world: World) -> None:
    once = world.ask("/ipfs/{sub}?format=car&car-dups=n")
    twice = world.ask("/ipfs/{sub}", accept=f"{CAR}; version=1; order=dfs; dups=y")
    assert twice.car().count(world.cids["hello"]) == 2
    assert once.car().count(world.cids["hello"]) == 1
    assert once.headers["content-type"] == f"{CAR}; version=1; order=dfs; dups=n"
    assert twice.headers["content-type"] == f"{CAR}; version=1; order=dfs; dups=y"
    assert once.headers["etag"] != twice.headers["etag"]
    assert world.ask("/ipfs/{sub}?format=car&car-order=unk").headers["content-type"].count("unk")


@pytest.mark.parametrize(
    ("byte_range", "leaves"),
    [
        ("0:*", 5), ("0:999", 1), ("999:1000", 2), ("-1:*", 1), ("4999:4999", 1), ("0:-1", 5),
        ("-5000:*", 5), ("1000:-2001", 2), ("4000:9999", 1), ("-9999:0", 1), ("5000:*", 0),
        ("9999:99999", 0),
    ],
)  # fmt: skip
def test_entity_bytes_select_the_fewest_blocks(world: World, byte_range: str, leaves: int) -> None:
    reply = world.ask("/ipfs/{long}?format=car&dag-scope=entity&entity-bytes=" + byte_range)
    assert reply.status == 200
    cids = reply.car()
    assert cids[0] == world.cids["long"]
    assert sum(CID.parse(cid).codec_name == "raw" for cid in cids) == leaves


@pytest.mark.parametrize(
    "query",
    [
        "dag-scope=some",
        "entity-bytes=5:2",
        "entity-bytes=x",
        "entity-bytes=-1:-3",
        "car-version=2",
        "car-order=bfs",
        "car-dups=maybe",
        "entity-bytes=1",
    ],
)
def test_parameters_that_make_no_sense(world: World, query: str) -> None:
    assert world.ask("/ipfs/{long}?format=car&" + query).status == 400


def test_etags_tell_selections_apart_and_are_honoured(world: World) -> None:
    queries = ["", "&dag-scope=block", "&dag-scope=entity", "&entity-bytes=0:5", "&car-dups=y"]
    etags = {world.ask("/ipfs/{long}?format=car" + query).headers["etag"] for query in queries}
    assert len(etags) == len(queries)
    for path in ("/ipfs/{long}?format=car", "/ipfs/{hello}?format=raw"):
        etag = world.ask(path).headers["etag"]
        for sent in (etag, f'"other", {etag}', "*", etag.removeprefix("W/")):
            again = world.ask(path, if_none_match=sent)
            assert (again.status, again.body) == (304, b"")
            assert again.headers["etag"] == etag
        assert world.ask(path, if_none_match='"other"').status == 200


def test_format_wins_over_accept(world: World) -> None:
    reply = world.ask("/ipfs/{hello}?format=raw", accept=CAR)
    assert reply.headers["content-type"] == RAW
    reply = world.ask("/ipfs/{sub}?format=car&car-dups=n", accept=f"{CAR}; dups=y")
    assert reply.headers["content-type"].endswith("dups=n")
    assert (
        world.ask("/ipfs/{hello}?format=car&filename=a.car")
        .headers["content-disposition"]
        .startswith('attachment; filename="a.car"')
    )


def test_a_missing_child_breaks_the_stream_off(world: World) -> None:
    reply = world.ask("/ipfs/{holed}?format=car")
    assert reply.status == 200
    assert not reply.complete
    assert reply.car() == [world.cids["holed"]]
    assert world.ask("/ipfs/{holed}?format=car&dag-scope=entity").complete


def test_what_a_missing_block_hides_is_shown_once_it_is_there(world: World) -> None:
    inner, _ = world.directory(hello_txt=world.add(b"hello world"))
    outer, _ = world.directory(inner=(inner, 0))
    data = world.store.get(inner)
    world.store.delete([inner])
    path = f"/ipfs/{outer}/inner/hello.txt?format=car"
    assert world.ask(path).car() == [str(outer)]
    world.store.put([Block(inner, data)])
    assert world.ask(path).car() == [str(outer), str(inner), world.cids["hello"]]


@pytest.mark.parametrize(
    ("header", "status", "body"),
    [
        ("bytes=0-4", 206, b"hello"),
        ("bytes=-5", 206, b"world"),
        ("bytes=6-", 206, b"world"),
        ("bytes=6-999", 206, b"world"),
        ("bytes=0-0, 2-3", 206, b"h"),
        ("bytes=11-", 416, None),
        ("bytes=4-2", 400, None),
        ("lines=0-4", 400, None),
    ],
)
def test_ranges_of_blocks_and_files(
    world: World, header: str, status: int, body: bytes | None
) -> None:
    for path in ("/ipfs/{hello}?format=raw", "/ipfs/{root}/sub/hello.txt"):
        reply = world.ask(path, range=header)
        assert reply.status == status
        if body is not None:
            assert reply.body == body
            start = b"hello world".index(body)
            expected = f"bytes {start}-{start + len(body) - 1}/11"
            assert reply.headers["content-range"] == expected


def test_only_if_cached(world: World) -> None:
    for method in ("GET", "HEAD"):
        assert world.ask("/ipfs/{absent}", method, cache_control="only-if-cached").status == 412
        assert world.ask("/ipfs/{hello}", method, cache_control="only-if-cached").status == 200


def test_ipns_records(world: World) -> None:
    raw = world.publish("/ipfs/" + world.cids["root"]).raw
    for reply in (
        world.ask("/ipns/{name}?format=ipns-record"),
        world.ask("/ipns/{name}", accept=RECORD),
    ):
        assert (reply.status, reply.body) == (200, raw)
        assert reply.headers["content-type"] == RECORD
        assert reply.headers["cache-control"] == "public, max-age=300"
        assert reply.headers["content-disposition"].count(".ipns-record")
        etag = reply.headers["etag"]
        assert world.ask("/ipns/{name}?format=ipns-record", if_none_match=etag).status == 304
    assert world.ask("/ipns/{name}/sub?format=ipns-record").status == 400
    assert world.ask("/ipfs/{hello}?format=ipns-record").status == 400
    other = "k51qzi5uqu5dit2ku9mutlfgwyz8u730on38kd10m97m36bjt66my99hb6103f"
    assert world.ask(f"/ipns/{other}?format=ipns-record").status == 500


def test_a_record_is_cached_no_longer_than_it_is_valid(world: World) -> None:
    world.publish("/ipfs/" + world.cids["root"], ttl=10**18)
    age = world.ask("/ipns/{name}?format=ipns-record").headers["cache-control"]
    assert age == f"public, max-age={48 * 3600}"


def test_cars_go_through_names(world: World) -> None:
    world.publish("/ipfs/" + world.cids["root"])
    reply = world.ask("/ipns/{name}/sub?format=car&dag-scope=block")
    assert reply.car() == [world.cids["root"], world.cids["sub"]]
    assert reply.headers["cache-control"] == "public, max-age=300"
    roots = car.read(io.BytesIO(reply.body)).roots
    assert [str(root) for root in roots] == [world.cids["sub"]]


def test_other_methods(world: World) -> None:
    assert world.ask("/ipfs/{hello}", "POST").status == 405
    options = world.ask("/ipfs/{hello}", "OPTIONS")
    assert options.status == 200
    assert options.headers["access-control-allow-origin"] == "*"
