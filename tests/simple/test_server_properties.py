"""Whatever a client sends, the answer is one of those that the protocol knows."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.simple.fakes import FakeFiles, FakePages, application, ask

from dpip.simple.conditions import Unsatisfiable, requested_span
from dpip.simple.model import Project

CONTENT = b"0123456789"
KEY = hashlib.sha256(CONTENT).hexdigest()
STATUSES = {200, 206, 301, 304, 400, 404, 405, 406, 416}

latin = st.text(st.characters(max_codepoint=255), max_size=40)
numbers = st.one_of(st.just(""), st.integers(0, 30).map(str))
ranges = st.one_of(latin, st.builds("bytes={}-{}".format, numbers, numbers))
accepts = st.lists(
    st.builds(
        "{};q={}".format,
        st.sampled_from(["text/html", "*/*", "text/*", "application/vnd.pypi.simple.v1+json", "x"]),
        st.sampled_from(["1", "0", "0.5", "7", "", "nan", "inf", "-1"]),
    ),
    max_size=3,
).map(", ".join)
headers = st.fixed_dictionaries(
    {},
    optional={
        "Range": ranges,
        "Accept": st.one_of(accepts, latin),
        "Accept-Encoding": st.one_of(latin, st.sampled_from(["gzip", "*;q=0", "gzip;q=nan"])),
        "If-None-Match": st.one_of(latin, st.just("*")),
        "If-Range": latin,
    },
)
names = st.one_of(
    latin, st.sampled_from(["demo", "Demo", "..", "", "demo/", "demo/../demo/", f"{KEY}/a.whl"])
)
paths = st.builds(
    "{}{}".format, st.sampled_from(["/simple/", "/files/", f"/files/{KEY}/", "/", "/simple"]), names
)


@settings(max_examples=150)
@given(
    path=paths,
    headers=headers,
    query=latin.filter(str.isascii),
    method=st.sampled_from(["GET", "HEAD", "POST"]),
)
@example(path="/simple/demo/", headers={"If-None-Match": "", "Accept": ""}, query="", method="GET")
def test_every_request_has_a_proper_answer(
    path: str, headers: dict[str, str], query: str, method: str
) -> None:
    pages = FakePages()
    pages.add(Project("demo"))
    with tempfile.TemporaryDirectory() as folder:
        files = FakeFiles(Path(folder))
        files.add(CONTENT)
        answer = asyncio.run(
            ask(application(pages, files), path, headers, method=method, query=query)
        )
    assert answer.status in STATUSES
    assert not answer.broken
    assert all("\n" not in value and "\r" not in value for value in answer.headers.values())
    if answer.status in {200, 206} and method == "GET" and "content-length" in answer.headers:
        assert int(answer.headers["content-length"]) == len(answer.body)


@given(first=numbers, last=numbers, size=st.integers(0, 20))
def test_spans_lie_in_the_file(first: str, last: str, size: int) -> None:
    try:
        span = requested_span(f"bytes={first}-{last}", size)
    except Unsatisfiable:
        assert not first or int(first) >= size
        return
    if span is not None:
        assert 0 <= span.start < span.end <= size
