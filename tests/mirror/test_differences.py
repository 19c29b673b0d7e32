from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from dpip.mirror.differences import differences
from dpip.simple.model import File, Project

A, B = "a" * 64, "b" * 64


def page(**files: Any) -> Project:
    made = {"url": "", "hashes": {"sha256": A}}
    return Project("p", tuple(File(name, **(made | more)) for name, more in files.items()))


@pytest.mark.parametrize(
    ("index", "upstream", "stored", "kinds"),
    [
        (page(f={}), page(f={}), {"f": A}, []),
        (page(f={}), page(f={}), {}, ["missing"]),
        (page(), page(f={}), {}, ["missing"]),
        (None, page(f={}), {}, ["missing"]),
        (page(f={}), page(), {"f": A}, ["extra"]),
        (page(f={}), None, {"f": A}, ["extra"]),
        (page(f={}), page(f={}), {"f": B}, ["different"]),
        (page(f={}), page(f={"hashes": {"sha256": B}}), {"f": A}, ["different"]),
        (page(f={}), page(f={"yanked": "bad"}), {"f": A}, ["yanked"]),
        (page(f={"yanked": ""}), page(f={}), {"f": A}, ["yanked"]),
        (page(f={"hashes": {}}), page(f={"hashes": {}}), {"f": A}, []),
    ],
)
def test_what_differs(
    index: Project | None, upstream: Project | None, stored: dict[str, str], kinds: list[str]
) -> None:
    found = differences("p", index, upstream, stored, asked=True, whole=True)
    assert [one.kind for one in found] == kinds


def test_what_is_in_quarantine_upstream_is_not_missing_here() -> None:
    hidden = replace(page(f={}), status="quarantined")
    assert not list(differences("p", page(), hidden, {}, asked=True, whole=True))
    [found] = differences("p", page(f={}), hidden, {"f": A}, asked=True, whole=True)
    assert found.kind == "extra", "the index here still shows it"


def test_both_hashes_are_told() -> None:
    [one] = differences("p", page(f={}), page(f={}), {"f": B}, asked=True, whole=True)
    assert (one.filename, one.index, one.upstream, one.store) == ("f", A, A, B)


def test_a_home_that_passes_through_need_not_store_what_it_lists() -> None:
    assert not list(differences("p", page(f={}), page(f={}), {}, asked=True, whole=False))


def test_upstream_that_was_not_asked_is_not_compared() -> None:
    assert not list(differences("p", page(f={}), None, {"f": A}, asked=False, whole=True))
