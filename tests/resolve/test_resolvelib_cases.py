"""Cases of another resolver's suite: pins, and versions that a good search never looks at."""

from __future__ import annotations

import json
import lzma
from typing import TYPE_CHECKING, Any

import pytest
from packaging.version import InvalidVersion, Version
from tests import peers
from tests.resolve.indexes import LINUX, World, given, pins

from dpip.resolve import names
from dpip.resolve.request import Request
from dpip.resolve.requirement import InvalidRequirement, parse

if TYPE_CHECKING:
    from pathlib import Path

CASES = [
    "backjump-test-1",
    "backjump-test-2",
    "backjump-test-3",
    "backjump-test-4",
    "chalice",
    "cheroot",
    "conflict-with-dependency",
    "different-extras",
    "issue-134",
    "pyrex-1.9.8",
    "same-package",
    "same-package-extras",
    "with-without-extras",
]


def load_index(data: Path, name: str) -> dict[str, Any]:
    plain = data / "index" / f"{name}.json"
    if plain.exists():
        return dict(json.loads(plain.read_text("utf-8")))
    with lzma.open(f"{plain}.xz", "rt") as file:
        return dict(json.load(file))


def world_of(index: dict[str, Any]) -> World:
    world = World()
    for name, versions in index.items():
        if not isinstance(versions, dict):
            continue
        for version, entry in versions.items():
            lines = [line for line in entry["dependencies"] if counts(line)]
            if is_version(version):
                extras = {
                    line.split("extra ==")[1].strip(" '\")") for line in lines if "extra ==" in line
                }
                world.release(
                    names.normalize(name), version, lines, extras={extra: [] for extra in extras}
                )
    return world


def counts(line: str) -> bool:
    """The suite takes markers for false unless they are about an extra; so do we, here."""
    try:
        marker = parse(line).marker
    except InvalidRequirement:
        return False
    return not marker or "extra" in marker


def is_version(text: str) -> bool:
    try:
        Version(text)
    except InvalidVersion:
        return False
    return True


def version_of(expected: str | dict[str, str]) -> Version:
    return Version(expected if isinstance(expected, str) else expected["version"])


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    data = peers.bench_data("resolvelib-cases")
    case = json.loads((data / "case" / f"{name}.json").read_text("utf-8"))
    world = world_of(load_index(data, case["index"]))
    answer = pins(world.answer(Request(given(*case["requested"]), LINUX)))
    if case.get("resolved"):
        expected = {names.normalize(k): version_of(v) for k, v in case["resolved"].items()}
        assert answer is not None
        assert {k: Version(v) for k, v in answer.items()} == expected
    else:
        assert answer is None
    for project, versions in case.get("unvisited", {}).items():
        for version in versions:
            assert f"{project.replace('-', '_')}-{version}-py3-none-any.whl" not in world.asked
