"""Signatures seen before: known in memory, in the database, and while the sieve fills."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from dpip.koi import seen as module
from dpip.koi.seen import Seen
from dpip.koi.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def token(number: int) -> bytes:
    return sha256(b"%d" % number).digest()[:16]


def write(store: Store, seen: Seen) -> None:
    with store.change() as connection:
        seen.write(connection)
    seen.settled()


def test_known_before_and_after_it_is_written(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.sqlite3")
    seen = Seen(store)
    assert seen.note(token(1))
    assert not seen.note(token(1))
    write(store, seen)
    assert seen.waiting == 0
    assert seen.knows(token(1))
    assert not seen.knows(token(2))
    assert Seen(store).knows(token(1))
    store.close()


def test_known_while_the_sieve_is_not_full_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FILLED_AT_ONCE", 3)
    store = Store(tmp_path / "a.sqlite3")
    first = Seen(store)
    for number in range(10):
        first.note(token(number))
    write(store, first)
    again = Seen(store)
    for _ in range(5):
        assert all(again.knows(token(number)) for number in range(10))
        assert not again.knows(token(99))
        write(store, again)
    store.close()


def test_what_was_undone_is_written_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "a.sqlite3")
    seen = Seen(store)
    seen.note(token(1))
    seen.advance("lane", 7)
    with store.change(later=True) as connection:
        seen.write(connection)
    store._undo()
    write(store, seen)
    assert Seen(store).knows(token(1))
    assert Seen(store).mark("lane") == 7
    store.close()


def test_the_oldest_are_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SEEN", 20)
    store = Store(tmp_path / "a.sqlite3")
    seen = Seen(store)
    for number in range(40):
        seen.note(token(number))
        write(store, seen)
    assert store.row("SELECT count(*) FROM seen")[0] <= 20
    store.close()
