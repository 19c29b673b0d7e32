from __future__ import annotations

from pathlib import Path

from dpip.federation.ledger import Ledger


def test_what_is_noted_survives(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite3"
    ledger = Ledger(path)
    ledger.note("demo")
    ledger.announced(7, 41)
    ledger.note_applied("demo", '"x"')
    again = Ledger(path)  # the first was never closed, as after a kill
    assert again.pending() == [("demo", 1)]
    assert again.cursor(7) == 41
    assert again.cursor(8) == 0
    assert again.applied("demo") == '"x"'
    ledger.close()
    again.close()


def test_news_that_comes_while_news_is_dealt_with_is_not_lost(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    ledger.note("demo")
    [(name, stamp)] = ledger.pending()
    ledger.note("demo")
    ledger.done(name, stamp)
    [(name, stamp)] = ledger.pending()
    ledger.done(name, stamp)
    assert ledger.pending() == []
    ledger.close()
