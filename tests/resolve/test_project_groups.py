from __future__ import annotations

import pytest

from dpip.resolve import project_groups
from dpip.resolve.project_groups import BadGroup, BadScript

PROJECT = """
[dependency-groups]
test = ["pytest>=8", "Coverage[toml] ; python_version < '3.14'"]
dev = [{include-group = "Test"}, "ruff"]
round = [{include-group = "round"}]
"""
SCRIPT = """#!/usr/bin/env python
# /// script
# requires-python = ">=3.11"
# dependencies = [
#   "requests<3",  # why
#   "rich",
# ]
# ///
import requests
"""


def texts(*found: object) -> list[str]:
    return [str(each) for each in found]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dev", ("pyproject.toml", "dev")),
        ("../a/pyproject.toml:dev", ("../a/pyproject.toml", "dev")),
        (r"C:\a\pyproject.toml:dev", (r"C:\a\pyproject.toml", "dev")),
    ],
)
def test_where_a_group_stands(words: str, expected: tuple[str, str]) -> None:
    assert project_groups.place(words) == expected


def test_a_group_with_those_that_it_includes() -> None:
    found = project_groups.group(PROJECT, "dev", "p/pyproject.toml")
    assert texts(*(each.requirement for each in found)) == [
        "pytest>=8",
        'coverage[toml] ; python_version < "3.14"',
        "ruff",
    ]
    assert {each.origin for each in found} == {"p/pyproject.toml, group dev"}


@pytest.mark.parametrize(
    ("text", "name", "said"),
    [
        (PROJECT, "nothing", "not found"),
        (PROJECT, "round", "includes itself"),
        ("[project]\nname = 'a'\n", "dev", "no table"),
        ("[dependency-groups]\ndev = 3\n", "dev", "group dev"),
        ("[dependency-groups]\ndev = ['!']\n", "dev", "group dev"),
        ("[dependency-groups", "dev", "is not TOML"),
    ],
)
def test_what_is_no_group_is_named(text: str, name: str, said: str) -> None:
    with pytest.raises(BadGroup, match=said):
        project_groups.group(text, name, "pyproject.toml")


def test_a_file_that_is_no_project_holds_no_groups() -> None:
    with pytest.raises(BadGroup, match=r"reqs\.txt"):
        project_groups.place("reqs.txt:dev")


def test_what_a_script_needs() -> None:
    found = project_groups.script(SCRIPT, "run.py")
    assert texts(*(each.requirement for each in found.requirements)) == ["requests<3", "rich"]
    assert found.requires_python == ">=3.11"
    assert found.requirements[0].origin == "run.py, its metadata"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import os\n", "no block"),
        (SCRIPT + SCRIPT, "several blocks"),
        ("# /// script\n# dependencies = [\n# ///\n", "is not TOML"),
        ("# /// script\n# dependencies = 'a'\n# ///\n", "are a list"),
        ("# /// script\n# dependencies = ['a b']\n# ///\n", "not a requirement"),
    ],
)
def test_what_is_no_script_metadata_is_named(text: str, said: str) -> None:
    with pytest.raises(BadScript, match=said):
        project_groups.script(text, "run.py")
