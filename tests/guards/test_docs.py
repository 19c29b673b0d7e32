"""Everything that users can meet is documented: errors, settings, commands."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import pytest
from tests.peers import ROOT

REFERENCE = ROOT / "docs" / "reference"


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("page", ["errors", "settings", "commands"])
def test_no_row_is_missing(page: str) -> None:
    rows, _ = generator().TABLES[page]
    text = (REFERENCE / f"{page}.md").read_text("utf-8")
    missing = [row for row in rows() if row not in text]
    assert not missing, f"run `make docs`: docs/reference/{page}.md lacks {missing}"


def test_every_link_leads_somewhere() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in pages
        for target in re.findall(r"\]\(([^)#:]+)[^)]*\)", page.read_text("utf-8"))
        if not (page.parent / target).exists()
    ]
    assert not broken


def test_what_architecture_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
    named = set(re.findall(r"`([a-z_]+/[a-z_]+\.py)`", text))
    missing = [name for name in sorted(named) if not _exists(name)]
    assert len(named) > 10
    assert not missing


def _exists(name: str) -> bool:
    return any((base / name).exists() for base in (ROOT / "src" / "dpip", ROOT, Path(ROOT, "src")))
