from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dpip.mirror.catalog import ArchiveRecord, Catalog, FileRecord, PageRecord
from dpip.simple.model import Project
from dpip.simple.render import render


def test_changes_are_followed_by_their_sequence(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog")
    page = render(Project("a"))
    for name in ("a", "b", "a"):
        catalog.put_page(PageRecord(name, 1.0), replace(page, name=name), []).result()
    first = catalog.changed_since(0)
    assert [name for _, name in first] == ["b", "a"]
    listed = FileRecord("0" * 64, "b-1.tar.gz", "b", "elsewhere", "0" * 64)
    catalog.put_page(PageRecord("b", 2.0), replace(page, name="b"), [listed]).result()
    cursor = catalog.changed_since(first[-1][0])[-1][0]
    archive = ArchiveRecord("0" * 64, "b-1.tar.gz", 1, None, "upstream", 3.0)
    catalog.put_archive(archive).result()
    catalog.put_record(PageRecord("a", 4.0, absent=True)).result()
    catalog.put_record(PageRecord("b", 5.0)).result()
    assert [name for _, name in catalog.changed_since(cursor)] == ["b", "a"]
    assert catalog.changed_since(cursor, limit=1)[0][1] == "b"
    catalog.close()


def test_a_catalog_made_anew_is_another_epoch(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "one")
    epoch = catalog.epoch
    catalog.close()
    again, other = Catalog(tmp_path / "one"), Catalog(tmp_path / "other")
    assert again.epoch == epoch
    assert other.epoch != epoch
    again.close()
    other.close()
