"""Every clause of the index protocol that a client can see, against the application itself."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.simple.fakes import Answer, FakeFiles, FakePages, application, ask

from dpip.simple.model import File, Project
from dpip.simple.repository import UpstreamInvalid, UpstreamUnavailable

PIP = (
    "application/vnd.pypi.simple.v1+json, "
    "application/vnd.pypi.simple.v1+html; q=0.1, text/html; q=0.01"
)
UV = (
    "application/vnd.pypi.simple.v1+json, "
    "application/vnd.pypi.simple.v1+html;q=0.2, text/html;q=0.01"
)
JSON = "application/vnd.pypi.simple.v1+json"
CONTENT = b"wheel" * 10_000
SHA = hashlib.sha256(CONTENT).hexdigest()
DEMO = Project(
    name="demo",
    files=(
        File(
            "demo-1.0-py3-none-any.whl",
            "http://upstream/a/demo-1.0-py3-none-any.whl",
            {"sha256": SHA},
            requires_python=">=3.8",
            size=len(CONTENT),
            upload_time="2026-01-02T03:04:05.678901Z",
            provenance="http://upstream/p",
        ),
        File("demo-0.9.tar.gz", "http://upstream/a/demo-0.9.tar.gz", size=3, yanked="old & <bad>"),
    ),
    versions=("0.9", "1.0"),
    last_serial=77,
)


@pytest.fixture
def pages() -> FakePages:
    pages = FakePages()
    pages.add(DEMO)
    return pages


@pytest.fixture
def files(tmp_path: Path) -> FakeFiles:
    files = FakeFiles(tmp_path)
    files.add(CONTENT)
    files.sidecars[SHA] = b"Metadata-Version: 2.1\n"
    return files


class Client:
    """Asks one application."""

    def __init__(self, pages: FakePages, files: FakeFiles) -> None:
        self.application = application(pages, files)

    def get(self, path: str, headers: Mapping[str, str] | None = None, **options: Any) -> Answer:
        return asyncio.run(ask(self.application, path, headers, **options))


@pytest.fixture
def client(pages: FakePages, files: FakeFiles) -> Client:
    return Client(pages, files)


def file_path(name: str = "demo-1.0-py3-none-any.whl") -> str:
    return f"/files/{SHA}/{name}"


# Project pages


def test_html_without_accept(client: Client) -> None:
    answer = client.get("/simple/demo/")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    text = answer.body.decode()
    assert '<meta name="pypi:repository-version" content="1.4">' in text
    assert f'href="../../files/{SHA}/demo-1.0-py3-none-any.whl#sha256={SHA}"' in text
    assert 'data-requires-python="&gt;=3.8"' in text
    assert 'data-yanked="old &amp; &lt;bad&gt;"' in text
    assert 'data-core-metadata="true"' in text
    assert 'data-dist-info-metadata="true"' in text


@pytest.mark.parametrize("accept", [PIP, UV, JSON, "application/vnd.pypi.simple.latest+json"])
def test_json_for_those_who_ask(client: Client, accept: str) -> None:
    answer = client.get("/simple/demo/", {"Accept": accept})
    assert answer.headers["content-type"] == JSON
    page = json.loads(answer.body)
    assert page["meta"] == {"api-version": "1.4", "_last-serial": 77}
    assert page["name"] == "demo"
    assert page["versions"] == ["0.9", "1.0"]
    assert page["project-status"] == {"status": "active"}
    wheel, sdist = page["files"]
    assert wheel["url"] == f"../../files/{SHA}/demo-1.0-py3-none-any.whl"
    assert wheel["hashes"] == {"sha256": SHA}
    assert wheel["size"] == len(CONTENT)
    assert wheel["upload-time"] == "2026-01-02T03:04:05.678901Z"
    assert wheel["core-metadata"] is True
    assert wheel["yanked"] is False
    assert wheel["provenance"] == "http://upstream/p"
    assert "dist-info-metadata" not in wheel
    assert sdist["yanked"] == "old & <bad>"
    assert sdist["hashes"] == {}
    assert re.fullmatch(r"\.\./\.\./files/url-[0-9a-f]{64}/demo-0\.9\.tar\.gz", sdist["url"])


def test_both_forms_list_the_same_files(client: Client) -> None:
    html = client.get("/simple/demo/").body.decode()
    page = json.loads(client.get("/simple/demo/", {"Accept": JSON}).body)
    assert re.findall(r">([^<>]+)</a>", html) == [row["filename"] for row in page["files"]]


def test_a_form_that_is_not_had_is_406(client: Client) -> None:
    answer = client.get("/simple/demo/", {"Accept": "application/vnd.pypi.simple.v2+json"})
    assert answer.status == 406
    assert json.loads(answer.body)["error"] == "not-acceptable"


def test_the_format_parameter_wins(client: Client) -> None:
    answer = client.get("/simple/demo/", {"Accept": "text/html"}, query=f"format={JSON}")
    assert answer.headers["content-type"] == JSON
    assert client.get("/simple/demo/", query="format=text/plain").status == 406


def test_headers_of_a_page(client: Client) -> None:
    headers = client.get("/simple/demo/").headers
    assert headers["vary"] == "Accept, Accept-Encoding"
    assert re.fullmatch(r"max-age=\d\d?", headers["cache-control"])
    assert headers["x-pypi-last-serial"] == "77"
    assert headers["etag"].startswith('"')
    assert "warning" not in headers


def test_gzip_for_those_who_take_it(client: Client) -> None:
    plain = client.get("/simple/demo/")
    zipped = client.get("/simple/demo/", {"Accept-Encoding": "br, gzip"})
    assert zipped.headers["content-encoding"] == "gzip"
    assert gzip.decompress(zipped.body) == plain.body
    assert int(zipped.headers["content-length"]) == len(zipped.body)
    refused = client.get("/simple/demo/", {"Accept-Encoding": "gzip;q=0, identity"})
    assert refused.body == plain.body


def test_each_form_has_its_own_etag(client: Client) -> None:
    wishes: list[dict[str, str]] = [
        {},
        {"Accept": JSON},
        {"Accept-Encoding": "gzip"},
        {"Accept": "application/vnd.pypi.simple.v1+html"},
        {"Accept": JSON, "Accept-Encoding": "gzip"},
    ]
    tags = {client.get("/simple/demo/", wish).headers["etag"] for wish in wishes}
    assert len(tags) == len(wishes)


@pytest.mark.parametrize("form", ["{}", "W/{}", '"other", {}', '"a" , W/{}', "*"])
def test_304_for_those_who_have_it(client: Client, form: str) -> None:
    etag = client.get("/simple/demo/").headers["etag"]
    answer = client.get("/simple/demo/", {"If-None-Match": form.format(etag)})
    assert (answer.status, answer.body) == (304, b"")
    assert answer.headers["etag"] == etag
    assert "content-length" not in answer.headers


def test_200_for_those_who_have_another(client: Client, pages: FakePages) -> None:
    etag = client.get("/simple/demo/").headers["etag"]
    pages.add(replace(DEMO, status="archived"))
    assert client.get("/simple/demo/", {"If-None-Match": etag}).status == 200
    json_etag = client.get("/simple/demo/", {"Accept": JSON}).headers["etag"]
    assert client.get("/simple/demo/", {"If-None-Match": json_etag}).status == 200


def test_stale_pages_say_so(client: Client, pages: FakePages) -> None:
    pages.stored["demo"] = replace(pages.stored["demo"], stale=True)
    headers = client.get("/simple/demo/").headers
    assert headers["warning"].startswith("110")
    assert headers["x-dpip-stale"] == "1"
    assert headers["cache-control"] == "no-cache"


def test_a_page_that_is_not_in_memory(client: Client, pages: FakePages) -> None:
    pages.slow["demo"] = pages.stored.pop("demo")
    assert client.get("/simple/demo/").status == 200


def test_status_of_a_project(client: Client, pages: FakePages) -> None:
    pages.add(replace(DEMO, status="quarantined", status_reason="malware <x>"))
    page = json.loads(client.get("/simple/demo/", {"Accept": JSON}).body)
    assert page["project-status"] == {"status": "quarantined", "reason": "malware <x>"}
    assert page["files"] == []
    html = client.get("/simple/demo/").body.decode()
    assert '<meta name="pypi:project-status" content="quarantined">' in html
    assert '<meta name="pypi:project-status-reason" content="malware &lt;x&gt;">' in html


def test_a_page_without_all_sizes_claims_version_1_0(client: Client, pages: FakePages) -> None:
    pages.add(replace(DEMO, files=(replace(DEMO.files[0], size=None),)))
    page = json.loads(client.get("/simple/demo/", {"Accept": JSON}).body)
    assert page["meta"]["api-version"] == "1.0"
    assert "size" not in page["files"][0]


# Names


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/simple/Demo/", "../demo/"),
        ("/simple/Demo", "demo/"),
        ("/simple/demo", "demo/"),
        ("/simple/a_B.-c/", "../a-b-c/"),
        ("/simple", "simple/"),
    ],
)
def test_redirects_to_the_normalized_name(client: Client, path: str, location: str) -> None:
    answer = client.get(path)
    assert (answer.status, answer.headers["location"]) == (301, location)


def test_a_redirect_keeps_the_query(client: Client) -> None:
    answer = client.get("/simple/Demo/", query="format=text/html")
    assert answer.headers["location"] == "../demo/?format=text/html"


def test_a_redirect_carries_no_line_break(client: Client) -> None:
    answer = client.get("/simple/Demo/", query="a\r\nset-cookie: x")
    assert answer.headers["location"] == "../demo/"


@pytest.mark.parametrize(
    "path",
    [
        "/simple/../files/x/",
        "/simple//demo/",
        "/simple//evil.example/",
        "/simple/demo/more/",
        "/simple/..",
        "/simple/../",
        "/simple/a\\b/",
        "/simple/\0/",
        "/simple/demo\r\nx:y/",
        "/simple/-demo/",
        "/simple/dem\u00f6/",
        "/simple/" + "a" * 300 + "/",
        "/simple/%2e%2e/",
        "/files/",
        f"/files/{SHA}",
        f"/files/{SHA}/",
        f"/files/{SHA}/../x",
        f"/files/{SHA}/a/b",
        f"/files/{SHA}/..",
        f"/files/{SHA}/.hidden",
        f"/files/{SHA}/a\0b",
        "/files/../x/y",
        f"/files/{SHA[:-1]}/a.whl",
        f"/files/{SHA.upper()}/a.whl",
        f"/files/{SHA}/a\\b",
        "/other",
        f"/files/{SHA}/" + "a" * 300,
    ],
)
def test_path_tricks_are_refused(client: Client, path: str) -> None:
    answer = client.get(path)
    assert answer.status in {400, 404}
    assert json.loads(answer.body)["error"]
    assert answer.headers["cache-control"] == "no-store"


def test_an_unknown_project_is_404(client: Client) -> None:
    answer = client.get("/simple/unknown/")
    assert answer.status == 404
    assert json.loads(answer.body)["error"] == "project-not-found"
    assert len(answer.body) < 500


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
@pytest.mark.parametrize("path", ["/simple/", "/simple/demo/", f"/files/{SHA}/a.whl"])
def test_nothing_is_written_here(client: Client, method: str, path: str) -> None:
    answer = client.get(path, method=method)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("error", "status"), [(UpstreamUnavailable("down"), 504), (UpstreamInvalid("bad"), 502)]
)
def test_upstream_trouble(
    client: Client, pages: FakePages, files: FakeFiles, error: Exception, status: int
) -> None:
    pages.error = files.error = error
    for path in ("/simple/other/", "/simple/", f"/files/{'0' * 64}/a.whl"):
        assert client.get(path).status == status


# The root list


@pytest.mark.parametrize("entries", [0, 1, 10_000])
def test_root_list_streams(client: Client, pages: FakePages, entries: int) -> None:
    pages.entries = entries
    page = client.get("/simple/", {"Accept": PIP})
    rows = json.loads(page.body)["projects"]
    assert len(rows) == entries
    assert all(row["name"] == f"project-{n:06}" for n, row in enumerate(rows))
    html = client.get("/simple/", {"Accept-Encoding": "gzip"})
    names = re.findall(r'href="([^"]+)/"', gzip.decompress(html.body).decode())
    assert len(names) == entries
    if entries > 1000:
        assert page.pieces > 3
    assert "content-length" not in page.headers


def test_a_root_list_that_breaks_is_not_complete(client: Client, pages: FakePages) -> None:
    pages.entries, pages.break_after, pages.error = 10_000, 9_000, UpstreamUnavailable("gone")
    assert client.get("/simple/").broken


# Files


def test_a_file(client: Client) -> None:
    answer = client.get(file_path(), {"Accept-Encoding": "gzip"})
    assert (answer.status, answer.body) == (200, CONTENT)
    assert answer.headers["content-length"] == str(len(CONTENT))
    assert answer.headers["etag"] == f'"{SHA}"'
    assert answer.headers["accept-ranges"] == "bytes"
    assert "immutable" in answer.headers["cache-control"]
    assert "content-encoding" not in answer.headers


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-19", 10, 20),
        ("bytes=49990-", 49_990, 50_000),
        ("bytes=-10", 49_990, 50_000),
        ("bytes=-99999", 0, 50_000),
        ("bytes=49999-99999", 49_999, 50_000),
        ("Bytes = 1-2", 1, 3),
    ],
)
def test_ranges(client: Client, wanted: str, start: int, end: int) -> None:
    answer = client.get(file_path(), {"Range": wanted})
    assert answer.status == 206
    assert answer.body == CONTENT[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(CONTENT)}"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("wanted", ["bytes=50000-", "bytes=-0", "bytes=99999999999999999999999-"])
def test_ranges_that_cannot_be(client: Client, wanted: str) -> None:
    answer = client.get(file_path(), {"Range": wanted})
    assert answer.status == 416
    assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"


@pytest.mark.parametrize(
    "wanted", ["bytes=1-2,5-6", "bytes=5-1", "lines=1-2", "bytes=-", "bytes=a-b", ""]
)
def test_ranges_that_are_not_understood_give_the_whole_file(client: Client, wanted: str) -> None:
    answer = client.get(file_path(), {"Range": wanted})
    assert (answer.status, answer.body) == (200, CONTENT)


@pytest.mark.parametrize(
    ("condition", "status"), [(f'"{SHA}"', 206), ('"other"', 200), (f'W/"{SHA}"', 200)]
)
def test_if_range(client: Client, condition: str, status: int) -> None:
    answer = client.get(file_path(), {"Range": "bytes=0-1", "If-Range": condition})
    assert answer.status == status


def test_a_file_that_the_client_has(client: Client) -> None:
    answer = client.get(file_path(), {"If-None-Match": f'"{SHA}"', "Range": "bytes=0-1"})
    assert (answer.status, answer.body) == (304, b"")


@pytest.mark.parametrize("path", ["/simple/demo/", file_path(), file_path() + ".metadata"])
def test_head_says_what_get_says(client: Client, path: str) -> None:
    get, head = client.get(path), client.get(path, method="HEAD")
    assert head.headers == get.headers
    assert head.status == get.status


def test_metadata(client: Client) -> None:
    answer = client.get(file_path() + ".metadata")
    assert answer.body == b"Metadata-Version: 2.1\n"
    etag = answer.headers["etag"]
    assert client.get(file_path() + ".metadata", {"If-None-Match": etag}).status == 304
    assert client.get(f"/files/{'0' * 64}/a.whl.metadata").status == 404


def test_an_arriving_file_is_passed_on(client: Client, files: FakeFiles) -> None:
    key = "1" * 64
    files.arriving[key] = ([b"a" * 10, b"b" * 10, b"c"], 21, None)
    answer = client.get(f"/files/{key}/a.whl")
    assert answer.body == b"a" * 10 + b"b" * 10 + b"c"
    assert answer.headers["content-length"] == "21"
    part = client.get(f"/files/{key}/a.whl", {"Range": "bytes=5-11"})
    assert (part.status, part.body) == (206, b"a" * 5 + b"b" * 2)
    files.arriving[key] = ([b"a", b"b"], None, None)
    unsized = client.get(f"/files/{key}/a.whl", {"Range": "bytes=1-"})
    assert (unsized.status, unsized.body) == (200, b"ab")


@pytest.mark.parametrize("size", [21, None])
@pytest.mark.parametrize("wanted", [{}, {"Range": "bytes=0-11"}])
def test_a_wrong_file_is_never_complete(
    client: Client, files: FakeFiles, size: int | None, wanted: dict[str, str]
) -> None:
    key = "1" * 64
    files.arriving[key] = ([b"a" * 10, b"b" * 10, b"c"], size, UpstreamInvalid("wrong hash"))
    answer = client.get(f"/files/{key}/a.whl", wanted)
    assert answer.broken
    assert len(answer.body) < int(answer.headers.get("content-length", 21))


def test_a_file_without_a_hash_is_not_kept_for_ever(client: Client, files: FakeFiles) -> None:
    files.arriving[f"url-{SHA}"] = ([CONTENT], len(CONTENT), None)
    answer = client.get(f"/files/url-{SHA}/a.whl")
    assert answer.status == 200
    assert "immutable" not in answer.headers["cache-control"]
