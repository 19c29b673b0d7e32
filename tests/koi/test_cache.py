"""What every cache must do, for each kind of cache; and what only ours does."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dpip.koi import RID, Bundle, BundleCache, Cache, RIDType
from dpip.koi.store import Store
from dpip.koi.testing import MemoryCache

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

KINDS: dict[str, Callable[[Path], BundleCache]] = {
    "sqlite": lambda path: Cache(path / "cache"),
    "memory": lambda _: MemoryCache(),
}


@pytest.fixture(params=KINDS)
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    made = KINDS[request.param](tmp_path)
    yield made
    if isinstance(made, Cache):
        made.store.close()


def bundle(rid: str, **contents: Any) -> Bundle:
    return Bundle.generate(RID.from_string(rid), contents)


def test_read_what_was_written(cache: BundleCache) -> None:
    one = bundle("orn:a.b:1", n=1, text="é", none=None)
    assert cache.read(one.rid) is None
    assert cache.write(one) == one
    assert cache.read(one.rid) == one
    assert cache.exists(one.rid)


def test_write_replaces_and_delete_is_idempotent(cache: BundleCache) -> None:
    cache.write(bundle("orn:a.b:1", n=1))
    newer = cache.write(bundle("orn:a.b:1", n=2))
    assert cache.read(newer.rid) == newer
    cache.delete(newer.rid)
    cache.delete(newer.rid)
    assert not cache.exists(newer.rid)
    assert cache.list_rids() == []


def test_list_by_type(cache: BundleCache) -> None:
    rids = [cache.write(bundle(f"orn:{kind}:{n}")).rid for kind in ("a.b", "c.d") for n in "12"]
    assert sorted(map(str, cache.list_rids())) == sorted(map(str, rids))
    assert sorted(cache.list_rids([RIDType.from_string("orn:c.d")])) == sorted(rids[2:])
    assert cache.list_rids([RIDType.from_string("orn:e.f")]) == []


def test_rids_of_any_length_and_shape(cache: BundleCache) -> None:
    for text in ("orn:a.b:" + "x" * 5000, "orn:a.b:/../..", "orn:a.b:\n\0é", "http://a/b?c=d"):
        one = cache.write(bundle(text, n=1))
        assert cache.read(one.rid) == one


def test_it_is_there_after_a_restart(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    one = cache.write(bundle("orn:a.b:1", n=1))
    cache.store.abandon()
    again = Cache(tmp_path)
    assert again.read(one.rid) == one
    again.store.close()


def test_listings_go_page_by_page(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    rids = [cache.write(bundle(f"orn:a.b:{n}")).rid for n in range(25)]
    found = [row[0] for row in cache.scan("rid", [RIDType.from_string("orn:a.b")], page=7)]
    assert found == sorted(map(str, rids))
    cache.store.close()


@settings(suppress_health_check=list(HealthCheck), max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.booleans()), max_size=20), st.integers(0, 20))
def test_a_crash_loses_only_what_was_left_for_later(
    tmp_path_factory: pytest.TempPathFactory, changes: list[tuple[str, bool]], durable: int
) -> None:
    path = tmp_path_factory.mktemp("store")
    cache = Cache(path)
    expected: set[str] = set()
    for number, (name, present) in enumerate(changes):
        one = bundle(f"orn:a.b:{name}", n=number)
        later = number >= durable
        if present:
            cache.put(one, source=None, verified=True, later=later)
        else:
            cache.delete(one.rid, later=later)
        if not later:
            (expected.add if present else expected.discard)(name)
    cache.store.abandon()
    again = Cache(path)
    assert {rid.reference for rid in again.list_rids()} == expected
    again.store.close()


def test_nested_changes_commit_once_at_the_outermost(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.sqlite3")
    with store.change(later=True):
        with store.change() as connection:
            connection.execute("INSERT INTO meta VALUES ('a', 'b')")
        with store.change(later=True) as connection:
            connection.execute("INSERT INTO meta VALUES ('c', 'd')")
    store.abandon()
    again = Store(tmp_path / "x.sqlite3")
    assert len(again.rows("SELECT * FROM meta")) == 2
    again.close()


def test_others_are_shown_what_a_crash_cannot_undo(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    one = bundle("orn:test.a:1")
    cache.put(one, source=None, verified=True, later=True)
    assert cache.list_rids() == [one.rid]
    assert list(cache.scan("rid", durable=True)) == []
    assert list(cache.pick("rid", [one.rid])) == [(one.rid, None)]
    cache.store.commit()
    assert list(cache.scan("rid", durable=True)) == [(str(one.rid),)]
    assert list(cache.pick("rid", [one.rid])) == [(one.rid, (str(one.rid),))]
    cache.store.close()
