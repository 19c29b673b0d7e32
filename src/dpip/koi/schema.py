"""The tables of a node's database, and how one of an older version becomes one of these.

Each change of the cache has a number, and numbers count up: `sqlite_sequence` holds the last
one of `bundle`. A bundle is kept under the number of its last change, so that the table is the
journal of what is held; what was held once is in `gone`, under the number of its going.
"""

from __future__ import annotations

from typing import Final

VERSION = 3

_BUNDLE = """
CREATE TABLE bundle (
  id INTEGER PRIMARY KEY AUTOINCREMENT, -- number of the last change
  rid TEXT NOT NULL UNIQUE,
  type TEXT NOT NULL,
  source TEXT,            -- who introduced it; NULL: this node; '': a peer without a key
  verified INTEGER NOT NULL,
  manifest BLOB NOT NULL, -- JSON
  contents BLOB NOT NULL, -- JSON
  at INTEGER NOT NULL     -- time of the last change, seconds since 1970, for people
);
CREATE INDEX bundle_of_type ON bundle (type, rid);
CREATE TABLE gone (
  seq INTEGER PRIMARY KEY,
  rid TEXT NOT NULL UNIQUE, -- held again perhaps: then `bundle` counts
  at INTEGER NOT NULL,
  forgotten TEXT NOT NULL -- time of the manifest that was held last
);
CREATE VIEW journal (seq, rid, at, forgotten) AS
  SELECT id, rid, at, NULL FROM bundle
  UNION ALL
  SELECT seq, rid, at, forgotten FROM gone
  WHERE NOT EXISTS (SELECT 1 FROM bundle WHERE bundle.rid=gone.rid);
"""
_NUMBERED = """
INSERT INTO sqlite_sequence VALUES ('bundle', 0);
CREATE TRIGGER bundle_gone AFTER DELETE ON bundle BEGIN
  UPDATE sqlite_sequence SET seq=seq+1 WHERE name='bundle';
  INSERT INTO gone SELECT seq, OLD.rid, strftime('%s', 'now'),
    json_extract(CAST(OLD.manifest AS TEXT), '$.timestamp')
    FROM sqlite_sequence WHERE name='bundle'
  ON CONFLICT (rid) DO UPDATE SET seq=excluded.seq, at=excluded.at, forgotten=excluded.forgotten;
END;
"""
_READERS = """
CREATE TABLE era (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  name TEXT NOT NULL,
  first INTEGER NOT NULL  -- the number that its first change has
);
CREATE TABLE cursor (
  node TEXT PRIMARY KEY,
  types TEXT NOT NULL,    -- separated by blanks
  cursor TEXT NOT NULL
) WITHOUT ROWID;
"""
_QUEUES = """
CREATE TABLE tombstone (
  rid TEXT NOT NULL,
  sender TEXT NOT NULL,   -- '*': for everybody; else only what this node sends is stopped
  stamp TEXT NOT NULL,    -- manifests up to this time stay forgotten
  PRIMARY KEY (rid, sender)
) WITHOUT ROWID;
CREATE TABLE inbox (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  knowledge BLOB NOT NULL
);
CREATE TABLE outbox (
  target TEXT NOT NULL,
  seq INTEGER NOT NULL,
  event BLOB NOT NULL,    -- JSON, signed form
  PRIMARY KEY (target, seq)
) WITHOUT ROWID;
CREATE TABLE lane (
  target TEXT PRIMARY KEY,
  last INTEGER NOT NULL,            -- sequence number of the newest event ever queued
  handed INTEGER NOT NULL DEFAULT 0,-- up to here a batch is on its way, unconfirmed
  token TEXT NOT NULL DEFAULT ''    -- signature of that batch, to send the same bytes again
) WITHOUT ROWID;
CREATE TABLE seen (token BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE mark (source TEXT PRIMARY KEY, seq INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""
_SET_ASIDE = """
DROP INDEX bundle_of_type;
ALTER TABLE bundle RENAME TO former;
"""
_TAKEN_OVER = """
INSERT INTO bundle
  SELECT kept.seq, former.rid, type, source, verified, manifest, contents, kept.at
  FROM kept JOIN former ON former.rid=kept.rid WHERE kept.forgotten IS NULL ORDER BY kept.seq;
INSERT INTO gone SELECT seq, rid, at, forgotten FROM kept WHERE forgotten IS NOT NULL;
UPDATE sqlite_sequence SET seq=(SELECT ifnull(max(seq), 0) FROM kept) WHERE name='bundle';
DROP TABLE kept;
DROP TABLE former;
"""
_FROM_1 = f"""{_READERS} {_SET_ASIDE}
CREATE TABLE kept AS SELECT id AS seq, rid, 0 AS at, NULL AS forgotten FROM former;
{_BUNDLE} {_NUMBERED} {_TAKEN_OVER}
"""
_FROM_2 = f"""{_SET_ASIDE}
DROP TRIGGER bundle_new;
DROP TRIGGER bundle_changed;
DROP TRIGGER bundle_gone;
ALTER TABLE journal RENAME TO kept;
{_BUNDLE} {_NUMBERED} {_TAKEN_OVER}
"""

MISSING: Final = {
    0: f"{_BUNDLE} {_NUMBERED} {_READERS} {_QUEUES}",
    1: _FROM_1,
    2: _FROM_2,
}
"""What a database lacks, by its version; 0 is an empty one."""
