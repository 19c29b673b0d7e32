"""A mirror of an index that has nothing but HTML: no serials, sizes, times or metadata files."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.simple.fixture_index import FixtureIndex, Switches, sdist, wheel

from dpip import settings
from dpip.app import mirroring
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import Catalog
from dpip.mirror.coverage import Coverage
from dpip.mirror.sync import Limits, Round
from dpip.mirror.tombstones import of_project
from dpip.simple import json_codec

OLD, NEW = wheel("plain", "1.0", requires=["other"]), wheel("plain", "2.0")
SOURCE, OTHER = sdist("plain", "2.0"), wheel("other", "1.0")


def plain(*, hashes: bool, etag: bool) -> FixtureIndex:
    index = FixtureIndex(
        Switches(
            json=False, serial=None, sizes=False, upload_times=False, metadata=False,
            hashes=hashes, etag=etag, ranges=False,
        )
    )  # fmt: skip
    index.add("plain", OLD, SOURCE)
    index.add("other", OTHER)
    index.add("empty")
    return index


def sync(home: Path, index: FixtureIndex) -> tuple[Round, Coverage]:
    config = settings.load({"home": str(home), "index_url": index.url})
    limits = Limits(patience=0.0)
    return asyncio.run(mirroring.sync(config, limits=limits, progress=lambda _: None))


@pytest.mark.parametrize("hashes", [True, False], ids=["hashes", "no hashes"])
@pytest.mark.parametrize("etag", [True, False], ids=["etags", "no etags"])
def test_a_sync_of_it_is_complete_and_later_ones_take_what_changed(
    tmp_path: Path, hashes: bool, etag: bool
) -> None:
    mirroring.write(tmp_path, {})
    with plain(hashes=hashes, etag=etag) as index:
        done, covered = sync(tmp_path, index)
        assert (done.read, done.files, done.problems) == ("root list", 3, [])
        assert covered.complete, covered
        files = index.count("/packages/")
        done, covered = sync(tmp_path, index)
        assert covered.complete
        assert (done.files, index.count("/packages/")) == (0, files)
        index.projects["plain"] = [NEW, SOURCE]
        del index.projects["other"]
        done, covered = sync(tmp_path, index)
        assert (done.files, covered.complete) == (1, True)
        assert covered.gone == {"deleted": 2}
    catalog, archives = Catalog(tmp_path / "catalog.sqlite3"), Archives(tmp_path / "archives")
    assert {file.filename for file in catalog.files("plain")} == {NEW.filename, SOURCE.filename}
    for archive in (OLD, NEW, SOURCE, OTHER):
        found = archives.find(archive.sha256, archive.filename)
        assert found is not None
        assert found.path.read_bytes() == archive.content
    page = catalog.page("plain")
    assert page is not None
    told = {file.filename: file for file in json_codec.decode_project(page.json).files}
    for archive in (NEW, SOURCE):
        file = told[archive.filename]
        assert (file.size, file.sha256) == (len(archive.content), archive.sha256)
    assert [stone.filename for stone in of_project(catalog, "plain")] == [OLD.filename]
    assert catalog.page("other") is None
    catalog.close()


def test_rules_that_need_what_it_does_not_tell_find_it_or_leave_out(tmp_path: Path) -> None:
    mirroring.write(tmp_path, {"metadata": {"requires-dist": ["!other*"]}, "latest": 1})
    with plain(hashes=True, etag=True) as index:
        index.add("plain", NEW)
        _, covered = sync(tmp_path, index)
        assert covered.complete
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    assert {file.filename for file in catalog.files("plain")} == {NEW.filename, SOURCE.filename}
    catalog.close()
    mirroring.write(tmp_path, {"uploaded-after": "2020-01-01T00:00:00Z"})
    with plain(hashes=True, etag=True) as index:
        _, covered = sync(tmp_path, index)
    assert (covered.files, covered.gone) == (0, {"filtered": 3})
