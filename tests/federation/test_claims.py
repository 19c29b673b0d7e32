from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.federation.claims import (
    BadClaim,
    FileClaim,
    claim_of,
    digest_of,
    file_contents,
    page_of,
    project_contents,
    read_file,
    read_project,
)
from dpip.federation.news import farewell, news_of
from dpip.federation.rids import PypiFile, PypiProject
from dpip.koi import Bundle, EventType
from dpip.simple.model import File, Project

NAMES = [f"demo-{n}.0{kind}" for n in range(9) for kind in (".tar.gz", "-py3-none-any.whl")]
texts = st.none() | st.text("abc>=3.é ", max_size=8)
hashes = st.binary(min_size=32, max_size=32).map(bytes.hex)
metadata: st.SearchStrategy[dict[str, str] | None] = (
    st.none() | st.just({}) | hashes.map(lambda digest: {"sha256": digest})
)


@st.composite
def files(draw: st.DrawFn) -> File:
    name = draw(st.sampled_from(NAMES))
    return File(
        filename=name,
        url=f"https://index.invalid/{name}",
        hashes={"sha256": draw(hashes)},
        requires_python=draw(texts),
        size=draw(st.none() | st.integers(0, 2**40)),
        upload_time=draw(st.none() | st.just("2026-01-02T03:04:05.678901Z")),
        yanked=draw(texts),
        core_metadata=draw(metadata),
        provenance=draw(st.none() | st.just("https://index.invalid/provenance")),
    )


pages = st.builds(
    Project,
    name=st.just("demo"),
    files=st.lists(files(), max_size=6, unique_by=lambda file: file.filename).map(tuple),
    versions=st.lists(st.sampled_from(["1.0", "2.0", "3.0"]), unique=True).map(tuple),
    status=st.sampled_from(["active", "archived", "quarantined", "deprecated"]),
    status_reason=texts,
    last_serial=st.none() | st.integers(0, 2**40),
)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def over_the_wire(contents: dict[str, Any]) -> dict[str, Any]:
    found = Bundle.generate(PypiProject("demo"), contents).contents
    assert isinstance(found, dict)
    return found


@given(files(), st.none() | st.just("bafy"))
def test_a_file_survives_its_bundle(file: File, cid: str | None) -> None:
    contents = over_the_wire(file_contents(FileClaim(file, cid)))
    read = read_file(file.filename, contents)
    assert (read.file, read.cid) == (file, cid)


@given(pages, st.randoms())
def test_a_page_survives_its_bundles_in_any_order(page: Project, order: Any) -> None:
    claim = read_project("demo", over_the_wire(project_contents(claim_of(page, "bafy"))))
    mixed = list(page.files)
    order.shuffle(mixed)
    made = page_of(claim, mixed)
    assert made is not None
    assert sorted(made.files, key=lambda f: f.filename) == sorted(
        page.files, key=lambda f: f.filename
    )
    assert (made.versions, made.status, made.status_reason, made.last_serial) == (
        page.versions,
        page.status,
        page.status_reason,
        page.last_serial,
    )


@given(pages.filter(lambda page: page.files))
def test_no_page_is_made_of_a_part_of_its_files(page: Project) -> None:
    claim = claim_of(page, None)
    assert page_of(claim, page.files[1:]) is None
    assert page_of(claim, (*page.files, page.files[0])) is None


def test_a_file_without_a_hash_is_not_spoken_of() -> None:
    file = File("demo-1.tar.gz", "https://index.invalid/demo-1.tar.gz")
    assert digest_of([file]) is None
    page = Project("demo", (file,))
    assert page_of(claim_of(page, None), ()) is None
    [project] = news_of(page, page="bafy", cids={}, said=[], at=NOW)
    assert project.rid == PypiProject("demo")


@pytest.mark.parametrize(
    "changes",
    [
        {"filename": "other.tar.gz"},
        {"hashes": {}},
        {"hashes": {"sha256": "ab"}},
        {"url": "file:///etc/passwd"},
        {"url": 3},
        {"size": -1},
        {"yanked": []},
    ],
)
def test_what_is_no_file_is_refused(changes: dict[str, Any]) -> None:
    file = File("demo-1.tar.gz", "https://index.invalid/x", {"sha256": "0" * 64}, size=1)
    good = file_contents(FileClaim(file))
    read_file("demo-1.tar.gz", good)
    with pytest.raises(BadClaim):
        read_file("demo-1.tar.gz", {**good, **changes})


@pytest.mark.parametrize("contents", [{}, {"name": "other"}, {"name": "demo", "serial": "x"}, []])
def test_what_is_no_project_is_refused(contents: Any) -> None:
    with pytest.raises(BadClaim):
        read_project("demo", contents)


def test_files_that_are_gone_are_forgotten_and_the_project_comes_last() -> None:
    kept = File("demo-2.tar.gz", "https://index.invalid/2", {"sha256": "0" * 64})
    gone = PypiFile("demo", "demo-1.tar.gz")
    news = news_of(
        Project("demo", (kept,)),
        page="bafy",
        cids={"0" * 64: "bafyfile"},
        said=[gone, PypiFile("demo", "demo-2.tar.gz")],
        at=NOW,
    )
    assert [(str(one.rid), one.event_type) for one in news] == [
        ("orn:pypi.file:demo/demo-2.tar.gz", None),
        ("orn:pypi.file:demo/demo-1.tar.gz", EventType.FORGET),
        ("orn:pypi.project:demo", None),
    ]
    assert (news[0].contents or {})["cid"] == "bafyfile"
    assert [one.event_type for one in farewell("demo", [gone])] == [EventType.FORGET] * 2
