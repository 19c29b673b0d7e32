from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.resolve import pages
from dpip.resolve.errors import BadAnswer
from dpip.resolve.facts import CandidateFile

JSON = "application/vnd.pypi.simple.v1+json"
URL = "https://index.example/simple/demo/"
INDEX = "https://index.example/simple/"
SHA = "ab" * 32


def page(*files: dict[str, object]) -> bytes:
    return json.dumps({"meta": {"api-version": "1.4"}, "name": "demo", "files": files}).encode()


def row(filename: str, **more: object) -> dict[str, object]:
    return {"filename": filename, "url": f"../../f/{filename}", "hashes": {}, **more}


def read(body: bytes, kind: str = JSON) -> dict[str, tuple[CandidateFile, ...]]:
    record = pages.decode(pages.encode(pages.parse(body, kind, "demo", URL, INDEX)))
    project = pages.project(record)
    return dict(zip(project.versions, project.files, strict=True))


def test_a_json_file_keeps_every_field() -> None:
    found = read(
        page(
            row(
                "demo-1.0-py3-none-any.whl",
                hashes={"sha256": SHA.upper()},
                size=7,
                yanked="broken",
                **{
                    "requires-python": ">=3.9",
                    "upload-time": "2026-01-02T03:04:05Z",
                    "core-metadata": {"sha256": SHA},
                },
            )
        )
    )
    assert found["1.0"] == (
        CandidateFile(
            "demo-1.0-py3-none-any.whl",
            "https://index.example/f/demo-1.0-py3-none-any.whl",
            "wheel",
            SHA,
            7,
            ">=3.9",
            "broken",
            1767323045.0,
            SHA,
            INDEX,
        ),
    )


def test_versions_are_sorted_once_newest_first_and_by_value() -> None:
    names = ["demo-1.0.tar.gz", "demo-1.10-py3-none-any.whl", "demo-1.9.tar.gz", "demo-1.0.0.zip"]
    found = read(page(*[row(name) for name in names]))
    assert list(found) == ["1.10", "1.9", "1.0"]
    assert [file.filename for file in found["1.0"]] == ["demo-1.0.tar.gz", "demo-1.0.0.zip"]


def test_names_that_say_no_version_of_this_project_are_left_out() -> None:
    names = ["demo-what.tar.gz", "other-1.0.tar.gz", "demo-1.0.exe", "demo-1.0-py3.whl", ""]
    assert read(page(*[row(name) for name in names])) == {}


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"core-metadata": True}, ""),
        ({"core-metadata": False}, None),
        ({}, None),
        ({"data-dist-info-metadata": {"sha256": SHA}}, SHA),
        ({"dist-info-metadata": {"md5": "1"}}, ""),
    ],
)
def test_metadata_marks(told: dict[str, object], expected: str | None) -> None:
    (file,) = read(page(row("demo-1.0-py3-none-any.whl", **told)))["1.0"]
    assert file.metadata_sha256 == expected


HTML = f"""<!DOCTYPE html><html><head><base href="https://files.example/base/"></head><body>
<!-- <a href="demo-0.1.tar.gz">demo-0.1.tar.gz</a> -->
<a href="demo-1.0.tar.gz#sha256={SHA}" data-requires-python="&gt;=3.9,<4">demo-1.0.tar.gz</a>
<A data-yanked HREF='demo%2B-2.0-py3-none-any.whl'>x</A>
<a href="https://other.example/demo-2.0-py3-none-any.whl?x=1" data-core-metadata="sha256={SHA}"
   data-yanked="why &amp; how">demo-2.0-py3-none-any.whl</a></body></html>"""


def test_html_is_read_as_browsers_read_it() -> None:
    found = read(HTML.encode(), "text/html")
    assert list(found) == ["2.0", "1.0"]
    (newer,) = found["2.0"]
    assert (newer.yanked, newer.metadata_sha256) == ("why & how", SHA)
    (older,) = found["1.0"]
    assert older.url == "https://files.example/base/demo-1.0.tar.gz"
    assert (older.sha256, older.requires_python) == (SHA, ">=3.9,<4")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "piece",
    ["<a href=x>", "<a '", '<a "', "<!--", "<a><", "<a>x<b", "<base '", "<a x= ", "<a x =", "<"],
)
def test_a_page_costs_time_by_its_length_alone(piece: str) -> None:
    body = ("<a>" + piece * (500_000 // len(piece))).encode()
    pages.parse(body, "text/html", "demo", URL, INDEX)


def test_anchors_and_comments_that_do_not_end() -> None:
    text = '<a href="demo-1.0.tar.gz">x<a href="demo-2.0.tar.gz"><b>y<!-- <a href="demo-3.0.zip">'
    assert list(read(text.encode(), "text/html")) == ["2.0", "1.0"]
    named = '<a href="/d?id=1"> demo-1.0<i>.tar.gz</i>\n</a><a href="demo-2.0.zip'
    assert list(read(named.encode(), "text/html")) == ["1.0"]


@pytest.mark.parametrize("body", [b"", b"\x00\x01", b'{"files": 3}', b"[1]", b'{"files": [{}]}'])
def test_garbage_is_an_error_with_a_name(body: bytes) -> None:
    with pytest.raises(BadAnswer):
        pages.parse(body, JSON, "demo", URL, INDEX)


def test_a_page_of_another_major_version_is_refused() -> None:
    body = b'{"meta": {"api-version": "2.0"}, "files": []}'
    with pytest.raises(BadAnswer, match=r"2\.0"):
        pages.parse(body, JSON, "demo", URL, INDEX)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_page_or_a_named_error(body: bytes) -> None:
    for kind in (JSON, "text/html"):
        with contextlib.suppress(BadAnswer):
            pages.parse(body, kind, "demo", URL, INDEX)
