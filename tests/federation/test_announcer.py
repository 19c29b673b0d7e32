from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.federation.processes import until

from dpip.federation import announcer
from dpip.federation.announcer import Announcer
from dpip.federation.ledger import Ledger
from dpip.koi import Cache, KnowledgeObject
from dpip.mirror.catalog import Catalog, PageRecord
from dpip.simple.model import Project
from dpip.simple.render import render


class Heard:
    """Stands in for the KOI node: notes which projects it was told of, in order."""

    def __init__(self) -> None:
        self.projects: list[str] = []

    def accept(self, kobjs: Iterable[KnowledgeObject]) -> None:
        self.projects += [each.rid.reference for each in kobjs]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    yield catalog
    catalog.close()


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def change(catalog: Catalog, *names: str) -> None:
    for name in names:
        page = replace(render(Project(name)), name=name)
        catalog.put_page(PageRecord(name, 1.0), page, []).result()


def telling(catalog: Catalog, ledger: Ledger, tmp_path: Path) -> tuple[Announcer, Heard]:
    heard = Heard()
    cache = Cache(tmp_path / "cache")
    return Announcer(catalog, ledger, heard, cache), heard  # type: ignore[arg-type]


def test_what_changes_goes_before_what_nobody_was_there_to_hear(
    catalog: Catalog, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcer, "BEHIND_AT_ONCE", 2)
    change(catalog, "a", "b", "c", "d", "e")
    teller, heard = telling(catalog, ledger, tmp_path)
    assert teller.step()
    assert heard.projects == ["a", "b"]
    assert teller.is_behind
    change(catalog, "new", "c")
    assert teller.step()
    assert heard.projects[2:4] == ["new", "c"]
    for _ in range(10):
        teller.step()
    assert set(heard.projects) == {"a", "b", "c", "d", "e", "new"}
    assert teller.step() == 0
    assert ledger.cursor(catalog.epoch) == catalog.last_change()


def test_a_kill_between_loses_nothing(
    catalog: Catalog, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcer, "BEHIND_AT_ONCE", 1)
    change(catalog, "a", "b", "c")
    first, before = telling(catalog, ledger, tmp_path / "1")
    first.step()
    change(catalog, "d")
    first.step()
    again, after = telling(catalog, ledger, tmp_path / "2")
    while again.step():
        pass
    assert {*before.projects, *after.projects} == {"a", "b", "c", "d"}
    assert "c" in after.projects


def test_nobody_is_told_of_anything_before_somebody_listens(
    catalog: Catalog, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(announcer, "LOOK_EVERY", 0.01)
    change(catalog, "a")
    teller, heard = telling(catalog, ledger, tmp_path)
    somebody: list[str] = []

    async def life() -> None:
        running = asyncio.create_task(teller.run(lambda: bool(somebody)))
        await asyncio.sleep(0.1)
        assert heard.projects == []
        somebody.append("a neighbour")
        await asyncio.to_thread(until, lambda: heard.projects)
        running.cancel()

    asyncio.run(asyncio.wait_for(life(), 10))
    assert heard.projects == ["a"]
    assert ledger.cursor(catalog.epoch) == catalog.last_change()
