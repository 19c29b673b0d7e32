"""The tables of the index.

packs     how much of each pack file counts
frames    where a frame lies; `live` of its blocks, `wanted` of its `plain` bytes, still
          count; one of them was last put at `touched`
blocks    multihash to frame, start in its plain bytes, size
pins      roots to keep, by name; `pinned` counts the additions, for garbage collection
archives  whole files and their recipes; `proof` names the encoders that rebuilt it here
leaves    leaves of published files: first 16 bytes of the hash, where in which archive
proved    which encoder writes which stream: a cache, see `archive.importer`
"""

VERSION = 1
NAMED_PINS = """
CREATE INDEX IF NOT EXISTS named_pins ON pins (name) WHERE name <> 'archive'
"""
"""For pins by name. Each of millions of archives has one of the same name, which is left out."""
SCHEMA = (
    """
    CREATE TABLE packs (id INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER NOT NULL)
    """,
    """
    CREATE TABLE frames (
      id INTEGER PRIMARY KEY AUTOINCREMENT, pack INTEGER NOT NULL, at INTEGER NOT NULL,
      length INTEGER NOT NULL, data_at INTEGER NOT NULL, plain INTEGER NOT NULL,
      zstd INTEGER NOT NULL, live INTEGER NOT NULL, wanted INTEGER NOT NULL,
      touched INTEGER NOT NULL)
    """,
    "CREATE INDEX frames_of_pack ON frames (pack)",
    """
    CREATE TABLE blocks (
      hash BLOB PRIMARY KEY, codec INTEGER NOT NULL, frame INTEGER NOT NULL,
      start INTEGER NOT NULL, size INTEGER NOT NULL) WITHOUT ROWID
    """,
    "CREATE INDEX blocks_of_frame ON blocks (frame)",
    """
    CREATE TABLE pins (
      cid BLOB NOT NULL, name TEXT NOT NULL, PRIMARY KEY (cid, name)) WITHOUT ROWID
    """,
    "CREATE TABLE pinned (changes INTEGER NOT NULL)",
    "INSERT INTO pinned VALUES (0)",
    """
    CREATE TRIGGER pin_added AFTER INSERT ON pins
    BEGIN UPDATE pinned SET changes = changes + 1; END
    """,
    """
    CREATE TABLE archives (
      id INTEGER PRIMARY KEY AUTOINCREMENT, sha256 BLOB NOT NULL UNIQUE,
      filename TEXT NOT NULL, size INTEGER NOT NULL, root BLOB NOT NULL,
      profile BLOB NOT NULL, recipe BLOB, proof BLOB, used INTEGER NOT NULL)
    """,
    "CREATE INDEX archives_by_root ON archives (root)",
    "CREATE INDEX archives_by_recipe ON archives (recipe)",
    "CREATE INDEX archives_by_filename ON archives (filename)",
    """
    CREATE TABLE leaves (
      hash BLOB NOT NULL, archive INTEGER NOT NULL, at INTEGER NOT NULL,
      size INTEGER NOT NULL, PRIMARY KEY (hash, archive, at)) WITHOUT ROWID
    """,
    "CREATE TABLE proved (key BLOB PRIMARY KEY, encoder TEXT NOT NULL) WITHOUT ROWID",
)
