from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.ipfs.archive import made

from dpip.errors import DiskFull, HomeNotWritable
from dpip.ipfs import errors
from dpip.mirror.archives import Archives as Whole
from dpip.mirror.store import BadContent, NotInStore, StoreBusy, StoreDamaged, mapped, opened, tend

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
