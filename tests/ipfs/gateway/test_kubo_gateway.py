"""The same questions to our gateway and to Kubo's, over the same blocks: the same answers."""

from __future__ import annotations

import http.client
import io
import time
import urllib.parse
from typing import TYPE_CHECKING

import pytest
from tests import peers
from tests.ipfs.gateway.asking import KEY, Reply, World

from dpip.ipfs import car
from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID

if TYPE_CHECKING:
    from tests.ipfs.kubo import Kubo

COMPARED = (
    "content-type", "content-disposition", "x-ipfs-path", "x-ipfs-roots", "location",
    "content-range", "accept-ranges", "x-content-type-options",
)  # fmt: skip
CAR = "application/vnd.ipld.car"
SCOPES = ["", "&dag-scope=block", "&dag-scope=entity", "&dag-scope=all&car-dups=y"]
RANGES = ["0:*", "0:999", "999:1000", "-1:*", "1000:-2001", "4000:9999", "0:-1"]
QUESTIONS: list[tuple[str, dict[str, str]]] = [
    *((f"/ipfs/{{root}}{path}?format=raw", {}) for path in ("", "/sub", "/sub/long", "/symlink")),
    *((f"/ipfs/{{root}}/sub{path}?format=car{scope}", {})
      for path in ("", "/hello.txt", "/long", "/nope") for scope in SCOPES),
    *((f"/ipfs/{{long}}?format=car&dag-scope=entity&entity-bytes={text}", {}) for text in RANGES),
    *((f"/ipfs/{{hello}}?format=car&{text}", {})
      for text in ("car-version=2", "car-order=bfs", "car-dups=x", "dag-scope=x")),
    ("/ipfs/{sub}", {"accept": f"{CAR}; version=1; order=dfs; dups=y"}),
    ("/ipfs/{sub}", {"accept": f"{CAR}; order=unk"}),
    ("/ipfs/bafkqaaa?format=raw", {}),
    ("/ipfs/{absent}?format=raw", {}),
    *((f"/ipfs/{{root}}/sub/hello.txt{query}", {}) for query in
      ("", "?filename=x.html", "?filename=te%C3%9Ft%D1%82.pdf&download=true", "?download=true")),
    *(("/ipfs/{root}/sub/long", {"range": f"bytes={text}"}) for text in
      ("0-5", "5-", "-5", "0-5,7-9", "99999-", "0-99999", "990-2010")),
    *((f"/ipfs/{path}", {}) for path in
      ("{root}/sub", "{root}/sub?a=b", "{site}/", "{root}/symlink", "{root}/nope", "{data}",
       "{absent}", "nope", "ipfs/{hello}", "{root}/sub/hello.txt/x", "?uri=ipfs%3A%2F%2F{hello}")),
    ("/ipfs/{absent}", {"cache-control": "only-if-cached"}),
    ("/ipfs/{hello}", {"cache-control": "only-if-cached"}),
    ("/ipfs/{root}", {"service-worker": "script"}),
    ("/ipfs/{root}/sub?format=tar", {}),
    ("/ipns/{name}/", {}), ("/ipns/{name}/hello.txt", {}), ("/ipns/{name}?format=raw", {}),
    ("/ipns/{name}?format=car&dag-scope=block", {}), ("/ipns/{name}?format=ipns-record", {}),
    ("/ipns/{name}/x?format=ipns-record", {}),
    ("/ipns/12D3KooWRBy97UB99e3J6hiPesre1MZeuNQvfan4gBziswrRJsNK/x", {}),
]  # fmt: skip


def ask_kubo(kubo: Kubo, path: str, method: str, headers: dict[str, str]) -> Reply:
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(kubo.gateway).netloc, timeout=30)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    found = {k.lower(): v.encode("latin-1").decode() for k, v in response.getheaders()}
    reply = Reply(response.status, found, response.read(), complete=True)
    connection.close()
    return reply


@pytest.fixture
def both(world: World, kubo: Kubo) -> tuple[World, Kubo]:
    """Return the world and a Kubo that holds its blocks and its name."""
    cids = [CID.v1(0x55, multihash) for multihash in world.store.multihashes()]
    blocks = (Block(cid, world.store.get(cid)) for cid in cids)
    kubo.rpc("dag/import", body=b"".join(car.write(cids[:1], blocks)), pin_roots=False)
    world.now = time.time_ns()
    record = world.publish("/ipfs/" + world.cids["sub"], sequence=world.now // 10**6)
    kubo.rpc("name/put", KEY.name.encode("k"), body=record.raw, allow_offline=True, force=True)
    return world, kubo


def compare(ours: Reply, theirs: Reply) -> None:
    assert ours.status == theirs.status
    if ours.status >= 400:
        return
    for name in COMPARED:
        assert ours.headers.get(name) == theirs.headers.get(name), name
    kind = theirs.headers.get("content-type", "")
    if kind.startswith(CAR):
        assert car.read(io.BytesIO(ours.body)).roots == car.read(io.BytesIO(theirs.body)).roots
        assert ours.car() == theirs.car()
    elif ours.status in {200, 206} and kind != "application/x-tar":
        kept = [reply.headers.get("cache-control", "")[:15] for reply in (ours, theirs)]
        assert kept[0] == kept[1]
        if "DirIndex" not in ours.headers.get("etag", ""):
            assert ours.body == theirs.body
    elif kind == "application/x-tar":
        assert len(ours.body) == len(theirs.body)


@pytest.mark.parametrize(("path", "headers"), QUESTIONS)
def test_answers_are_kubos(both: tuple[World, Kubo], path: str, headers: dict[str, str]) -> None:
    world, kubo = both
    ours = world.send(path, headers)
    compare(ours, ask_kubo(kubo, path.format(**world.cids), "GET", headers))
    etag = ours.headers.get("etag")
    if etag and ours.status == 200:
        assert world.send(path, {**headers, "if-none-match": etag}).status == 304


FIXTURES = [
    "/ipfs/bafybeidbclfqleg2uojchspzd4bob56dqetqjsj27gy2cq3klkkgxtpn4i/{n}.txt",
    "/ipfs/bafybeidbclfqleg2uojchspzd4bob56dqetqjsj27gy2cq3klkkgxtpn4i",
    "/ipfs/bafybeidh6k2vzukelqtrjsmd4p52cpmltd2ufqrdtdg6yigi73in672fwu/subdir/multiblock.txt",
    "/ipfs/bafybeia264q44a3kmfc2otctzu4egp2k235o3t7mslz2yjraymp4nv6asi/document",
    "/ipfs/QmYhmPjhFjYFyaoiuNzYv8WGavpSRDwdHWe5B4M5du5Rtk",
    "/ipfs/QmWvY6FaqFMS89YAQ9NAPjVP4WZKA1qbHbicc9HeSKQTgt/bar",
    "/ipfs/bafybeig6ka5mlwkl4subqhaiatalkcleo4jgnr3hqwvpmsqfca27cijp3i/%C4%85/%C4%99",
    (
        "/ipfs/bafybeig675grnxcmshiuzdaz2xalm6ef4thxxds6o6ypakpghm5kghpc34"
        "/Portugal%252C+Espa%C3%B1a=Peninsula%20Ib%C3%A9rica.txt"
    ),
]


def test_answers_over_the_fixtures_of_others(world: World, kubo: Kubo) -> None:
    for path in sorted(peers.bench_data("gateway").glob("*/*.car")):
        with path.open("rb") as file:
            world.store.put(car.read(file))
        kubo.rpc("dag/import", body=path.read_bytes(), pin_roots=False)
    asked = 0
    for path_template in FIXTURES:
        whole = "QmYhm" not in path_template
        for number in (1, 77, 500, 999):
            url = path_template.format(n=number)
            part = f"{url}?format=car&dag-scope=entity&entity-bytes="
            questions = [part + "0:0", part + "1024:*"]
            questions += [f"{url}?format=raw", f"{url}?format=car&dag-scope=block"]
            questions += [url, f"{url}?format=car"] if whole else []
            for question in questions:
                if "entity-bytes=1024" in question and not whole:
                    continue
                compare(world.ask(question), ask_kubo(kubo, question, "GET", {}))
                asked += 1
            if url == path_template:
                break
    assert asked > 50
