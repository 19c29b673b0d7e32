"""Every test that the tables of the KOI pages name exists."""

from __future__ import annotations

import re

import pytest
from tests.peers import ROOT

PAGES = ["original-document.md", "hostile.md"]
NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def text(page: str) -> str:
    return (ROOT / "docs" / "koi" / page).read_text("utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_the_named_tests_exist(page: str) -> None:
    named = NAMED.findall(text(page))
    assert len(named) > 30
    missing = [
        f"{path}::{name}"
        for path, name in named
        if f"def {name}(" not in (ROOT / path).read_text("utf-8")
    ]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_no_row_is_without_a_test(page: str) -> None:
    rows = [line for line in text(page).splitlines() if line.startswith("| ")]
    assert [row for row in rows[1:] if not NAMED.search(row)] == []
