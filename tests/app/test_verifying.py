"""Comparing a whole home: what it finds, and that a run that was killed goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.app.nodes import dpip, node
from tests.federation.processes import fetch, until
from tests.simple.attesting import Maker
from tests.simple.fixture_index import Archive, FixtureIndex, wheel

from dpip.app import verifying
from dpip.app.verify_journal import NAME, Batch, Journal
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import ArchiveRecord, Catalog
from dpip.mirror.differences import Difference
from dpip.mirror.private import Private
from dpip.mirror.store import opened
from dpip.simple.distribution import Distribution
from dpip.simple.upload import Upload

PROJECTS = 60


def mirrored(home: Path, index: FixtureIndex, count: int) -> None:
    for number in range(count):
        name = f"demo-{number:03}"
        index.add(name, wheel(name, "1.0"))
    made = dpip("mirror", "init", "--home", str(home), "--index-url", index.url)
    assert made.returncode == 0, made.stderr
    done = dpip("mirror", "sync", "--home", str(home))
    assert done.returncode == 0, done.stderr


def verify(home: Path, *words: str) -> tuple[int, dict[str, Any]]:
    done = dpip("verify", "--home", str(home), "--json", *words)
    return done.returncode, json.loads(done.stdout)


def killed_after_a_batch(home: Path) -> None:
    """Run a comparison and kill it once it has noted something."""
    command = [sys.executable, "-m", "dpip", "verify", "--home", str(home)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=dict(os.environ))
    deadline = time.monotonic() + 60
    while not (home / NAME).exists() or (home / NAME).read_bytes().count(b"\n") < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None, "it ended before it could be killed"
        time.sleep(0.02)
    process.kill()
    process.wait()


def test_a_run_that_was_killed_goes_on_and_forgets_nothing(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        mirrored(tmp_path, index, PROJECTS)
        extra = index.projects["demo-000"].pop()
        index.add("demo-000", wheel("demo-000", "2.0"))
        index.switches.delay = 0.25
        killed_after_a_batch(tmp_path)
        index.switches.delay = 0
        index.requests.clear()
        code, found = verify(tmp_path)
        assert (code, found["projects"], found["total"]) == (1, PROJECTS, PROJECTS)
        assert found["resumed"] >= verifying.BATCH
        assert index.count("/simple/demo-000") == 0, "what was compared is not compared again"
        kinds = {(one["kind"], one["filename"]) for one in found["differences"]}
        assert ("extra", extra.filename) in kinds
        assert not (tmp_path / NAME).exists()
        code, again = verify(tmp_path)
        assert (code, again["resumed"], again["projects"]) == (1, 0, PROJECTS)


def test_restart_and_another_question_begin_anew(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "this")
    assert journal.resume() is None
    journal.note(Batch(last="a", projects=1))
    assert Journal(tmp_path, "that").resume() is None
    assert Journal(tmp_path, "this").resume() is None, "the other question has replaced it"
    journal.note(Batch(last="a", projects=1))
    journal.end()
    assert journal.resume() is None


@settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(batches=st.integers(1, 6), cut=st.integers(0, 400))
def test_a_journal_cut_anywhere_keeps_whole_lines(tmp_path: Path, batches: int, cut: int) -> None:
    journal = Journal(tmp_path, "question")
    journal.end()
    journal.resume()
    one = Difference("extra", "p", "f", None, "b", None, "line\nbreak")
    for number in range(batches):
        journal.note(Batch(last=f"p{number}", projects=2, differences=[one]))
    path = tmp_path / NAME
    path.write_bytes(path.read_bytes()[: -cut or None])
    found = journal.resume()
    journal.note(Batch(last="z", projects=1))
    after = journal.resume()
    assert after is not None
    kept = 0 if found is None else found.projects
    assert kept % 2 == 0
    assert (after.last, after.projects) == ("z", kept + 1)
    assert after.differences == [one] * (kept // 2)


def test_archives_that_were_taken_apart_are_hashed_and_not_put_back(tmp_path: Path) -> None:
    archive = wheel("demo", "1.0", size=50_000)
    with FixtureIndex() as index:
        index.add("demo", archive)
        dpip("mirror", "init", "--home", str(tmp_path), "--index-url", index.url)
        assert dpip("mirror", "sync", "--home", str(tmp_path)).returncode == 0
        with opened(tmp_path) as archives:
            place = archives.place(archive.sha256, archive.filename)
            archives.add(place, archive.sha256, archive.filename)
            place.unlink()
        code, found = verify(tmp_path, "demo")
        assert (code, found["size"]) == (0, len(archive.content))
        assert not place.exists()
        with opened(tmp_path) as archives:
            known = archives.find(archive.sha256)
            assert known is not None
            assert known.recipe is not None
            archives.store.delete([known.recipe])
        code, found = verify(tmp_path, "demo")
        assert code == 1
        assert "cannot be made again" in str(found["problems"])
        [difference] = found["differences"]
        assert (difference["kind"], difference["index"]) == ("missing", archive.sha256)


def test_archives_that_no_page_lists_are_extra(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        mirrored(tmp_path, index, 1)
        index.projects["demo-000"].clear()
        index.add("demo-000", wheel("demo-000", "2.0"))
        index.switches.serial = 2000
        assert dpip("mirror", "sync", "--home", str(tmp_path)).returncode == 0
        assert verify(tmp_path)[0] == 0, "what upstream deleted has a tombstone"
        stray, uploaded = wheel("stray", "1.0"), wheel("ours", "1.0")
        put(tmp_path, stray)
        with closing(Private(tmp_path / "private.sqlite3")) as private:
            put(tmp_path, uploaded)
            about = Distribution(uploaded.filename, "ours", "1.0", True, b"", None)
            upload = Upload(about, tmp_path, len(uploaded.content), uploaded.sha256, "me")
            private.add(upload, "2026-01-01T00:00:00Z")
        code, found = verify(tmp_path)
    [difference] = found["differences"]
    assert (code, difference["kind"], difference["filename"]) == (1, "extra", stray.filename)
    assert difference["store"] == stray.sha256


def put(home: Path, archive: Archive) -> None:
    """Store an archive behind the catalog's pages."""
    archives = Archives(home / "archives")
    part = archives.part(archive.sha256)
    part.write_bytes(archive.content)
    archives.keep(part, archive.sha256, archive.filename)
    with closing(Catalog(home / "catalog.sqlite3")) as catalog:
        size = len(archive.content)
        record = ArchiveRecord(archive.sha256, archive.filename, size, None, "upstream", 0.0)
        catalog.put_archive(record).result()


def test_what_could_not_be_compared_is_told_apart(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        mirrored(tmp_path, index, 1)
    code, found = verify(tmp_path)
    assert (code, found["differences"]) == (9, [])
    assert "upstream was not asked" in str(found["problems"])
    assert verify(tmp_path, "--offline")[0] == 0


@pytest.mark.parametrize("percent", ["0", "-1", "101"])
def test_a_sample_is_a_percentage(tmp_path: Path, percent: str) -> None:
    done = dpip("mirror", "verify", "--sample", percent, "--home", str(tmp_path))
    assert done.returncode == 2
    assert "percentage" in done.stderr


def test_attestations_are_checked_by_a_trusted_root(tmp_path: Path) -> None:
    archive = wheel("demo", "1.0")
    maker = Maker(filename=archive.filename, sha256=archive.sha256)
    root = tmp_path / "root.json"
    root.write_bytes(maker.trusted_root())
    with FixtureIndex() as index:
        index.add("demo", archive)
        index.provenance[archive.filename] = maker.provenance()
        dpip("mirror", "init", "--home", str(tmp_path), "--index-url", index.url)
        assert dpip("mirror", "sync", "--home", str(tmp_path)).returncode == 0
        words = ("verify", "--home", str(tmp_path), "--provenance", "demo")
        without = dpip(*words)
        assert without.returncode == 0, without.stdout
        assert "statement, signature, identity checked; not log, certificate" in without.stdout
        rooted = dpip(*words, DPIP_TRUSTED_ROOT=str(root))
        assert rooted.returncode == 0, rooted.stdout
        assert "identity, log, certificate checked" in rooted.stdout
        root.write_bytes(Maker().trusted_root())
        foreign = dpip(*words, DPIP_TRUSTED_ROOT=str(root))
        assert foreign.returncode == 1
        assert "no log of the trusted root" in foreign.stdout
        root.write_bytes(b"{}")
        broken = dpip(*words, DPIP_TRUSTED_ROOT=str(root))
        assert (broken.returncode, "Traceback" in broken.stderr) == (2, False)


def test_attestations_are_kept_for_when_upstream_is_away(tmp_path: Path) -> None:
    archive = wheel("demo", "1.0")
    maker = Maker(filename=archive.filename, sha256=archive.sha256)
    root = tmp_path / "root.json"
    root.write_bytes(maker.trusted_root())
    home, said = tmp_path / "home", maker.provenance()
    with FixtureIndex() as index:
        index.add("demo", archive)
        index.provenance[archive.filename] = said
        address = f"integrity/{archive.sha256}/{archive.filename}"
        with node(home, "--index-url", index.url) as running:
            fetch(f"{running.url}/simple/demo/")
            assert fetch(f"{running.url}/files/{archive.sha256}/{archive.filename}")
            until(lambda: index.count("/integrity/"))
            assert fetch(f"{running.url}/{address}") == said
            assert index.count("/integrity/") == 1
        flags = ("--home", str(home), "--provenance", "demo")
        index.stop()
        with node(home, "--index-url", index.url) as running:
            assert fetch(f"{running.url}/{address}") == said
        checked = dpip("verify", *flags, DPIP_TRUSTED_ROOT=str(root), DPIP_OFFLINE="1")
        assert "identity, log, certificate checked" in checked.stdout, checked.stdout


def test_what_is_no_provenance_object_is_neither_given_nor_kept(tmp_path: Path) -> None:
    archive = wheel("demo", "1.0")
    with FixtureIndex() as index, node(tmp_path, "--index-url", index.url) as running:
        index.add("demo", archive)
        index.provenance[archive.filename] = b"<html>moved</html>"
        fetch(f"{running.url}/simple/demo/")
        assert fetch(f"{running.url}/files/{archive.sha256}/{archive.filename}")
        for path, code in (
            (f"{archive.sha256}/{archive.filename}", 502),
            (f"{'0' * 64}/{archive.filename}", 404),
        ):
            with pytest.raises(urllib.error.HTTPError) as failed:
                fetch(f"{running.url}/integrity/{path}")
            failed.value.close()
            assert failed.value.code == code
