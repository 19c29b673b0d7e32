from __future__ import annotations

import hashlib
import random
import threading
from pathlib import Path

import pytest
from tests.ipfs.archive import made
from tests.ipfs.disk.conftest import Adder, Clock

from dpip.ipfs.archive import encoders
from dpip.ipfs.cid import CID
from dpip.ipfs.disk import hot
from dpip.ipfs.disk.archives import Archives
from dpip.ipfs.errors import HashMismatch, InvalidArgument, NotFound
from dpip.ipfs.importer import FileHasher

WHEEL, SDIST = made.wheel(), made.sdist()


def test_an_archive_is_whole_then_a_recipe_then_whole_again(
    add: Adder, archives: Archives, clock: Clock
) -> None:
    for data, name in ((WHEEL, "demo-1.0-py3-none-any.whl"), (SDIST, "demo-1.0.tar.gz")):
        archive = add(data, name)
        assert archives.whole(archive).read_bytes() == data
        clock.now += 1000
        assert hot.trim(archives, 0).dropped >= 1
        assert not archives.whole(archive).exists()
        assert archives.open(archive.sha256).read_bytes() == data
        assert archives.open(archive.sha256).name == name


def test_profile_cid_is_that_of_ipfs_add(add: Adder) -> None:
    hasher = FileHasher()
    hasher.update(WHEEL)
    assert add(WHEEL).profile == hasher.finish().cid


def test_the_least_recently_used_goes_first(add: Adder, archives: Archives, clock: Clock) -> None:
    one, two = add(WHEEL), add(made.wheel(level=9), "two.whl")
    clock.now += 1000
    archives.open(one.sha256)
    clock.now += 1000
    trimmed = hot.trim(archives, one.size)
    assert (trimmed.dropped, trimmed.freed, trimmed.size) == (1, two.size, one.size)
    assert [archive.sha256 for archive in archives.present()] == [one.sha256]


def test_what_was_just_opened_stays(add: Adder, archives: Archives) -> None:
    add(WHEEL)
    assert hot.trim(archives, 0).dropped == 0


def test_what_cannot_be_taken_apart_stays_whole(
    add: Adder, archives: Archives, clock: Clock
) -> None:
    noise = random.Random(5).randbytes(5000)
    archive = add(noise, "noise.bin")
    assert archive.recipe is None
    clock.now += 1000
    assert hot.trim(archives, 0).dropped == 0
    assert archives.open(archive.sha256).read_bytes() == noise


def test_nothing_is_dropped_where_the_encoder_has_changed(
    add: Adder, archives: Archives, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = add(WHEEL)
    clock.now += 1000
    monkeypatch.setitem(encoders.ALL, "zlib:6", encoders.Zlib(1))
    encoders.probe.cache_clear()
    trimmed = hot.trim(archives, 0)
    encoders.probe.cache_clear()
    assert (trimmed.dropped, trimmed.refused) == (0, 1)
    assert archives.whole(archive).exists()


def test_a_proof_is_not_made_twice(
    add: Adder, archives: Archives, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = add(WHEEL)
    clock.now += 1000
    hot.trim(archives, 0)
    archives.open(archive.sha256)
    clock.now += 1000
    monkeypatch.setattr("dpip.ipfs.archive.rebuild.rebuild", lambda *_: pytest.fail("made again"))
    assert hot.trim(archives, 0).dropped == 1


def test_wrong_bytes_are_refused(archives: Archives, tmp_path: Path) -> None:
    (tmp_path / "wrong").write_bytes(b"wrong")
    with pytest.raises(HashMismatch):
        archives.add(tmp_path / "wrong", "0" * 64, "wrong.whl")
    assert list(archives.listing()) == []
    assert list((tmp_path / "blocks" / "arriving").iterdir()) == []


@pytest.mark.parametrize("name", ["../escape.whl", "a/b.whl", "a\\b.whl", ".hidden", "", "a\0b"])
def test_names_that_are_paths_are_refused(archives: Archives, tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_bytes(WHEEL)
    with pytest.raises(InvalidArgument):
        archives.add(tmp_path / "file", hashlib.sha256(WHEEL).hexdigest(), name)


@pytest.mark.parametrize("sha256", ["", "..", "zz" * 32, "AB" * 32, "ab"])
def test_what_is_no_sha256_is_not_there(archives: Archives, sha256: str) -> None:
    assert archives.find(sha256) is None
    with pytest.raises(NotFound):
        archives.open(sha256)


def test_an_unknown_archive_is_not_found(archives: Archives) -> None:
    with pytest.raises(NotFound):
        archives.open("0" * 64)


def test_a_file_that_is_in_place_is_not_copied(archives: Archives) -> None:
    sha256 = hashlib.sha256(WHEEL).hexdigest()
    place = archives.store.folder / "whole" / sha256[:2] / sha256 / "demo.whl"
    place.parent.mkdir(parents=True)
    place.write_bytes(WHEEL)
    before = place.stat().st_ino
    assert archives.add(place, sha256, "demo.whl").size == len(WHEEL)
    assert place.stat().st_ino == before


def test_many_threads_open_one_cold_archive(add: Adder, archives: Archives, clock: Clock) -> None:
    archive = add(WHEEL)
    clock.now += 1000
    hot.trim(archives, 0)
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(archives.open(archive.sha256).read_bytes()))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [WHEEL] * 8


def test_removing_forgets_everything_about_it(add: Adder, archives: Archives) -> None:
    archive = add(WHEEL)
    archives.remove(archive.sha256)
    archives.remove(archive.sha256)
    assert archives.find(archive.sha256) is None
    assert archives.published_as(archive.root) is None
    assert not archives.whole(archive).exists()


def test_archives_are_found_by_published_cid(add: Adder, archives: Archives) -> None:
    archive = add(WHEEL)
    found = archives.published_as(archive.root)
    assert found is not None
    assert found.sha256 == archive.sha256
    assert archives.published_as(CID.of(b"other")) is None
