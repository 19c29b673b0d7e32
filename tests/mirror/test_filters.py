from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet

from dpip.mirror.filters import (
    EachFile,
    Filters,
    Latest,
    Names,
    Status,
    Versions,
    at_most,
    for_platforms,
    for_pythons,
    no_prereleases,
    no_sdists,
    parse,
    uploaded,
)
from dpip.simple.model import File, Project


def project(*filenames: str, name: str = "thing", status: str = "active", **more: str) -> Project:
    files = tuple(File(filename, filename, size=len(filename)) for filename in filenames)
    return Project(name, files, status=status)


def kept(filters: Filters, of: Project) -> list[str]:
    excluded = filters.excludes(of)
    return [file.filename for file in of.files if file.filename not in excluded]


@pytest.mark.parametrize(
    ("names", "name", "reason"),
    [
        (Names(), "anything", None),
        (Names(allow=frozenset({"flask"})), "flask", None),
        (Names(allow=frozenset({"flask"})), "django", "not on the list"),
        (Names(allow=frozenset({"django-*"})), "django-x", None),
        (Names(deny=frozenset({"flask"})), "flask", "denied by name"),
        (Names(allow=frozenset({"*"}), deny=frozenset({"evil-*"})), "evil-1", "denied by name"),
        (Names(regex=(re.compile("a+"),)), "aaa", None),
        (Names(regex=(re.compile("a+"),)), "aab", "not on the list"),
    ],
)
def test_names(names: Names, name: str, reason: str | None) -> None:
    assert names.excludes(name) == reason


def test_a_closed_list_of_names_needs_no_root_list() -> None:
    assert Names(allow=frozenset({"a", "b"})).exact == frozenset({"a", "b"})
    assert Names(allow=frozenset({"a*"})).exact is None
    assert Names().exact is None


def test_latest_counts_releases_that_the_other_rules_left() -> None:
    page = project(
        "thing-3.0-cp312-cp312-win_amd64.whl",
        "thing-2.0-cp312-cp312-manylinux_2_17_x86_64.whl",
        "thing-2.0.tar.gz",
        "thing-1.0-py3-none-any.whl",
        "thing-4.0rc1-py3-none-any.whl",
    )
    linux = Filters(rules=(EachFile(for_platforms(["linux"])), EachFile(no_sdists)))
    assert kept(Filters(latest=Latest(1)), page) == ["thing-3.0-cp312-cp312-win_amd64.whl"]
    both = Filters(rules=linux.rules, latest=Latest(1))
    assert kept(both, page) == ["thing-2.0-cp312-cp312-manylinux_2_17_x86_64.whl"]


def test_latest_keeps_prereleases_where_nothing_else_is_there() -> None:
    page = project("thing-1.0a1.tar.gz", "thing-1.0a2.tar.gz")
    assert kept(Filters(latest=Latest(1)), page) == ["thing-1.0a2.tar.gz"]


def test_rules_judge_files() -> None:
    page = project("thing-1.0.tar.gz", "thing-2.0b1.tar.gz", "thing-1.0-py3-none-any.whl", "odd")
    assert kept(Filters(rules=(EachFile(no_prereleases),)), page) == [
        "thing-1.0.tar.gz",
        "thing-1.0-py3-none-any.whl",
        "odd",
    ]
    ranges = Filters(rules=(Versions({"thing": SpecifierSet(">1")}),))
    assert kept(ranges, page) == ["thing-2.0b1.tar.gz"]
    assert kept(Filters(rules=(EachFile(at_most(5)),)), page) == ["odd"]
    assert kept(Filters(rules=(Status(frozenset({"active"})),)), page) == [
        file.filename for file in page.files
    ]
    gone = project("thing-1.0.tar.gz", status="quarantined")
    assert kept(Filters(rules=(Status(frozenset({"active"})),)), gone) == []


@pytest.mark.parametrize(
    ("filename", "requires_python", "fits"),
    [
        ("t-1-py3-none-any.whl", None, True),
        ("t-1-py2-none-any.whl", None, False),
        ("t-1-py2.py3-none-any.whl", None, True),
        ("t-1-cp311-cp311-win32.whl", None, False),
        ("t-1-cp312-cp312-win32.whl", None, True),
        ("t-1-cp38-abi3-win32.whl", None, True),
        ("t-1-cp313-abi3-win32.whl", None, False),
        ("t-1.tar.gz", ">=3.13", False),
        ("t-1.tar.gz", ">=3.12.4", True),
        ("t-1.tar.gz", "senseless", True),
    ],
)
def test_pythons(filename: str, requires_python: str | None, fits: bool) -> None:
    judged = for_pythons(["3.12"])(parse(File(filename, "", requires_python=requires_python)))
    assert (judged is None) is fits


def test_upload_times_are_a_half_open_range() -> None:
    rule = uploaded("2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z")
    times = ["2023-12-31T23:59:59Z", "2024-01-01T00:00:00Z", "2025-01-01T00:00:00Z", None]
    fits = [rule(parse(File("t-1.tar.gz", "", upload_time=time))) is None for time in times]
    assert fits == [False, True, False, False]


@given(st.lists(st.text(max_size=20), max_size=5, unique=True))
def test_any_file_name_is_judged(filenames: list[str]) -> None:
    every = Filters(
        rules=(EachFile(for_pythons(["3.12"])), EachFile(for_platforms(["linux"]))),
        latest=Latest(1),
    )
    page = project(*filenames)
    assert set(every.excludes(page)) <= set(filenames)
