"""JSON and HTML: what goes in comes out, and garbage never does more than raise."""

from __future__ import annotations

import asyncio
import contextlib
import json
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.simple import html_codec, json_codec
from dpip.simple.model import (
    File,
    Project,
    ProjectEntry,
    is_valid_filename,
    versions_of,
)
from dpip.simple.names import normalize
from dpip.simple.render import as_served, file_key, is_file_key, render
from dpip.simple.repository import UpstreamInvalid
from dpip.simple.root import (
    HtmlListReader,
    JsonListReader,
    ListReader,
    encode_html,
    encode_json,
)

text = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
digest = st.text("0123456789abcdef", min_size=64, max_size=64)
filenames = st.text(st.sampled_from("abAB019._-+ %&<\"'#?é"), min_size=1, max_size=30).filter(
    is_valid_filename
)
files = st.builds(
    File,
    filename=filenames,
    url=st.just("http://host/path"),
    hashes=st.one_of(st.just({}), digest.map(lambda d: {"sha256": d})),
    requires_python=st.one_of(st.none(), text.filter(bool)),
    size=st.one_of(st.none(), st.integers(0, 2**60)),
    upload_time=st.one_of(st.none(), st.just("2026-01-02T03:04:05.6Z")),
    yanked=st.one_of(st.none(), text),
    core_metadata=st.one_of(st.none(), st.just({}), digest.map(lambda d: {"sha256": d})),
    gpg_sig=st.one_of(st.none(), st.booleans()),
    provenance=st.one_of(st.none(), st.just("https://host/p?a=1&b=2")),
)
projects = st.builds(
    Project,
    name=st.from_regex(r"[a-z]([a-z-]*[a-z])?", fullmatch=True),
    files=st.lists(files, max_size=5).map(tuple),
    versions=st.lists(text, max_size=3).map(tuple),
    status=st.sampled_from(["active", "archived", "deprecated"]),
    status_reason=st.one_of(st.none(), text),
    last_serial=st.one_of(st.none(), st.integers(0, 2**59)),
)


def located(project: Project) -> Project:
    """Give each file the URL that a node would serve it at."""
    served = as_served(project, wheel_metadata=False).files
    return replace(
        project,
        files=tuple(
            replace(file, url=file.url.replace("../../", "http://host/")) for file in served
        ),
    )


@given(projects)
def test_json_round_trip(project: Project) -> None:
    project = located(project)
    assert json_codec.decode_project(json_codec.encode_project(project)) == project


@given(projects)
def test_html_round_trip_of_what_html_can_say(project: Project) -> None:
    project = located(project)
    raw = html_codec.encode_project(project)
    plain = tuple(replace(file, size=None, upload_time=None) for file in project.files)
    expected = replace(project, files=plain, versions=versions_of(plain))
    assert html_codec.decode_project(raw, name=project.name) == expected


@given(st.binary(max_size=300))
def test_garbage_raises_and_nothing_else(raw: bytes) -> None:
    for decode in (
        json_codec.decode_project,
        lambda raw: html_codec.decode_project(raw, name="x", base_url="http://h/"),
    ):
        with contextlib.suppress(UpstreamInvalid):
            assert isinstance(decode(raw), Project)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["name", "files", "meta", "filename", "url", "hashes", "yanked"]),
                inner,
            )
        ),
    )
)
def test_json_of_the_wrong_shape_raises_and_nothing_else(value: Any) -> None:
    with contextlib.suppress(UpstreamInvalid):
        json_codec.decode_project(json.dumps(value).encode())


@given(st.text(st.sampled_from("<>a href=\"'/&;!-#base"), max_size=200))
def test_tag_soup_raises_nothing(soup: str) -> None:
    html_codec.decode_project(soup.encode(), name="x", base_url="http://h/")


def one(html: str, base_url: str = "https://host/simple/x/") -> File:
    (file,) = html_codec.decode_project(html.encode(), name="x", base_url=base_url).files
    return file


@pytest.mark.parametrize(
    ("html", "url"),
    [
        ('<a href="x-1.whl">x</a>', "https://host/simple/x/x-1.whl"),
        ("<a href=../../f/x-1.whl>x", "https://host/f/x-1.whl"),
        ('<A HREF="/f/x-1.whl"\n>x</A>', "https://host/f/x-1.whl"),
        ('<base href="https://cdn/d/"><a href="x-1.whl">', "https://cdn/d/x-1.whl"),
        ('<base href="/d/"><base href="/e/"><a href="x-1.whl">', "https://host/d/x-1.whl"),
        ('<a href="//cdn/x-1.whl">x</a>', "https://cdn/x-1.whl"),
        ('<a href="x-1.whl?a=1&amp;b=2">x</a>', "https://host/simple/x/x-1.whl?a=1&b=2"),
        ('<a href=" x-1.whl ">x</a>', "https://host/simple/x/x-1.whl"),
    ],
)
def test_urls_in_html(html: str, url: str) -> None:
    assert (one(html).url, one(html).filename) == (url, "x-1.whl")


def test_attributes_in_html() -> None:
    sha = "A" * 64
    file = one(
        f'<a href="x-1%2B2.whl#sha256={sha}" data-requires-python="&gt;=3.8,&lt;4" data-yanked '
        'data-gpg-sig="true" data-provenance="https://p/">t</a>'
    )
    assert file.filename == "x-1+2.whl"
    assert file.sha256 == sha.lower()
    assert file.requires_python == ">=3.8,<4"
    assert file.yanked == ""
    assert file.gpg_sig is True
    assert file.provenance == "https://p/"


@pytest.mark.parametrize(
    ("attributes", "metadata"),
    [
        ("", None),
        ("data-dist-info-metadata=true", {}),
        ("data-dist-info-metadata=sha256=aa", {"sha256": "aa"}),
        ("data-core-metadata=sha256=bb data-dist-info-metadata=sha256=aa", {"sha256": "bb"}),
        ("data-core-metadata=false data-dist-info-metadata=true", None),
        ("data-core-metadata", {}),
    ],
)
def test_both_names_of_metadata_in_html(attributes: str, metadata: Any) -> None:
    assert one(f"<a href=x.whl {attributes}>x</a>").core_metadata == metadata


@pytest.mark.parametrize(
    ("keys", "metadata"),
    [
        ({}, None),
        ({"dist-info-metadata": True}, {}),
        ({"dist-info-metadata": {"sha256": "aa"}}, {"sha256": "aa"}),
        ({"core-metadata": {"sha256": "bb"}, "dist-info-metadata": True}, {"sha256": "bb"}),
        ({"core-metadata": False, "dist-info-metadata": True}, None),
    ],
)
def test_both_names_of_metadata_in_json(keys: dict[str, Any], metadata: Any) -> None:
    row = {"filename": "x.whl", "url": "u", "hashes": {}, **keys}
    raw = json.dumps({"name": "x", "files": [row]}).encode()
    assert json_codec.decode_project(raw).files[0].core_metadata == metadata


@pytest.mark.parametrize(
    ("value", "yanked"), [(False, None), (True, ""), ("", None), ("why", "why"), (None, None)]
)
def test_yanked_in_json(value: Any, yanked: str | None) -> None:
    row = {"filename": "x.whl", "url": "u", "hashes": {}, "yanked": value}
    raw = json.dumps({"name": "x", "files": [row]}).encode()
    assert json_codec.decode_project(raw).files[0].yanked == yanked


@pytest.mark.parametrize(
    ("version", "ok"), [("1.0", True), ("1.99", True), ("2.0", False), ("0.9", False), ("x", False)]
)
def test_other_major_versions_are_refused(version: str, ok: bool) -> None:
    page = json.dumps({"meta": {"api-version": version}, "name": "x", "files": []}).encode()
    html = f'<meta name="pypi:repository-version" content="{version}">'.encode()
    if ok:
        json_codec.decode_project(page)
        html_codec.decode_project(html, name="x")
        return
    with pytest.raises(UpstreamInvalid, match="version"):
        json_codec.decode_project(page)
    with pytest.raises(UpstreamInvalid, match="version"):
        html_codec.decode_project(html, name="x")


@pytest.mark.parametrize("name", ["../x.whl", "a/b.whl", "..", ".", "a\\b", "a\0", "", "C:x", "\n"])
def test_files_that_could_leave_their_folder_are_left_out(name: str) -> None:
    good = {"filename": "x-1.whl", "url": "u", "hashes": {}}
    bad = {"filename": name, "url": "u", "hashes": {}}
    raw = json.dumps({"name": "x", "files": [bad, good]}).encode()
    assert [file.filename for file in json_codec.decode_project(raw).files] == ["x-1.whl"]
    html = '<a href="..%2Fx.whl">a</a><a href="https://h/%00.whl">b</a><a href="x-1.whl">c</a>'
    assert one(html).filename == "x-1.whl"


@pytest.mark.parametrize(
    ("filename", "version"),
    [
        ("a_b-1.0-py3-none-any.whl", "1.0"),
        ("a_b-1.0-1-py3-none-any.whl", "1.0"),
        ("a-b-1.0.tar.gz", "1.0"),
        ("a-b-2.0rc1.zip", "2.0rc1"),
        ("nothing.tar.gz", None),
        ("a.exe", None),
    ],
)
def test_versions_are_read_from_names_where_the_source_is_silent(
    filename: str, version: str | None
) -> None:
    assert versions_of([File(filename, "u")]) == ((version,) if version else ())


# Rendering


@given(projects)
def test_every_file_has_a_key_that_the_server_takes(project: Project) -> None:
    for file in project.files:
        assert is_file_key(file_key(file))
        assert (file_key(file) == file.sha256) == (file.sha256 is not None)


def test_a_hash_that_is_none_does_not_become_a_path() -> None:
    assert file_key(File("x.whl", "u", {"sha256": "../../etc"})).startswith("url-")


def test_rendering_is_the_same_every_time() -> None:
    project = Project("x", (File("x-1.whl", "u", {"sha256": "a" * 64}),))
    assert render(project) == render(project)
    assert render(project).etag != render(replace(project, status="archived")).etag


# The root list


def rows(count: int) -> list[ProjectEntry]:
    return [ProjectEntry(f"Name.{number}", number) for number in range(count)]


async def stream(entries: Sequence[ProjectEntry]) -> AsyncIterator[ProjectEntry]:
    for entry in entries:
        yield entry


def gather(pieces: AsyncIterator[bytes]) -> bytes:
    async def main() -> bytes:
        return b"".join([piece async for piece in pieces])

    return asyncio.run(main())


def read(reader: ListReader, raw: bytes, step: int) -> list[ProjectEntry]:
    found: list[ProjectEntry] = []
    for start in range(0, len(raw), step):
        found += reader.feed(raw[start : start + step])
    return found + list(reader.finish())


@given(count=st.integers(0, 30), step=st.integers(1, 400))
def test_root_lists_survive_every_cut(count: int, step: int) -> None:
    entries = rows(count)
    assert read(JsonListReader(), gather(encode_json(stream(entries))), step) == entries
    from_html = read(HtmlListReader(), gather(encode_html(stream(entries))), step)
    assert [entry.name for entry in from_html] == [normalize(entry.name) for entry in entries]


@given(step=st.integers(1, 200))
def test_root_lists_of_other_shapes(step: int) -> None:
    raw = json.dumps(
        {
            "projects": [{"name": "a},{", "x": [{}, {"y": 1}]}, {"name": "b", "_last-serial": 3}],
            "meta": {"api-version": "1.1", "odd": {"projects": [1, 2]}},
        }
    ).encode()
    assert read(JsonListReader(), raw, step) == [ProjectEntry("b", 3)]
    nested = b'{"meta": {"a": {"projects": []}}, "projects" : [ {"name": "c"} ] }'
    assert read(JsonListReader(), nested, step) == [ProjectEntry("c")]


@given(cut=st.integers(1, 400))
def test_a_json_root_list_that_is_broken_off_is_found_out(cut: int) -> None:
    raw = gather(encode_json(stream(rows(10))))
    with pytest.raises(UpstreamInvalid):
        read(JsonListReader(), raw[:-cut] if cut < len(raw) else b"", 50)


def test_root_lists_take_constant_memory() -> None:
    raw = gather(encode_json(stream(rows(50_000))))
    reader = JsonListReader()
    tracemalloc.start()
    try:
        count = 0
        for start in range(0, len(raw), 65536):
            count += len(reader.feed(raw[start : start + 65536]))
        count += len(reader.finish())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 50_000
    assert peak < 2 * 2**20 < len(raw) * 2


def test_a_root_list_without_rows_for_megabytes_is_refused() -> None:
    with pytest.raises(UpstreamInvalid, match="megabytes"):
        read(JsonListReader(), b" " * 10_000_000, 100_000)


@pytest.mark.parametrize(
    ("said", "expected"),
    [(12, 12), ("12", 12), ("", None), ("x1", None), ("9" * 40, None), (None, None)],
)
def test_a_serial_may_be_written_as_text(said: object, expected: int | None) -> None:
    body = {"meta": {"api-version": "1.0", "_last-serial": said}, "name": "a", "files": []}
    assert json_codec.decode_project(json.dumps(body).encode()).last_serial == expected
