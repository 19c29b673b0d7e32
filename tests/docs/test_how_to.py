"""The how-to pages name commands, settings and paths that are there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.peers import ROOT

from dpip import settings
from dpip.cli.main import COMMANDS
from dpip.mirror.metadata_rules import FIELDS
from dpip.mirror.selection import KINDS

PAGES = sorted((ROOT / "docs" / "how-to").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_commands_are_known(page: Path) -> None:
    text = page.read_text("utf-8")
    words = set(re.findall(r"(?m)(?:^|`)dpip ([a-z]+) ([a-z]+)", text))
    assert words
    for command, action in sorted(words):
        if command not in COMMANDS:
            assert command == "install", f"dpip {command} is neither ours nor pip's install"
            continue
        done = subprocess.run(
            [sys.executable, "-m", "dpip", command, action, "--help"],
            capture_output=True, text=True, check=False, timeout=30,
        )  # fmt: skip
        assert done.returncode == 0, f"dpip {command} {action}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_settings_are_known(page: Path) -> None:
    text = page.read_text("utf-8")
    named = set(re.findall(r"dpip config set ([a-z_]+)", text))
    assert named <= settings.field_types().keys()


def test_every_key_of_a_mirror_has_a_row() -> None:
    page = (ROOT / "docs" / "reference" / "mirror.md").read_text("utf-8")
    for key in (*KINDS, *FIELDS):
        assert f"`{key}`" in page, key
