"""What goes wrong with indexes and packages: a clear error, an exit code, nothing wrong kept."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.simple.fixture_index import FixtureIndex, sdist, wheel

from dpip.cli import main
from dpip.resolve import pages


@pytest.fixture
def index() -> Iterator[FixtureIndex]:
    with FixtureIndex() as index:
        index.add("app", wheel("app", "1.0", requires=["lib"]))
        index.add("lib", wheel("lib", "2.0"))
        yield index


def resolve(index: FixtureIndex, tmp_path: Path, *words: str) -> int:
    places = ["--index-url", index.url, "--cache-dir", str(tmp_path / "cache")]
    return main.main(["resolve", *words, *places])


def kept(tmp_path: Path) -> bytes:
    files = (path for path in (tmp_path / "cache").rglob("*") if path.is_file())
    return b"".join(path.read_bytes() for path in files)


def test_a_page_beyond_all_bounds(
    index: FixtureIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(pages, "MAX_PAGE", 200)
    assert resolve(index, tmp_path, "app") == 1
    assert "larger than 200 bytes" in capsys.readouterr().err


def test_garbage_for_a_page(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.switches.garbage_pages = True
    assert resolve(index, tmp_path, "app") == 1
    assert "/simple/app/" in capsys.readouterr().err
    index.switches.garbage_pages = False
    assert resolve(index, tmp_path, "app") == 0, "nothing of it was kept"


def test_a_page_that_cannot_be_read_names_the_chain(
    index: FixtureIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    index.add("top", wheel("top", "2.0", requires=["app>=1"]))
    monkeypatch.setattr(FixtureIndex, "page", garbage_for("lib"))
    assert resolve(index, tmp_path, "top[x]!=3") == 1
    said = capsys.readouterr().err
    assert "/simple/lib/" in said
    assert "needed by top[x]!=3 (the command line) > top 2.0 > app 1.0" in said
    assert resolve(index, tmp_path, "top", "--json") == 1
    told = json.loads(capsys.readouterr().err)
    assert told["context"]["project"] == "lib"
    assert told["context"]["chain"] == "top (the command line) > top 2.0 > app 1.0"
    assert resolve(index, tmp_path, "lib") == 1
    assert "needed by lib (the command line)" in capsys.readouterr().err


def garbage_for(name: str) -> Callable[[FixtureIndex, str], tuple[str, bytes]]:
    whole = FixtureIndex.page

    def page(index: FixtureIndex, project: str) -> tuple[str, bytes]:
        kind, body = whole(index, project)
        return kind, body[:-20] if project == name else body

    return page


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["app[=1"], "app[=1"),
        (["app; python > 3"], "python > 3"),
        (["app @ not a url"], "not a url"),
        (["app", "-c", "{bad}"], "bad.txt, line 2"),
        (["-r", "{bad}"], "bad.txt, line 2"),
        (["app", "--override", "{bad}"], "bad.txt, line 2"),
        (["-r", "{loop}"], "loop.txt"),
    ],
)
def test_malformed_words_are_named_with_their_place(
    index: FixtureIndex,
    tmp_path: Path,
    words: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "bad.txt").write_text("lib\nlib ~~ 3\n")
    (tmp_path / "loop.txt").write_text("-r loop.txt\nlib >\n")
    places = {"bad": str(tmp_path / "bad.txt"), "loop": str(tmp_path / "loop.txt")}
    assert resolve(index, tmp_path, *(word.format_map(places) for word in words)) == 2
    said = capsys.readouterr().err
    assert told in said
    assert "Traceback" not in said


def test_an_index_whose_hash_is_not_the_files_is_found_out(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.switches.metadata_lies = True
    assert resolve(index, tmp_path, "app") == 0, "the wheel itself tells"
    assert "lib==2.0" in capsys.readouterr().out
    true = index.projects["lib"][0]
    assert true.metadata is not None
    index.switches.metadata_lies = False
    lying = replace(true, metadata=true.metadata + b"Requires-Dist: other\n")
    index.add("other", wheel("other", "1.0"))
    index.projects["lib"] = [lying]
    out = str(tmp_path / "files")
    assert resolve(index, tmp_path / "anew", "app", "--download", out) == 1
    said = capsys.readouterr().err
    assert "lib" in said
    assert "differ" in said or "says" in said


def test_a_malformed_requirement_in_metadata_names_the_chain(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.projects["lib"] = [wheel("lib", "2.0", requires=["other >= what is this"])]
    assert resolve(index, tmp_path, "app") == 1
    said = capsys.readouterr().err
    assert "app" in said
    assert "lib" in said
    assert "what is this" in said


def test_metadata_of_another_project_names_the_chain(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = wheel("other", "2.0")
    index.projects["lib"] = [replace(other, filename="lib-2.0-py3-none-any.whl")]
    assert resolve(index, tmp_path, "app") == 1
    said = capsys.readouterr().err
    assert "app" in said
    assert "METADATA" in said


def test_circular_extras_come_to_an_end(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    requires = ['ring[b]; extra == "a"', 'ring[a]; extra == "b"', 'lib; extra == "a"']
    index.add("ring", wheel("ring", "1.0", requires=requires))
    assert resolve(index, tmp_path, "ring[b]") == 0
    out = capsys.readouterr().out
    assert "ring==1.0" in out
    assert "lib==2.0" in out


def test_a_failing_build_names_the_chain(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from tests.resolve.test_metadata import dynamic_sdist

    index.add("src", dynamic_sdist(b"raise RuntimeError('no luck today')"))
    index.add("top", wheel("top", "1.0", requires=["src"]))
    assert resolve(index, tmp_path, "top") == 1
    said = capsys.readouterr().err
    assert "top" in said
    assert "src" in said
    assert "no luck today" in said


def test_wrong_bytes_end_the_download_and_leave_none(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.switches.wrong_bytes = True
    assert resolve(index, tmp_path, "app", "--download", str(tmp_path / "files")) == 1
    assert "sha256" in capsys.readouterr().err
    assert list((tmp_path / "files").iterdir()) == []


def test_a_source_archive_with_wrong_bytes_is_not_read(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.projects["lib"] = [sdist("lib", "2.0")]
    index.switches.wrong_bytes = True
    assert resolve(index, tmp_path, "app") == 1
    assert "sha256" in capsys.readouterr().err
    index.switches.wrong_bytes = False
    assert resolve(index, tmp_path, "app") == 0


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/hostname",
        "FILE:/etc/hostname",
        "javascript:alert(1)",
        "http://[::1/x",
        "//[::1/x",
        "http://127.0.0.1:99999/x",
        "http:///x",
        "http://user@[/x",
    ],
)
@pytest.mark.parametrize("kind", ["json", "html"])
def test_an_index_that_names_no_address_loses_that_file_only(
    index: FixtureIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    url: str,
) -> None:
    index.switches.json = kind == "json"
    index.add("lib", wheel("lib", "3.0"))
    page = index.page

    def lying(name: str) -> tuple[str, bytes]:
        content_type, body = page(name)
        return content_type, re.sub(
            rb'(?<=")[^"]*/packages/lib-3\.0[^"#]*\.whl(?=["#])', url.encode(), body
        )

    monkeypatch.setattr(index, "page", lying)
    assert resolve(index, tmp_path, "app", "-o", str(tmp_path / "out.txt")) == 0
    assert "lib==2.0" in (tmp_path / "out.txt").read_text()


def test_nothing_is_kept_of_an_impossible_question(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert resolve(index, tmp_path, "app", "lib<1") == 1
    index.add("lib", wheel("lib", "0.5"))
    assert resolve(index, tmp_path, "app", "lib<1") == 0
    assert "lib==0.5" in capsys.readouterr().out
