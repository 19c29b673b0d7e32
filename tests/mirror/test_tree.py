from __future__ import annotations

from dpip.ipfs import files
from dpip.ipfs.blockstore import MemoryBlockstore
from dpip.ipfs.cid import CID
from dpip.ipfs.directory import Directory
from dpip.mirror.tree import (
    HEAD,
    TAIL,
    Held,
    names_leaf,
    published_page,
    put_file,
    put_part,
    root_page,
    write_project,
)
from dpip.simple import html_codec, json_codec
from dpip.simple.model import File, Project

PAGE = Project(
    "thing",
    (
        File("thing-1-py3-none-any.whl", "https://elsewhere/1", {"sha256": "0" * 64}, size=3),
        File("thing-2-py3-none-any.whl", "https://elsewhere/2", {"sha256": "1" * 64}, size=3),
    ),
    versions=("1", "2"),
)


def content(store: MemoryBlockstore, cid: CID) -> bytes:
    return b"".join(files.read(store, cid))


def test_a_page_lists_what_lies_beside_it() -> None:
    store = MemoryBlockstore()
    link = put_file(store, b"whl")
    held = {"thing-2-py3-none-any.whl": Held(link.cid, link.tsize, b"Name: thing\n")}
    page = published_page(PAGE, held)
    assert [(file.url, file.core_metadata) for file in page.files] == [
        ("thing-2-py3-none-any.whl", {})
    ]
    directory = Directory.load(store, write_project(store, PAGE, held).cid)
    names = [entry.name for entry in directory.entries()]
    assert names == [
        "index.html",
        "index.json",
        "thing-2-py3-none-any.whl",
        "thing-2-py3-none-any.whl.metadata",
    ]
    entries = {entry.name: entry.cid for entry in directory.entries()}
    assert content(store, entries["thing-2-py3-none-any.whl"]) == b"whl"
    assert content(store, entries["thing-2-py3-none-any.whl.metadata"]) == b"Name: thing\n"
    html = html_codec.decode_project(content(store, entries["index.html"]), name="thing")
    json = json_codec.decode_project(content(store, entries["index.json"]))
    assert [file.filename for file in html.files] == [file.filename for file in json.files]


def test_the_root_page_is_its_leaves_in_order() -> None:
    store = MemoryBlockstore()
    leaves = [names_leaf(["aa", "aa-2"]), names_leaf(["b"])]
    link = root_page(store, [put_part(store, leaf) for leaf in leaves])
    whole = content(store, link.cid)
    assert whole == HEAD + b"".join(leaves) + TAIL
    assert whole.index(b'"aa/"') < whole.index(b'"aa-2/"') < whole.index(b'"b/"')
