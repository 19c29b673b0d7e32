"""How many pages and archives there are, kept by the database as they come and go.

A page of numbers is looked at often, and counting ten million rows takes seconds. So triggers
keep the sums, whoever writes the tables.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

    from dpip.mirror.rows import Rows

_KEYS = ("pages", "archives", "archive_bytes")
_TRIGGERS = """
CREATE TRIGGER IF NOT EXISTS page_came AFTER INSERT ON pages BEGIN
  UPDATE totals SET value=value+1 WHERE key='pages';
END;
CREATE TRIGGER IF NOT EXISTS page_went AFTER DELETE ON pages BEGIN
  UPDATE totals SET value=value-1 WHERE key='pages';
END;
CREATE TRIGGER IF NOT EXISTS archive_came AFTER INSERT ON archives BEGIN
  UPDATE totals SET value=value+1 WHERE key='archives';
  UPDATE totals SET value=value+new.size WHERE key='archive_bytes';
END;
CREATE TRIGGER IF NOT EXISTS archive_went AFTER DELETE ON archives BEGIN
  UPDATE totals SET value=value-1 WHERE key='archives';
  UPDATE totals SET value=value-old.size WHERE key='archive_bytes';
END;
"""
NAMES = ("page_came", "page_went", "archive_came", "archive_went")
COUNT = """
REPLACE INTO totals SELECT 'pages', count(*) FROM pages;
REPLACE INTO totals SELECT 'archives', count(*) FROM archives;
REPLACE INTO totals SELECT 'archive_bytes', coalesce(sum(size), 0) FROM archives;
"""
DDL = f"""
CREATE TABLE IF NOT EXISTS totals (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
{COUNT}
{_TRIGGERS}
"""
"""Makes the table and the triggers in a catalog, and counts what is there already."""


def writes_here(connection: sqlite3.Connection) -> None:
    """Let a connection that writes fire the triggers: REPLACE deletes rows unseen otherwise."""
    connection.execute("PRAGMA recursive_triggers=ON")


def totals(catalog: Rows) -> dict[str, int]:
    """Return the numbers of pages and archives, and the bytes of archives."""
    found = dict(catalog.read("SELECT key, value FROM totals"))
    return {key: int(found.get(key, 0)) for key in _KEYS}
