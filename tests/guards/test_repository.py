"""What must hold for every file of the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from tests.peers import ROOT

TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".cfg", ".json", ".html", ".c", ".h", ".sh", ""}
MOST_LINES = 400

# Spelled in parts, so that this file does not hold what it forbids.
FORBIDDEN = {
    "a registry's host (ask pip for its index)": "|".join(
        name.replace("_", r"\.") for name in ("py" + "pi_org", "python" + "hosted_org")
    ),
    "a path of somebody's machine": r"(?<![\w.])/(?:ro" + r"ot|work|home/\w+|Users/\w+)/",
}


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout
    paths = [ROOT / name.decode() for name in listed.split(b"\0") if name]
    return [path for path in paths if path.is_file() and path.suffix in TEXT]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{path.relative_to(ROOT)}: {match.group()}"
        for path in _tracked()
        for match in [pattern.search(path.read_text("utf-8", "replace"))]
        if match
    ]
    assert not found, f"{what}: {found}"


def test_every_module_has_one_subject() -> None:
    long = {
        str(path.relative_to(ROOT)): lines
        for path in _tracked()
        if path.suffix == ".py" and path.is_relative_to(ROOT / "src")
        for lines in [path.read_text("utf-8").count("\n")]
        if lines > MOST_LINES
    }
    assert not long, f"more than {MOST_LINES} lines is two subjects: {long}"


def test_every_test_folder_mirrors_a_room() -> None:
    rooms = {path.name for path in (ROOT / "src" / "dpip").iterdir() if path.is_dir()}
    others = {"guards", "conformance", "interop", "scenarios", "functional", "docs", "__pycache__"}
    folders = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir()}
    assert folders <= rooms | others
