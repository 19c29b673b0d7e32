"""https://specs.ipfs.tech/http-gateways/path-gateway/, clause by clause."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ipfs.gateway.asking import LONG

from dpip.ipfs import dagcbor
from dpip.ipfs.blockstore import Location, MemoryBlockstore
from dpip.ipfs.cid import CID, DAG_CBOR
from dpip.ipfs.dagpb import Link, Node, encode
from dpip.ipfs.gateway import sniff
from dpip.ipfs.gateway.ranges import requested
from dpip.ipfs.gateway.server import Gateway
from dpip.ipfs.unixfs import DIRECTORY

if TYPE_CHECKING:
    from tests.ipfs.gateway.asking import World


def test_a_file(world: World) -> None:
    reply = world.ask("/ipfs/{root}/sub/hello.txt")
    assert (reply.status, reply.body) == (200, b"hello world")
    cids = world.cids
    expected = {
        "content-type": "text/plain; charset=utf-8",
        "content-length": "11",
        "etag": f'"{cids["hello"]}"',
        "cache-control": "public, max-age=29030400, immutable",
        "x-ipfs-path": f"/ipfs/{cids['root']}/sub/hello.txt",
        "x-ipfs-roots": f"{cids['root']},{cids['sub']},{cids['hello']}",
        "accept-ranges": "bytes",
    }
    assert expected.items() <= reply.headers.items()
    assert world.ask("/ipfs/{root}/sub/hello.txt", "HEAD").headers["content-length"] == "11"
    etag = reply.headers["etag"]
    assert world.ask("/ipfs/{root}/sub/hello.txt", if_none_match=etag).status == 304


def test_a_file_of_many_blocks_and_its_ranges(world: World) -> None:
    assert world.ask("/ipfs/{long}").body == LONG
    assert world.ask("/ipfs/{long}", range="bytes=990-2010").body == LONG[990:2011]
    etag = world.ask("/ipfs/{long}", "HEAD").headers["etag"]
    assert world.ask("/ipfs/{long}", range="bytes=0-1", if_range=etag).status == 206
    assert world.ask("/ipfs/{long}", range="bytes=0-1", if_range='"old"').status == 200


@pytest.mark.parametrize("query", ["", "?a=b&c=%20d"])
def test_a_directory_is_redirected_to_its_slash(world: World, query: str) -> None:
    reply = world.ask("/ipfs/{root}/sub" + query)
    assert reply.status == 301
    assert reply.headers["location"] == f"/ipfs/{world.cids['root']}/sub/{query}"


def test_a_listing_links_every_entry(world: World) -> None:
    reply = world.ask("/ipfs/{root}/sub/")
    page, cids = reply.body.decode(), world.cids
    assert reply.headers["content-type"] == "text/html"
    assert reply.headers["etag"].startswith('"DirIndex-')
    assert "immutable" not in reply.headers["cache-control"]
    assert "Index of" in page
    assert f'<a href="/ipfs/{cids["root"]}/sub/hello.txt">hello.txt</a>' in page
    assert f'href="/ipfs/{cids["hello"]}?filename=hello.txt"' in page
    assert f'<a href="/ipfs/{cids["root"]}/sub/..">..</a>' in page
    assert ">..<" not in world.ask("/ipfs/{root}/").body.decode()
    assert world.ask("/ipfs/{root}/sub/", if_none_match=reply.headers["etag"]).status == 304


def test_names_are_escaped_in_pages_headers_and_redirects(world: World) -> None:
    nasty = '<b>"&\r\nx: y ą%2C'
    hello = world.add(b"hello world")
    below = world.directory(inner=hello)
    block = encode(Node((Link(below[0], nasty, 1),), DIRECTORY))
    cid, _ = world.block(block, 0x70)
    page = world.ask(f"/ipfs/{cid}/").body.decode()
    assert "<b>" not in page
    quoted = "%3Cb%3E%22&%0D%0Ax:%20y%20%C4%85%252C"
    assert world.ask(f"/ipfs/{cid}/{quoted}/inner").body == b"hello world"
    for reply in (world.ask(f"/ipfs/{cid}/{quoted}/inner"), world.ask(f"/ipfs/{cid}/{quoted}")):
        assert not any(set(value) & {"\r", "\n"} for value in reply.headers.values())


def test_index_html_is_the_directory(world: World) -> None:
    reply = world.ask("/ipfs/{site}/")
    assert reply.body == b"<p>index</p>"
    assert reply.headers["content-type"] == "text/html"


def test_a_symlink_is_its_target(world: World) -> None:
    reply = world.ask("/ipfs/{root}/symlink")
    assert (reply.body, reply.headers["content-type"]) == (b"hello.txt", "inode/symlink")


@pytest.mark.parametrize(
    ("asked", "tidy"),
    [
        ("/ipfs/{root}//sub/?a=b", "/ipfs/{root}/sub/?a=b"),
        ("//ipfs/{root}", "/ipfs/{root}"),
        ("/ipfs/{root}/./sub/hello.txt", "/ipfs/{root}/sub/hello.txt"),
        ("/ipfs/{root}/nope/../sub/.", "/ipfs/{root}/sub"),
        ("/ipfs/{root}/%C4%85/../sub%20x", "/ipfs/{root}/sub%20x"),
    ],
)
def test_untidy_paths_are_redirected(world: World, asked: str, tidy: str) -> None:
    reply = world.ask(asked)
    assert (reply.status, reply.headers["location"]) == (307, tidy.format(**world.cids))


def test_data_is_a_page_to_a_browser(world: World) -> None:
    browser = "text/html,application/xhtml+xml,*/*;q=0.8"
    reply = world.ask("/ipfs/{data}", accept=browser)
    assert (reply.status, reply.headers["location"]) == (301, f"/ipfs/{world.cids['data']}/")
    reply = world.ask("/ipfs/{data}/", accept=browser)
    page = reply.body.decode()
    assert reply.headers["content-type"] == "text/html"
    assert "cache-control" not in reply.headers
    assert f'href="/ipfs/{world.cids["hello"]}"' in page
    assert '"?format=raw"' in page
    assert (
        world.ask("/ipfs/{data}/", accept=browser, if_none_match=reply.headers["etag"]).status
        == 304
    )
    assert world.ask("/ipfs/{data}/").headers["content-type"].endswith("dag-cbor")
    assert world.ask("/ipfs/{data}?format=raw", accept=browser).status == 200


def test_a_page_of_data_is_escaped_and_ends(world: World) -> None:
    value = {"<b>": ["</dl><script>"] * 40_000, "bytes": b"\0" * 5000, "deep": {"x": [{"y": None}]}}
    cid, _ = world.block(dagcbor.encode(value), DAG_CBOR)
    page = world.ask(f"/ipfs/{cid}/", accept="text/html").body.decode()
    assert "<b>" not in page
    assert "<script>" not in page
    assert len(page) < 3_000_000


def test_data_is_served_as_it_is_or_converted(world: World) -> None:
    assert world.ask("/ipfs/{data}").headers["content-type"] == "application/vnd.ipld.dag-cbor"
    reply = world.ask("/ipfs/{data}?format=dag-json")
    assert reply.body.decode() == f'{{"n":1,"file":{{"/":"{world.cids["hello"]}"}}}}'
    assert world.ask("/ipfs/{data}/n").status == 501
    assert world.ask("/ipfs/{hello}?format=dag-json").status == 406


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/ipfs/{root}/nope", 404),
        ("/ipfs/{root}/sub/hello.txt/more", 404),
        ("/ipfs/{absent}", 404),
        ("/ipfs/nope", 400),
        ("/ipfs/", 400),
        ("/ipfs/{root}/../..", 400),
        ("/ipns/not.a.key", 500),
        ("/ipfs/{root}?format=car;x", 301),
        ("/ipfs/{hello}?uri=http://x", 400),
    ],
)
def test_failures(world: World, path: str, status: int) -> None:
    assert world.ask(path).status == status


def test_redirections(world: World) -> None:
    cids = world.cids
    reply = world.ask("/ipfs/ipfs/{hello}?a=b")
    assert (reply.status, reply.headers["location"]) == (301, f"/ipfs/{cids['hello']}?a=b")
    reply = world.ask("/ipfs/?uri=ipfs%3A%2F%2F{hello}%2Fx%3Fy")
    assert (reply.status, reply.headers["location"]) == (301, f"/ipfs/{cids['hello']}/x?y")
    peer = "12D3KooWRBy97UB99e3J6hiPesre1MZeuNQvfan4gBziswrRJsNK"
    reply = world.ask(f"/ipns/{peer}/x")
    assert reply.status == 302
    assert reply.headers["location"].startswith("/ipns/k51")
    assert world.ask("/ipfs/{root}", service_worker="script").status == 400


def test_filenames(world: World) -> None:
    reply = world.ask("/ipfs/{hello}?filename=te%C3%9Ft%D1%82.pdf&download=true")
    assert reply.headers["content-disposition"] == (
        "attachment; filename=\"te_t_.pdf\"; filename*=UTF-8''te%C3%9Ft%D1%82.pdf"
    )
    assert reply.headers["content-type"] == "application/pdf"
    reply = world.ask("/ipfs/{hello}?filename=a.txt")
    assert reply.headers["content-disposition"].startswith("inline; ")


def test_names_lead_to_content(world: World) -> None:
    world.publish("/ipfs/" + world.cids["root"] + "/sub")
    reply = world.ask("/ipns/{name}/hello.txt")
    assert reply.body == b"hello world"
    assert reply.headers["cache-control"] == "public, max-age=300"
    assert reply.headers["last-modified"] == "Fri, 15 Jan 2027 08:00:00 GMT"
    assert reply.headers["x-ipfs-path"] == f"/ipns/{world.cids['name']}/hello.txt"
    world.now += 2 * 10**9
    world.publish("/ipfs/" + world.cids["site"], sequence=2)
    assert world.ask("/ipns/{name}/hello.txt").status == 404
    assert world.ask("/ipns/{name}/").body == b"<p>index</p>"


def test_names_that_point_in_a_circle(world: World) -> None:
    world.publish("/ipns/" + world.cids["name"])
    assert world.ask("/ipns/{name}/").status == 400


def tar(world: World, path: str) -> list[tuple[str, int, bytes]]:
    with tarfile.open(fileobj=io.BytesIO(world.ask(path + "?format=tar").body)) as archive:
        return [(m.name, m.size, m.type) for m in archive]


def test_tar(world: World) -> None:
    cids = world.cids
    assert tar(world, "/ipfs/{hello}") == [(cids["hello"], 11, b"0")]
    assert tar(world, "/ipfs/{root}/sub") == [
        (cids["sub"], 0, b"5"),
        (cids["sub"] + "/copy.txt", 11, b"0"),
        (cids["sub"] + "/hello.txt", 11, b"0"),
        (cids["sub"] + "/long", 5000, b"0"),
    ]
    reply = world.ask("/ipfs/{sub}", accept="application/x-tar")
    assert reply.headers["etag"] == f'W/"{cids["sub"]}.x-tar"'
    assert reply.headers["content-type"] == "application/x-tar"
    assert world.ask("/ipfs/{data}?format=tar").status == 400


@pytest.mark.parametrize(("name", "allowed"), [("../x", False), ("a/../b", True), ("/etc/x", True)])
def test_tar_stays_inside_its_root(world: World, name: str, allowed: bool) -> None:
    leaf, _ = world.add(b"evil")
    cid, _ = world.block(encode(Node((Link(leaf, name, 4),), DIRECTORY)), 0x70)
    body = world.ask(f"/ipfs/{cid}?format=tar").body
    assert (b"outside the root are not allowed" in body) is not allowed
    if allowed:
        with tarfile.open(fileobj=io.BytesIO(body)) as archive:
            assert all(member.name.startswith(str(cid)) for member in archive)


class OnDisk(MemoryBlockstore):
    """A store whose blocks also lie in one file, one after the other."""

    path = Path()

    def location(self, cid: CID) -> Location | None:
        offset = 0
        for multihash in self.multihashes():
            if multihash == cid.multihash:
                return Location(self.path, offset, self.size(cid))
            offset += self.size(CID.v1(0x55, multihash))
        return None


@pytest.mark.parametrize("zerocopy", [True, False])
def test_large_content_comes_from_the_disk(world: World, tmp_path: Path, zerocopy: bool) -> None:
    store = OnDisk()
    world.store = store
    data = LONG * 100
    cid, _ = world.add(data)
    store.path = tmp_path / "blocks"
    everything = [store.get(CID.v1(0x55, multihash)) for multihash in store.multihashes()]
    store.path.write_bytes(b"".join(everything))
    world.app = Gateway(store, world.records)
    if zerocopy:
        world.extensions = {"http.response.zerocopysend": {}}
    reply = world.ask(f"/ipfs/{cid}")
    assert reply.body == data
    assert reply.headers["content-length"] == str(len(data))
    assert world.ask(f"/ipfs/{cid}", range="bytes=10-400000").body == data[10:400001]
    assert world.ask(f"/ipfs/{cid}", "HEAD").body == b""


@given(st.text(max_size=20), st.integers(0, 50))
def test_any_range_header_is_understood_or_refused(text: str, size: int) -> None:
    for header in (text, "bytes=" + text):
        found = requested(header, size)
        if isinstance(found, tuple):
            assert 0 <= found[0] < found[1] <= size


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (b"plain", "text/plain; charset=utf-8"),
        (b"", "text/plain; charset=utf-8"),
        (b"\x00\x01", "application/octet-stream"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"  <!DOCTYPE HTML>", "text/html"),
        (b"<svg xmlns=", "image/svg+xml"),
        (b"PK\x03\x04", "application/zip"),
        ("ü".encode() * 300, "text/plain; charset=utf-8"),
        (b"x" + ("ü".encode() * 300)[:511], "text/plain; charset=utf-8"),
        (b"\xff\xfe", "application/octet-stream"),
    ],
)
def test_sniffing(start: bytes, expected: str) -> None:
    assert sniff.by_content(start) == expected
