from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest
from tests.simple.fixture_index import FixtureIndex, sdist, wheel

from dpip.cli import main
from dpip.resolve.place import FILE_NAME


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FixtureIndex:
    monkeypatch.setenv("DPIP_CACHE_DIR", str(tmp_path / "cache"))
    index = FixtureIndex()
    index.add("app", wheel("app", "1.0", requires=["lib>=1", 'tool ; extra == "x"']))
    index.add("lib", wheel("lib", "1.0"), wheel("lib", "2.0"), wheel("lib", "3.0", yanked="bad"))
    index.add("tool", sdist("tool", "0.1", requires=["lib<2"]))
    return index


def run(*words: str) -> int:
    return main.main(["resolve", *words])


def pins(text: str) -> dict[str, str]:
    lines = [line.split()[0] for line in text.splitlines() if "==" in line]
    return dict(line.split("==") for line in lines)


def test_the_closure_with_url_and_hash(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    with index:
        assert run("app", "--index-url", index.url) == 0
        out = capsys.readouterr().out
    archive = index.projects["lib"][1]
    assert pins(out) == {"app": "1.0", "lib": "2.0"}
    assert f"--hash=sha256:{archive.sha256}" in out
    assert f"# {index.origin}/packages/{archive.filename}" in out


def test_extras_and_static_sdists(index: FixtureIndex, capsys: pytest.CaptureFixture[str]) -> None:
    with index:
        assert run("app[x]", "--index-url", index.url) == 0
    assert pins(capsys.readouterr().out) == {"app": "1.0", "lib": "1.0", "tool": "0.1"}


def test_files_of_requirements_constraints_and_overrides(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.in").write_text("-r two.in\n")
    with index:
        (tmp_path / "two.in").write_text(f"--index-url {index.url}\napp # the app\n")
        (tmp_path / "bound.txt").write_text("lib<2\n")
        assert run("-r", str(tmp_path / "one.in"), "-c", str(tmp_path / "bound.txt")) == 0
        assert pins(capsys.readouterr().out) == {"app": "1.0", "lib": "1.0"}
        (tmp_path / "instead.txt").write_text("lib==3.0\n")
        words = ["-r", str(tmp_path / "one.in"), "--override", str(tmp_path / "instead.txt")]
        assert run(*words) == 0
        assert pins(capsys.readouterr().out) == {"app": "1.0", "lib": "3.0"}


def test_no_answer_is_explained_and_exits_1(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    with index:
        assert run("app", "lib<1", "--index-url", index.url) == 1
        out, err = capsys.readouterr()
        assert out == ""
        assert "lib" in err
        assert run("app", "lib<1", "--index-url", index.url, "--json") == 1
        assert json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    "words",
    [["lib=="], ["lib>=1.*.2"], ["-r", "/no/such/file"], ["lib", "--exclude-newer", "soon"], []],
)
def test_bad_usage_exits_2(
    index: FixtureIndex, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with index:
        assert run(*words, "--index-url", index.url) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_formats_say_the_same(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with index:
        lock, data = tmp_path / "pylock.toml", tmp_path / "answer.json"
        assert run("app", "--index-url", index.url, "-o", str(lock)) == 0
        assert run("app", "--index-url", index.url, "-o", str(data)) == 0
    assert capsys.readouterr().out == ""
    locked = tomllib.loads(lock.read_text())
    told = json.loads(data.read_text())
    assert [(p["name"], p["version"]) for p in locked["packages"]] == [
        (p["name"], p["version"]) for p in told["packages"]
    ]
    assert locked["packages"][0]["wheels"][0]["hashes"] == {"sha256": told["packages"][0]["sha256"]}


def test_an_answer_is_kept_and_revalidated(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in.txt").write_text("app\n")
    words = ["-r", str(tmp_path / "in.txt"), "--index-url"]
    with index:
        assert run(*words, index.url) == 0
        first = capsys.readouterr().out
        index.requests.clear()
        assert run(*words, index.url) == 0
        assert capsys.readouterr().out == first
        asked = {(seen.path, "if-none-match" in seen.headers) for seen in index.requests}
        assert asked == {("/simple/app/", True), ("/simple/lib/", True)}
        index.add("lib", wheel("lib", "2.5"))
        assert run(*words, index.url) == 0
        assert pins(capsys.readouterr().out)["lib"] == "2.5"
        (tmp_path / "in.txt").write_text("app\nlib<2\n")
        assert run(*words, index.url) == 0
        assert pins(capsys.readouterr().out)["lib"] == "1.0"


def test_offline_uses_what_is_stored_and_nothing_else(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    with index:
        assert run("app", "--index-url", index.url) == 0
        first = capsys.readouterr().out
        index.requests.clear()
        assert run("app", "--index-url", index.url, "--offline") == 0
        assert capsys.readouterr().out == first
        assert run("app", "lib", "--index-url", index.url, "--offline") == 0
        assert run("tool", "--index-url", index.url, "--offline") == 1
        assert index.requests == []


def test_files_of_find_links_are_hashed_and_go_into_every_format(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    ours = wheel("ours", "1.0", requires=["lib<3"])
    (folder / ours.filename).write_bytes(ours.content)
    with index:
        words = ["ours", "--index-url", index.url, "-f", str(folder)]
        assert run(*words) == 0
        out = capsys.readouterr().out
        assert pins(out) == {"lib": "2.0", "ours": "1.0"}
        assert f"--hash=sha256:{ours.sha256}" in out
        assert run(*words, "--format", "pylock") == 0
        packages = tomllib.loads(capsys.readouterr().out)["packages"]
        assert packages[1]["wheels"][0]["hashes"] == {"sha256": ours.sha256}
        assert run(*words, "--download", str(tmp_path / "got")) == 0
    assert {path.name for path in (tmp_path / "got").iterdir()} == {
        ours.filename,
        "lib-2.0-py3-none-any.whl",
    }


def test_the_first_index_that_has_a_name_keeps_it(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = FixtureIndex()
    extra.add("lib", wheel("lib", "1.5"))
    with index, extra:
        for words in (
            ["--index-url", index.url, "--extra-index-url", extra.url],
            ["--extra-index-url", extra.url, "--index-url", index.url],
        ):
            assert run("app", *words) == 0
            out = capsys.readouterr().out
            assert pins(out) == {"app": "1.0", "lib": "1.5"}
            assert f"# {extra.origin}/packages/" in out
        assert extra.count("/simple/app/") > 0


def test_an_extra_index_that_is_down_is_no_index_without_the_name(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    extra = FixtureIndex()
    with extra:
        down = extra.url
    with index:
        assert run("app", "--index-url", index.url, "--extra-index-url", down) == 1
    assert "cannot reach" in capsys.readouterr().err


def test_nothing_is_kept_with_no_cache(index: FixtureIndex, tmp_path: Path) -> None:
    with index:
        assert run("app", "--index-url", index.url, "--no-cache") == 0
    assert not (tmp_path / "cache" / FILE_NAME).exists()


def test_credentials_go_out_and_never_come_back(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    index.switches.credentials = ("me", "s3cret")
    with index:
        for suffix in ("txt", "toml", "json"):
            assert run("app", "--index-url", index.url, "-o", str(tmp_path / f"a.{suffix}")) == 0
            assert "s3cret" not in (tmp_path / f"a.{suffix}").read_text()
        assert run("none-such", "--index-url", index.url) == 1
    assert "s3cret" not in "".join(capsys.readouterr())
    for path in (tmp_path / "cache").rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()


def test_an_index_that_is_down_is_an_error_not_an_answer(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str]
) -> None:
    with index:
        url = index.url
    assert run("app", "--index-url", url) == 1
    assert "cannot reach" in capsys.readouterr().err
