from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.mirror.fakes import Clock, FakeIndex

from dpip.mirror.archives import Archives
from dpip.mirror.catalog import Catalog
from dpip.mirror.files import Files
from dpip.mirror.ingest import Ingest
from dpip.mirror.refresh import Policy
from dpip.mirror.repository import Pages
from dpip.simple.render import render
from dpip.simple.routing import DEFAULT_SOURCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dpip.mirror.source import PageSource


@dataclass
class Mirror:
    """A mirror of a fake index, on a clock of its own."""

    index: FakeIndex
    clock: Clock
    catalog: Catalog
    archives: Archives
    ingest: Ingest
    home: Path

    def pages(
        self,
        *,
        offline: bool = False,
        patience: float = 5.0,
        source: str = DEFAULT_SOURCE,
        through: PageSource | None = None,
    ) -> Pages:
        return Pages(
            upstream=through or self.index,
            source=source,
            catalog=self.catalog,
            render=render,
            policy=Policy(offline=offline),
            now=self.clock,
            patience=patience,
        )

    def files(self, *, offline: bool = False) -> Files:
        return Files(
            archives=self.archives,
            catalog=self.catalog,
            ingest=self.ingest,
            upstream=self.index,
            offline=offline,
        )


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Mirror]:
    index, clock = FakeIndex(), Clock()
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    archives = Archives(tmp_path / "archives")
    ingest = Ingest(
        upstream=index,
        archives=archives,
        catalog=catalog,
        now=clock,
        max_size=200 * 2**20,
        pause=0.001,
    )
    yield Mirror(index, clock, catalog, archives, ingest, tmp_path)
    catalog.close()
