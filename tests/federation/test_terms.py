from __future__ import annotations

from typing import TYPE_CHECKING

from dpip.federation.ledger import Ledger
from dpip.federation.terms import Terms, record, recorded

if TYPE_CHECKING:
    from pathlib import Path


def terms(trusted: str = "", withheld: str = "") -> Terms:
    return Terms(frozenset(trusted.split()), frozenset(withheld.split()))


def test_terms_widen_with_trust_and_when_names_are_let_go() -> None:
    before = terms("a b", "tool")
    assert not before.widens(before)
    assert terms("a b c", "tool").widens(before)
    assert terms("a b", "").widens(before)
    assert terms("a c", "tool").widens(before)
    assert not terms("a", "tool other").widens(before)


def test_terms_are_recorded(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    assert recorded(ledger) == terms()
    record(ledger, terms("a", "tool private"))
    ledger.close()
    again = Ledger(tmp_path / "ledger.sqlite3")
    assert recorded(again) == terms("a", "tool private")
    again.close()
