from __future__ import annotations

from typing import Any

import pytest

from dpip.errors import UsageError
from dpip.mirror.selection import read_selection
from dpip.simple.model import File, Project

REQUIREMENTS = {"req.txt": "# wanted\nDjango>=4,<5  # web\n-r other.txt\n\nflask\n"}


def read(table: dict[str, Any]) -> Any:
    return read_selection(table, REQUIREMENTS.__getitem__)


def test_a_whole_table() -> None:
    selection = read(
        {
            "allow": ["Small_Thing", "zope.*"],
            "requirements": ["req.txt"],
            "versions": {"django": "!=4.1"},
            "with-dependencies": True,
            "pythons": ["3.12"],
            "platforms": ["linux"],
            "latest": 2,
            "prereleases": False,
            "metadata": {"license": "MIT*"},
        }
    )
    assert selection.filters.names.allow == {"small-thing", "zope-*", "django", "flask"}
    assert selection.roots == ("Small_Thing", "Django<5,>=4", "flask")
    assert selection.with_dependencies
    page = Project("django", tuple(File(f"django-{v}.tar.gz", "") for v in ("3.9", "4.0", "4.1")))
    assert set(selection.filters.excludes(page)) == {"django-3.9.tar.gz", "django-4.1.tar.gz"}


@pytest.mark.parametrize(
    ("after", "kept"),
    [
        ("2026-01-02", True),
        ("2026-01-02T03:04:05Z", True),
        ("2026-01-02T03:04:06", False),
        ("2026-01-02T05:04:05+02:00", True),
        ("2026-01-02T02:04:06-01:00", False),
        ("2026-01-03", False),
    ],
)
@pytest.mark.parametrize("fraction", ["", ".678901"])
def test_bounds_of_upload_times_are_times(after: str, kept: bool, fraction: str) -> None:
    filters = read({"uploaded-after": after}).filters
    made = f"2026-01-02T03:04:05{fraction}Z"
    page = Project("p", (File("p-1.tar.gz", "u", {}, upload_time=made),))
    assert (not filters.excludes(page)) == kept


@pytest.mark.parametrize(
    "table",
    [
        {"colour": "red"},
        {"latest": "2"},
        {"latest": True},
        {"latest": 0},
        {"regex": ["("]},
        {"versions": {"a": "=>1"}},
        {"pythons": ["three"]},
        {"allow": "flask"},
        {"allow": [""]},
        {"allow": [5]},
        {"pythons": [3.10]},
        {"max-size": -5},
        {"max-size": 0},
        {"uploaded-after": "yesterday"},
        {"uploaded-before": "2026-13-01"},
        {"metadata": {"licence": "MIT"}},
        {"metadata": {"license": 7}},
        {"metadata": {"license": []}},
        {"metadata": {"license": [""]}},
        {"metadata": {"requires-python": ">=3.8"}},
    ],
)
def test_senseless_tables_name_the_key(table: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=next(iter(table))):
        read(table)
