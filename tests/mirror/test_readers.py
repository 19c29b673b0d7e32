"""Questions that overlap: each sees what was committed before it was asked."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from dpip.mirror.readers import Readers

if TYPE_CHECKING:
    from pathlib import Path

LONG = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
SELECT i, noticed(i), (SELECT count(*) FROM t) FROM n
"""


def test_a_question_sees_what_was_committed_before_it(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite3"
    writing = sqlite3.connect(path, isolation_level=None)
    writing.execute("PRAGMA journal_mode=WAL")
    writing.execute("CREATE TABLE t (v)")
    readers = Readers(path)
    begun, seen = threading.Event(), threading.Event()

    def noticed(i: int) -> int:
        # The long question stands in the middle of its answer until the short one is answered.
        if i == 1000:
            begun.set()
            assert seen.wait(30)
        return i

    readers._idle[0].create_function("noticed", 1, noticed)
    found: list[int] = []
    long = threading.Thread(target=lambda: found.append(len(readers.all(LONG, ()))))
    long.start()
    assert begun.wait(30)
    writing.execute("INSERT INTO t VALUES (1)")
    assert readers.all("SELECT v FROM t", ()) == [(1,)]
    seen.set()
    long.join()
    assert found == [20_000]
    readers.close()
    writing.close()


def test_a_connection_that_is_lent_is_closed_when_it_comes_back(tmp_path: Path) -> None:
    readers = Readers(tmp_path / "x.sqlite3")
    (connection,) = readers._idle
    connection.create_function("end", 0, lambda: readers.close() or 1)  # type: ignore[func-returns-value]
    assert readers.all("SELECT end()", ()) == [(1,)]
    with pytest.raises(sqlite3.ProgrammingError):
        connection.execute("SELECT 1")
    with pytest.raises(sqlite3.ProgrammingError):
        readers.all("SELECT 1", ())
