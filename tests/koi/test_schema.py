"""Databases that earlier versions wrote are read by this one, with all that they held."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from dpip.koi import RID, Bundle, Cache
from dpip.koi.errors import UnreadableState
from dpip.koi.journal import Journal
from dpip.koi.schema import VERSION
from dpip.koi.store import Store

if TYPE_CHECKING:
    from pathlib import Path

FIRST = """
CREATE TABLE bundle (id INTEGER PRIMARY KEY, rid TEXT NOT NULL UNIQUE, type TEXT NOT NULL,
  source TEXT, verified INTEGER NOT NULL, manifest BLOB NOT NULL, contents BLOB NOT NULL);
CREATE INDEX bundle_of_type ON bundle (type, rid);
CREATE TABLE tombstone (rid TEXT NOT NULL, sender TEXT NOT NULL, stamp TEXT NOT NULL,
  PRIMARY KEY (rid, sender)) WITHOUT ROWID;
CREATE TABLE inbox (id INTEGER PRIMARY KEY AUTOINCREMENT, knowledge BLOB NOT NULL);
CREATE TABLE outbox (target TEXT NOT NULL, seq INTEGER NOT NULL, event BLOB NOT NULL,
  PRIMARY KEY (target, seq)) WITHOUT ROWID;
CREATE TABLE lane (target TEXT PRIMARY KEY, last INTEGER NOT NULL,
  handed INTEGER NOT NULL DEFAULT 0, token TEXT NOT NULL DEFAULT '') WITHOUT ROWID;
CREATE TABLE seen (token BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE mark (source TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_MOVE = """
  INSERT INTO journal (seq, rid, at, forgotten)
  VALUES ((SELECT ifnull(max(seq), 0) + 1 FROM journal), {rid}, 5, {stamp})
  ON CONFLICT (rid) DO UPDATE SET seq=excluded.seq, at=excluded.at, forgotten=excluded.forgotten;
"""
_HELD = _MOVE.format(rid="NEW.rid", stamp="NULL")
_GONE = _MOVE.format(rid="OLD.rid", stamp="json_extract(CAST(OLD.manifest AS TEXT), '$.timestamp')")
SECOND = f"""{FIRST}
CREATE TABLE journal (seq INTEGER PRIMARY KEY, rid TEXT NOT NULL UNIQUE, at INTEGER NOT NULL,
  forgotten TEXT);
CREATE TABLE era (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, first INTEGER NOT NULL);
CREATE TABLE cursor (node TEXT PRIMARY KEY, types TEXT NOT NULL, cursor TEXT NOT NULL)
  WITHOUT ROWID;
CREATE TRIGGER bundle_new AFTER INSERT ON bundle BEGIN {_HELD} END;
CREATE TRIGGER bundle_changed AFTER UPDATE ON bundle BEGIN {_HELD} END;
CREATE TRIGGER bundle_gone AFTER DELETE ON bundle BEGIN {_GONE} END;
INSERT INTO era (name, first) VALUES ('before', 1);
"""


def note(number: int) -> Bundle:
    return Bundle.generate(RID.from_string(f"orn:test.note:{number}"), {"n": number})


def written(path: Path, schema: str, version: int, numbers: range) -> sqlite3.Connection:
    """Return a database of an earlier version that holds some notes."""
    old = sqlite3.connect(path / "koi.sqlite3")
    old.executescript(f"{schema} PRAGMA user_version={version};")
    for bundle in map(note, numbers):
        old.execute(
            "INSERT INTO bundle (rid, type, source, verified, manifest, contents)"
            " VALUES (?, 'orn:test.note', 'orn:koi-net.node:a+b', 1, ?, ?)",
            (str(bundle.rid), bundle.manifest.to_json(), b'{"n":%d}' % bundle.contents["n"]),
        )
    old.commit()
    return old


def test_one_of_the_first_version_gets_a_journal(tmp_path: Path) -> None:
    written(tmp_path, FIRST, 1, range(3)).close()
    cache = Cache(tmp_path)
    assert [str(rid) for rid in cache.list_rids()] == [f"orn:test.note:{n}" for n in range(3)]
    assert cache.read(note(1).rid) is not None
    assert cache.store.rows("SELECT rid, forgotten FROM journal ORDER BY seq") == [
        (f"orn:test.note:{n}", None) for n in range(3)
    ]


def test_one_of_the_second_keeps_its_cursors(tmp_path: Path) -> None:
    old = written(tmp_path, SECOND, 2, range(4))
    old.execute("UPDATE bundle SET verified=1 WHERE rid='orn:test.note:0'")
    old.execute("DELETE FROM bundle WHERE rid='orn:test.note:3'")
    old.commit()
    before = old.execute("SELECT seq, rid, at, forgotten FROM journal ORDER BY seq").fetchall()
    old.close()
    cache = Cache(tmp_path)
    store, journal = cache.store, Journal(cache.store)
    assert store.rows("SELECT seq, rid, at, forgotten FROM journal ORDER BY seq") == before
    assert store.row("PRAGMA user_version")[0] == VERSION
    record = cache.record(note(1).rid)
    assert record is not None
    assert record.source == "orn:koi-net.node:a+b"
    page = journal.page("before:4")  # all four were read, and neither of the two changes since
    assert page.known
    assert [str(one.rid) for one in page.changed] == ["orn:test.note:0"]
    assert [str(one.rid) for one in page.forgotten] == ["orn:test.note:3"]
    cache.write(note(3))
    page = journal.page(page.cursor)
    assert [str(one.rid) for one in page.changed] == ["orn:test.note:3"]
    assert not page.forgotten


def test_one_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    written(tmp_path, FIRST, VERSION + 1, range(1)).close()
    with pytest.raises(UnreadableState, match="newer"):
        Store(tmp_path / "koi.sqlite3")


def test_numbers_are_never_given_twice_in_one_life() -> None:
    cache = Cache(store=Store(":memory:"))
    seen = []
    for turn in range(6):
        if turn % 3 == 2:
            cache.delete(note(turn - 1).rid)
        else:
            cache.write(note(turn))
        last = cache.store.row("SELECT seq FROM journal ORDER BY seq DESC LIMIT 1")
        seen.append(last[0])
    assert seen == sorted(set(seen))
