from __future__ import annotations

import hashlib
import os
import sqlite3
import tarfile
import threading
from contextlib import closing
from pathlib import Path

import pytest
from tests.mirror.test_private import NOW, upload

from dpip.errors import HomeNotWritable
from dpip.ipfs.blockstore import Block
from dpip.ipfs.cid import CID
from dpip.ipfs.disk.store import DiskBlockstore
from dpip.mirror.backup import BackupFailed, HomeNotEmpty, backup, restore
from dpip.mirror.private import Private


def test_a_home_comes_back_as_it_was(tmp_path: Path) -> None:
    home = tmp_path / "home"
    for name in ("keys/self.pem", "archives/whole/ab/c/f.whl", "config.toml"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(name.encode())
    for name in ("node.log", "node.json", "archives/arriving/x.part", "old.damaged-1.sqlite3"):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_bytes(b"not this")
    private = Private(home / "private.sqlite3")
    private.add(upload(), NOW)
    copied = backup(home, tmp_path / "backup.tar")
    private.close()
    again = tmp_path / "again"
    assert restore(tmp_path / "backup.tar", again) == copied
    found = sorted(
        path.relative_to(again).as_posix() for path in again.rglob("*") if path.is_file()
    )
    assert found == [
        "archives/whole/ab/c/f.whl",
        "config.toml",
        "keys/self.pem",
        "private.sqlite3",
    ]
    opened = Private(again / "private.sqlite3")
    assert opened.names() == ["tool"]
    opened.close()


def test_a_store_that_is_written_meanwhile_is_whole_in_the_copy(tmp_path: Path) -> None:
    home = tmp_path / "home"
    store = DiskBlockstore(home / "blocks")
    promised: list[CID] = []
    stop = threading.Event()

    def write() -> None:
        while not stop.is_set():
            data = os.urandom(2000)
            store.put([Block(CID.of(data), data)])
            promised.append(CID.of(data))

    writer = threading.Thread(target=write)
    writer.start()
    while len(promised) < 20:
        pass
    before = list(promised)
    backup(home, tmp_path / "backup.tar")
    stop.set()
    writer.join()
    store.close()
    restore(tmp_path / "backup.tar", tmp_path / "again")
    copy = DiskBlockstore(tmp_path / "again" / "blocks")
    for multihash in copy.multihashes():
        assert hashlib.sha256(copy.get(CID.v1(0x55, multihash))).digest() == multihash[2:]
    assert all(copy.has(cid) for cid in before)
    copy.close()


def test_nothing_is_overwritten_and_garbage_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "config.toml").write_text("")
    backup(tmp_path / "home", tmp_path / "backup.tar")
    with pytest.raises(HomeNotEmpty):
        restore(tmp_path / "backup.tar", tmp_path / "home")
    (tmp_path / "garbage").write_bytes(b"no tar")
    for bad in ("garbage", "absent"):
        with pytest.raises(BackupFailed):
            restore(tmp_path / bad, tmp_path / "new")
        assert not (tmp_path / "new").exists()
    with pytest.raises(BackupFailed):
        backup(tmp_path / "absent", tmp_path / "x.tar")


def test_a_backup_with_path_tricks_leaves_its_home_alone(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "evil.tar", "w") as archive:
        (tmp_path / "payload").write_bytes(b"x")
        archive.add(tmp_path / "payload", "../../escaped")
    with pytest.raises(BackupFailed):
        restore(tmp_path / "evil.tar", tmp_path / "deep" / "home")
    assert not (tmp_path / "escaped").exists()


def test_a_failed_backup_leaves_the_last_one(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with closing(sqlite3.connect(home / "a.sqlite3")) as database:
        database.execute("CREATE TABLE t (x)")
    backup(home, tmp_path / "backup.tar")
    good = (tmp_path / "backup.tar").read_bytes()
    (home / "a.sqlite3").write_bytes(b"damaged" * 1000)
    with pytest.raises(Exception, match=r"catalog|database"):
        backup(home, tmp_path / "backup.tar")
    assert (tmp_path / "backup.tar").read_bytes() == good


def test_a_backup_is_for_its_owner_alone_and_lies_outside_of_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "config.toml").write_text("")
    backup(home, tmp_path / "backup.tar")
    assert os.name != "posix" or (tmp_path / "backup.tar").stat().st_mode & 0o077 == 0
    for place in (home / "inside.tar", tmp_path, tmp_path / "home"):
        with pytest.raises(BackupFailed):
            backup(home, place)
    assert [path.name for path in home.iterdir()] == ["config.toml"]
    with pytest.raises(HomeNotWritable, match=r"x\.tar"):
        backup(home, tmp_path / "absent" / "x.tar")
    with pytest.raises(BackupFailed):
        restore(tmp_path, tmp_path / "new")
