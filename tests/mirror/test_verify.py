from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.simple.fixture_index import wheel

from dpip.ipfs.disk.archives import Archives as Contents
from dpip.mirror import verify
from dpip.mirror.archives import Archives
from dpip.mirror.catalog import ArchiveRecord, Catalog, FileRecord, PageRecord
from dpip.mirror.store import opened
from dpip.mirror.verify import Depth, Verifier
from dpip.mirror.worklist import Worklist
from dpip.simple.model import Project
from dpip.simple.render import render


class Home:
    """A home with stored archives, of which some may be taken apart."""

    def __init__(self, folder: Path, contents: Contents) -> None:
        self.catalog = Catalog(folder / "catalog.sqlite3")
        self.archives = Archives(folder / "archives")
        self.contents = contents
        ticks = itertools.count()
        self.verifier = Verifier(self.catalog, self.archives, contents, lambda: float(next(ticks)))

    def store(self, name: str, size: int = 1000) -> str:
        archive = wheel(name, "1.0", size=size)
        part = self.archives.part(name)
        part.write_bytes(archive.content)
        self.archives.keep(part, archive.sha256, archive.filename)
        record = ArchiveRecord(
            archive.sha256, archive.filename, len(archive.content), None, "upstream", 0.0
        )
        self.catalog.put_archive(record).result()
        file = FileRecord(archive.sha256, archive.filename, name, "", archive.sha256)
        self.catalog.put_page(PageRecord(name, 0.0), render(Project(name)), [file]).result()
        return archive.sha256

    def path(self, sha256: str) -> Path:
        whole = self.archives.find(sha256, "any")
        assert whole is not None
        return whole.path

    def take_apart(self, sha256: str) -> None:
        path = self.path(sha256)
        self.contents.add(path, sha256, path.name)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with opened(tmp_path) as contents:
        made = Home(tmp_path, contents)
        yield made
        made.catalog.close()


@pytest.mark.parametrize("depth", list(Depth))
def test_a_sound_store(home: Home, depth: Depth) -> None:
    for name in ("a", "b", "c"):
        home.store(name)
    done = home.verifier.run(depth, share=1.0)
    assert (done.checked, done.wrong) == (3, [])
    assert (done.size > 0) is (depth is not Depth.QUICK)


def test_what_each_depth_finds(home: Home) -> None:
    lost, cut, flipped = home.store("lost"), home.store("cut"), home.store("flipped")
    home.path(lost).unlink()
    home.path(cut).write_bytes(b"short")
    damaged = bytearray(home.path(flipped).read_bytes())
    damaged[100] ^= 1
    home.path(flipped).write_bytes(damaged)
    quick = {one.sha256: one.kind for one in home.verifier.run(Depth.QUICK).wrong}
    assert quick == {lost: "missing", cut: "different"}
    full = {one.sha256: one.found for one in home.verifier.run(Depth.FULL).wrong}
    assert full == {lost: None, cut: None, flipped: hashlib.sha256(damaged).hexdigest()}


def test_archives_that_were_taken_apart_are_made_again(home: Home) -> None:
    sha256 = home.store("thing", size=100_000)
    home.take_apart(sha256)
    done = home.verifier.run(Depth.FULL)
    assert (done.rebuilt, done.wrong) == (1, [])
    home.path(sha256).unlink()
    done = home.verifier.run(Depth.FULL)
    assert (done.rebuilt, done.wrong) == (1, [])


def test_a_full_run_goes_on_where_it_stopped(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify, "NOTED", 2)
    stored = sorted(home.store(f"p{number}") for number in range(5))
    home.path(stored[0]).unlink()

    def stop(state: verify.Verified) -> None:
        if state.checked == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        home.verifier.run(Depth.FULL, progress=stop)
    again: list[str] = []
    done = home.verifier.run(Depth.FULL, progress=lambda state: again.append(state.last))
    assert again == stored[2:]
    assert (done.resumed, done.checked) == (True, 5)
    assert [one.sha256 for one in done.wrong] == [stored[0]], "what was found before is kept"
    assert not home.verifier.run(Depth.FULL).resumed


def test_repair_makes_the_project_due(home: Home) -> None:
    sha256 = home.store("thing")
    home.path(sha256).write_bytes(b"rot")
    wrong = home.verifier.run(Depth.FULL).wrong
    assert home.verifier.forget(wrong, 1.0) == 1
    assert home.catalog.archive(sha256) is None
    assert [one.name for one in Worklist(home.catalog).due(2.0, 9)] == ["thing"]
    assert not home.verifier.run(Depth.FULL).wrong
