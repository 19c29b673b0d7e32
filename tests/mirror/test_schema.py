"""Catalogs that an earlier version, a newer one, or a bad disk left behind."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from dpip.mirror import schema
from dpip.mirror.catalog import ArchiveRecord, Catalog, PageRecord
from dpip.mirror.schema import CatalogTooNew
from dpip.mirror.totals import totals
from dpip.mirror.worklist import Worklist
from dpip.simple.model import Project
from dpip.simple.render import render

FIRST_LAYOUT = """
CREATE TABLE projects (
  name TEXT PRIMARY KEY, absent INTEGER NOT NULL, confirmed_at REAL NOT NULL,
  etag TEXT, last_modified TEXT, serial INTEGER, status TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE pages (
  name TEXT PRIMARY KEY, etag TEXT NOT NULL, serial INTEGER,
  html_gzip BLOB NOT NULL, json_gzip BLOB NOT NULL
);
CREATE TABLE files (
  key TEXT NOT NULL, filename TEXT NOT NULL, project TEXT NOT NULL, sha256 TEXT, size INTEGER,
  url TEXT NOT NULL, metadata_sha256 TEXT, sidecar INTEGER NOT NULL, listed INTEGER NOT NULL,
  PRIMARY KEY (key, filename)
) WITHOUT ROWID;
CREATE INDEX files_by_project ON files (project);
CREATE TABLE archives (
  sha256 TEXT PRIMARY KEY, filename TEXT NOT NULL, size INTEGER NOT NULL, cid TEXT,
  origin TEXT NOT NULL, stored_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE metadata (sha256 TEXT PRIMARY KEY, body BLOB NOT NULL);
CREATE TABLE routes (pattern TEXT PRIMARY KEY, source TEXT NOT NULL) WITHOUT ROWID;
PRAGMA user_version=1;
"""


def filled_first_layout(path: Path) -> None:
    page = render(Project("flask"))
    with sqlite3.connect(path) as database:
        database.executescript(FIRST_LAYOUT)
        database.execute("INSERT INTO projects VALUES ('flask',0,1.0,NULL,NULL,7,'active')")
        database.execute(
            "INSERT INTO pages VALUES ('flask',?,7,?,?)",
            (page.etag, page.html_gzip, page.json_gzip),
        )
        database.execute("INSERT INTO archives VALUES ('aa','f.whl',40,NULL,'upstream',1)")
    database.close()


def test_a_catalog_of_the_first_layout_is_brought_along(tmp_path: Path) -> None:
    filled_first_layout(tmp_path / "catalog")
    catalog = Catalog(tmp_path / "catalog")
    assert catalog.set_aside is None
    record = catalog.record("flask")
    assert record is not None
    assert (record.serial, record.source) == (7, "upstream")
    assert catalog.page("flask") is not None
    assert totals(catalog) == {"pages": 1, "archives": 1, "archive_bytes": 40}
    assert Worklist(catalog).counts() == {"followed": 0, "due": 0, "failing": 0}
    catalog.close()
    again = Catalog(tmp_path / "catalog")
    assert totals(again)["pages"] == 1
    again.close()


def test_a_damaged_catalog_of_the_first_layout_is_salvaged(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    filled_first_layout(path)
    schema.mark_damaged(path)
    catalog = Catalog(path)
    assert catalog.set_aside == tmp_path / "catalog.damaged-1.sqlite3"
    record = catalog.record("flask")
    assert record is not None
    assert record.source == "upstream"
    assert totals(catalog) == {"pages": 1, "archives": 1, "archive_bytes": 40}
    catalog.close()


def test_a_newer_catalog_is_left_alone(tmp_path: Path) -> None:
    Catalog(tmp_path / "catalog").close()
    with sqlite3.connect(tmp_path / "catalog") as database:
        database.execute(f"PRAGMA user_version={schema.VERSION + 1}")
    database.close()
    with pytest.raises(CatalogTooNew):
        Catalog(tmp_path / "catalog")


def test_totals_follow_what_comes_and_goes(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog")
    page = render(Project("a"))
    for name in ("a", "b", "a"):
        catalog.put_page(PageRecord(name, 1.0), replace(page, name=name), []).result()
    for sha256, size in (("1", 10), ("2", 5), ("1", 10)):
        record = ArchiveRecord(sha256 * 64, "f.whl", size, None, "upstream", 1.0)
        catalog.put_archive(record).result()
    assert totals(catalog) == {"pages": 2, "archives": 2, "archive_bytes": 15}
    catalog.put_record(PageRecord("a", 2.0, absent=True)).result()
    catalog.drop_archive("1" * 64).result()
    assert totals(catalog) == {"pages": 1, "archives": 1, "archive_bytes": 5}
    catalog.close()
