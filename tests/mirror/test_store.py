from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.ipfs.archive import made

from dpip.errors import DiskFull, HomeNotWritable
from dpip.ipfs import errors
from dpip.ipfs.disk.fsck import check
from dpip.mirror.archives import Archives as Whole
from dpip.mirror.store import BadContent, NotInStore, StoreBusy, StoreDamaged, mapped, opened, tend

if TYPE_CHECKING:
    from dpip.ipfs.disk.archives import Archive

NAME = "demo-1.0-py3-none-any.whl"


def test_what_the_node_fetched_is_taken_apart_where_it_lies(tmp_path: Path) -> None:
    whole = Whole(tmp_path / "archives")
    part = whole.part("arriving")
    part.write_bytes(made.wheel())
    sha256 = hashlib.sha256(made.wheel()).hexdigest()
    kept = whole.keep(part, sha256, NAME)
    with opened(tmp_path) as archives:
        assert tend(archives, hot_size=0).taken == 1
        assert tend(archives, hot_size=0).taken == 0
        found = archives.find(sha256)
        assert found is not None
        assert archives.whole(found) == kept.path
        assert found.recipe is not None


def test_a_cold_archive_is_dropped_and_made_again_where_the_node_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Whole(tmp_path / "archives")
    part = whole.part("arriving")
    part.write_bytes(made.wheel())
    sha256 = hashlib.sha256(made.wheel()).hexdigest()
    whole.keep(part, sha256, NAME)
    with opened(tmp_path) as archives:
        tend(archives, hot_size=0)
        now = archives.store.clock() + 1000
        monkeypatch.setattr(archives.store, "clock", lambda: now)
        assert tend(archives, hot_size=0).dropped == 1
        assert whole.find(sha256, NAME) is None
        archives.open(sha256)
    again = whole.find(sha256, NAME)
    assert again is not None
    assert again.path.read_bytes() == made.wheel()


def several(home: Path, count: int) -> dict[str, bytes]:
    """Keep wheels and sdists that the store has not seen, and return them by sha256."""
    whole, kept = Whole(home / "archives"), {}
    for number in range(count):
        files = {**made.PACKAGE, "demo/own.txt": made.text(number, 40_000)}
        data = made.sdist(files) if number % 2 else made.wheel(files)
        part = whole.part(str(number))
        part.write_bytes(data)
        sha256 = hashlib.sha256(data).hexdigest()
        whole.keep(part, sha256, f"demo-{number}.tar.gz" if number % 2 else NAME)
        kept[sha256] = data
    return kept


def test_several_archives_are_taken_apart_at_once_and_told_of_in_order(tmp_path: Path) -> None:
    kept, told = several(tmp_path, 9), []
    with opened(tmp_path) as archives:
        assert tend(archives, hot_size=10**9, took=lambda one: told.append(one.sha256)).taken == 9
        assert told == sorted(kept)
        assert all(archive.recipe for archive in archives.listing())
        assert list(check(archives)) == []
        for archive in archives.listing():
            archives.whole(archive).unlink()
            assert archives.open(archive.sha256).read_bytes() == kept[archive.sha256]


def test_an_archive_that_cannot_be_read_keeps_no_other_from_being_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = sorted(several(tmp_path, 5))
    with opened(tmp_path) as archives:
        add = archives.add

        def failing(source: Path, sha256: str, filename: str, **rest: Any) -> Archive:
            if sha256 == kept[2]:
                raise errors.Unwritable("no space left")
            return add(source, sha256, filename, **rest)

        with monkeypatch.context() as patched:
            patched.setattr(archives, "add", failing)
            with pytest.raises(DiskFull):
                tend(archives, hot_size=10**9)
        assert {one.sha256 for one in archives.listing()} >= set(kept[:2])
        assert tend(archives, hot_size=10**9).taken >= 1
        assert sorted(one.sha256 for one in archives.listing()) == kept


def test_stops_when_told(tmp_path: Path) -> None:
    whole = Whole(tmp_path / "archives")
    part = whole.part("arriving")
    part.write_bytes(made.wheel())
    whole.keep(part, hashlib.sha256(made.wheel()).hexdigest(), NAME)
    with opened(tmp_path) as archives:
        assert tend(archives, hot_size=0, stop=lambda: True).taken == 0


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        (errors.NotFound("x"), NotInStore),
        (errors.Damaged("x"), StoreDamaged),
        (errors.Unavailable("x"), StoreBusy),
        (errors.Unwritable("no space left"), DiskFull),
        (errors.Unwritable("permission denied"), HomeNotWritable),
        (errors.InvalidArchive("x"), BadContent),
    ],
)
def test_errors_are_mapped(inner: errors.IpfsError, outer: type[Exception]) -> None:
    with pytest.raises(outer), mapped():
        raise inner


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "blocks").write_text("a file where the folder should be")
    with pytest.raises(HomeNotWritable), opened(tmp_path):
        pass
