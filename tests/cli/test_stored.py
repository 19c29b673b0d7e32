"""`dpip pin`, `dpip gc` and `dpip fsck` on a home's store."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.ipfs.archive import made

from dpip.cli.main import main
from dpip.ipfs.disk.archives import Archive
from dpip.mirror.catalog import ArchiveRecord, Catalog, FileRecord, PageRecord
from dpip.mirror.store import opened
from dpip.mirror.tombstones import Reason
from dpip.simple.repository import StoredPage

NAME = "demo-1.0-py3-none-any.whl"


def home() -> Path:
    return Path(os.environ["DPIP_HOME"])


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    source = tmp_path / "incoming"
    source.write_bytes(made.wheel())
    with opened(home()) as archives:
        return archives.add(source, hashlib.sha256(made.wheel()).hexdigest(), NAME)


def answer(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> Any:
    capsys.readouterr()
    assert main([*words, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_pins_by_name_hash_and_cid(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    for word in (NAME, archive.sha256, str(archive.root), f"/ipfs/{archive.root}"):
        assert answer(capsys, "pin", "add", word, "--name", "kept") == {
            "pinned": [str(archive.root)]
        }
    assert answer(capsys, "pin", "list") == [
        {"cid": str(archive.root), "name": "archive"},
        {"cid": str(archive.root), "name": "kept"},
    ]
    answer(capsys, "pin", "rm", NAME, "--name", "kept")
    answer(capsys, "pin", "rm", NAME, "--name", "kept", code=1)


def test_gc_keeps_the_cache_unless_told(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    now = ("--grace", "-60")
    assert answer(capsys, "gc", *now)["archives"] == 0
    planned = answer(capsys, "gc", "--cache", "--dry-run", *now)
    assert (planned["archives"], planned["dry_run"]) == (1, True)
    done = answer(capsys, "gc", "--cache", *now)
    assert (done["archives"], done["blocks"]) == (1, planned["blocks"])
    with opened(home()) as archives:
        assert list(archives.listing()) == []


def test_gc_keeps_the_size_limit_and_first_says_what_would_go(
    archive: Archive, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = ("--grace", "-60")
    monkeypatch.setenv("DPIP_STORE_SIZE", "1000000000")
    assert answer(capsys, "gc", *now)["over_limit"] == []
    monkeypatch.setenv("DPIP_STORE_SIZE", "1")
    assert answer(capsys, "gc")["over_limit"] == [], "it was used just now"
    planned = answer(capsys, "gc", "--dry-run", *now)
    assert planned["over_limit"] == [NAME]
    assert main(["gc", "--dry-run", *now]) == 0
    assert f"over the limit, would remove: {NAME}" in capsys.readouterr().out
    done = answer(capsys, "gc", *now)
    assert (done["over_limit"], done["freed"], done["size"]) == ([NAME], planned["size"], 0)
    with opened(home()) as archives:
        assert list(archives.listing()) == []
    assert answer(capsys, "fsck")["findings"] == []


def listed(archive: Archive, name: str) -> tuple[PageRecord, StoredPage, list[FileRecord]]:
    """Return a project's page that lists the archive."""
    file = FileRecord(archive.sha256, NAME, name, "https://x.invalid/" + NAME, archive.sha256)
    page = StoredPage(name, b"", b"", b"", b"", '"1"')
    return PageRecord(name, 1.0), page, [file]


@pytest.mark.parametrize(
    ("reason", "words", "goes"),
    [
        (Reason.FILTERED, (), True),
        (Reason.DELETED, (), False),
        (Reason.DELETED, ("--deleted",), True),
        (Reason.REPLACED, ("--deleted",), True),
        (Reason.QUARANTINED, ("--deleted",), False),
    ],
)
def test_gc_lets_go_of_what_a_mirror_left_out(
    archive: Archive,
    capsys: pytest.CaptureFixture[str],
    reason: Reason,
    words: tuple[str, ...],
    goes: bool,
) -> None:
    now = ("--grace", "-60")
    with closing(Catalog(home() / "catalog.sqlite3")) as catalog:
        catalog.put_page(*listed(archive, "demo")).result()
        catalog.put_archive(
            ArchiveRecord(archive.sha256, NAME, archive.size, None, "x", 1.0)
        ).result()
        assert answer(capsys, "gc", "--deleted", *now)["archives"] == 0, "it is listed"
        catalog.put_record(PageRecord("demo", 2.0, absent=True), reason=reason).result()
        catalog.put_page(*listed(archive, "other")).result()
        assert answer(capsys, "gc", "--deleted", *now)["archives"] == 0, "another page lists it"
        catalog.put_record(PageRecord("other", 3.0, absent=True), reason=reason).result()
        assert answer(capsys, "gc", *words)["archives"] == 0, "it was used just now"
        assert answer(capsys, "gc", "--dry-run", *words, *now)["archives"] == int(goes)
        assert answer(capsys, "gc", *words, *now)["archives"] == int(goes)
        assert (catalog.archive(archive.sha256) is None) is goes
    with opened(home()) as archives:
        assert (archives.find(archive.sha256) is None) is goes
    assert answer(capsys, "fsck")["findings"] == []


def test_gc_keeps_what_a_mirror_left_out_and_a_person_pinned(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(Catalog(home() / "catalog.sqlite3")) as catalog:
        catalog.put_page(*listed(archive, "demo")).result()
        absent = PageRecord("demo", 2.0, absent=True)
        catalog.put_record(absent, reason=Reason.FILTERED).result()
    answer(capsys, "pin", "add", NAME)
    assert answer(capsys, "gc", "--grace", "-60")["archives"] == 0
    answer(capsys, "pin", "rm", NAME)
    assert answer(capsys, "gc", "--grace", "-60")["archives"] == 1


def test_what_a_person_pinned_outlives_the_cache(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    answer(capsys, "pin", "add", NAME)
    assert answer(capsys, "gc", "--cache", "--grace", "-60")["archives"] == 0
    with opened(home()) as archives:
        assert archives.open(archive.sha256).read_bytes() == made.wheel()


def test_fsck_is_clean_then_finds_then_repairs(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(capsys, "fsck")["findings"] == []
    with opened(home()) as archives:
        archives.whole(archive).write_bytes(b"rotten")
    assert answer(capsys, "fsck", code=1)["findings"][0]["kind"] == "damaged-archive"
    assert answer(capsys, "fsck", "--repair")["findings"][0]["repaired"]
    assert answer(capsys, "fsck")["findings"] == []


def test_a_damaged_index_is_told_and_made_again(
    archive: Archive, capsys: pytest.CaptureFixture[str]
) -> None:
    (home() / "blocks" / "index.sqlite").write_bytes(b"SQLite format 3\0" + b"garbage" * 999)
    assert main(["pin", "list"]) == 1
    assert "dpip fsck --repair" in capsys.readouterr().err
    assert answer(capsys, "fsck", "--repair")["index_remade"]
    assert len(answer(capsys, "pin", "list")) == 1


def test_words_that_mean_nothing_are_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["pin", "add", "no-such-thing"]) == 2
    assert main(["pin", "add"]) == 2
    assert "no archive of that name" in capsys.readouterr().err


def test_people_get_lines(archive: Archive, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fsck"]) == 0
    assert main(["gc", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("clean\nwould remove 0 archives")
