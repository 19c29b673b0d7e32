"""Which files are not for everybody, by their keys and by their blocks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from dpip.ipfs.cid import CID, DAG_PB, RAW
from dpip.mirror.apart import Apart
from dpip.mirror.catalog import Catalog, FileRecord, PageRecord
from dpip.mirror.store import opened
from dpip.simple.model import Project
from dpip.simple.render import render
from dpip.simple.routing import DEFAULT_SOURCE, Routes

A, B, C = "a" * 64, "b" * 64, "c" * 64


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path / "catalog.sqlite3")) as found:
        yield found


def lists(catalog: Catalog, project: str, *keys: str) -> None:
    """Have the catalog know a page with these files."""
    files = [
        FileRecord(key, f"{project}-{n}.tar.gz", project, "u", key) for n, key in enumerate(keys)
    ]
    page = render(Project(project))
    catalog.put_page(PageRecord(project, 1.0), page, files).result()


def apart_by(catalog: Catalog, home: Path, table: dict[str, str]) -> Apart:
    routes = Routes.from_patterns(table)
    with opened(home) as archives:
        apart = Apart(catalog, archives, lambda name: routes.source_of(name) != DEFAULT_SOURCE)
    apart.follow(routes)
    return apart


def test_nothing_is_apart_where_nothing_is_routed(catalog: Catalog, tmp_path: Path) -> None:
    lists(catalog, "demo", A)
    apart = apart_by(catalog, tmp_path, {"demo": DEFAULT_SOURCE})
    assert not apart
    assert not apart.hides(A)


def test_names_and_families_are_apart_with_all_their_files(
    catalog: Catalog, tmp_path: Path
) -> None:
    lists(catalog, "tool", A)
    lists(catalog, "acme", B)
    lists(catalog, "acme-z", C)
    lists(catalog, "acmeology", "d" * 64)
    apart = apart_by(catalog, tmp_path, {"tool": "private", "acme-*": "https://inner/simple/"})
    assert [apart.hides(key) for key in (A, B, C, "d" * 64)] == [True, True, True, False]


def test_a_file_of_a_public_name_too_is_for_everybody(catalog: Catalog, tmp_path: Path) -> None:
    lists(catalog, "tool", A)
    apart = apart_by(catalog, tmp_path, {"tool": "private"})
    assert apart.hides(A)
    lists(catalog, "demo", A)
    assert not apart.hides(A)


def test_a_page_that_comes_is_apart_before_it_is_shown(catalog: Catalog, tmp_path: Path) -> None:
    apart = apart_by(catalog, tmp_path, {"tool": "private"})
    apart.listed([FileRecord("url-1", "tool-1.tar.gz", "tool", "u", B)])
    assert apart.hides("url-1")
    assert apart.hides(B)
    block = CID.v1(RAW, bytes.fromhex("1220" + B))
    assert apart.hides_block(block)
    assert apart.hides_block(CID.v1(DAG_PB, block.multihash)), "the same bytes"
    assert not apart.hides_block(CID.v1(RAW, bytes.fromhex("1220" + A)))


def test_everything_is_apart_where_all_is_routed(catalog: Catalog, tmp_path: Path) -> None:
    lists(catalog, "demo", A)
    apart = apart_by(catalog, tmp_path, {"*": "https://inner/simple/"})
    assert apart
    assert apart.hides(A)
    assert apart.hides(B), "nobody knows it"
