"""Words of `dpip resolve` that pip has too, each from end to end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.simple.fixture_index import FixtureIndex, sdist, wheel

from dpip.cli import main


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FixtureIndex:
    monkeypatch.setenv("DPIP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    index = FixtureIndex()
    index.add("app", wheel("app", "1.0", requires=["lib"]), wheel("app", "2.0a1"))
    index.add("lib", wheel("lib", "1.0"), wheel("lib", "2.0b1"), sdist("lib", "1.5"))
    return index


def pins(index: FixtureIndex, capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, str]:
    assert main.main(["resolve", "--index-url", index.url, *words]) == 0, capsys.readouterr().err
    lines = [line.split()[0] for line in capsys.readouterr().out.splitlines() if "==" in line]
    return dict(line.split("==") for line in lines)


def test_dependency_groups(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = '[dependency-groups]\none = ["lib"]\ntwo = [{include-group = "one"}, "app"]\n'
    (tmp_path / "pyproject.toml").write_text(text)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "pyproject.toml").write_text('[dependency-groups]\none = ["lib<1.5"]\n')
    with index:
        assert pins(index, capsys, "--group", "two") == {"app": "1.0", "lib": "1.5"}
        assert pins(index, capsys, "--group", "sub/pyproject.toml:one") == {"lib": "1.0"}
        (tmp_path / "pyproject.toml").write_text(text.replace('"lib"', '"lib<1.5"'))
        assert pins(index, capsys, "--group=two") == {"app": "1.0", "lib": "1.0"}
        assert main.main(["resolve", "--index-url", index.url, "--group", "three"]) == 2
        assert (
            main.main(["resolve", "--index-url", index.url, "--group", "no/pyproject.toml:a"]) == 2
        )
    assert "cannot read no/pyproject.toml" in capsys.readouterr().err


def test_scripts_say_what_they_need(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    block = '# /// script\n# requires-python = ">={}"\n# dependencies = ["app"]\n# ///\n'
    (tmp_path / "run.py").write_text(block.format("3.8"))
    words = ("--requirements-from-script", "run.py")
    with index:
        assert pins(index, capsys, *words) == {"app": "1.0", "lib": "1.5"}
        (tmp_path / "run.py").write_text(block.format("3.99"))
        assert main.main(["resolve", "--index-url", index.url, *words]) == 2
        assert "run.py needs Python >=3.99" in capsys.readouterr().err
        assert pins(index, capsys, *words, "--python-version", "3.99") == {
            "app": "1.0",
            "lib": "1.5",
        }


def test_pre_releases_by_name(index: FixtureIndex, capsys: pytest.CaptureFixture[str]) -> None:
    with index:
        assert pins(index, capsys, "app", "--pre") == {"app": "2.0a1"}
        assert pins(index, capsys, "app", "--all-releases", "lib") == {"app": "1.0", "lib": "2.0b1"}
        assert pins(index, capsys, "app", "--pre", "--only-final", "app") == {
            "app": "1.0",
            "lib": "2.0b1",
        }
        words = ["resolve", "--index-url", index.url, "lib>1.5", "--only-final", ":all:"]
        assert main.main(words) == 1
    said = capsys.readouterr().err
    assert "lib 2.0b1 is no final release (--only-final)" in said
    assert "hint: let pre-releases of lib be used" in said


def test_hashes_for_everything_or_nothing(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    app, lib = index.projects["app"][0].sha256, index.projects["lib"][0].sha256
    pinned = f"--require-hashes\napp==1.0 --hash=sha256:{app}\n"
    (tmp_path / "r.txt").write_text(pinned + f"lib==1.0 --hash=sha256:{lib}\n")
    with index:
        assert pins(index, capsys, "-r", "r.txt") == {"app": "1.0", "lib": "1.0"}
        (tmp_path / "r.txt").write_text(pinned)
        assert main.main(["resolve", "--index-url", index.url, "-r", "r.txt", "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert "no file of lib" in json.dumps(told)


def test_a_requirements_file_by_url(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "with space.txt").write_bytes("lib<1.5  # ü\n".encode("utf-16"))
    with index:
        assert pins(index, capsys, "-r", (tmp_path / "with space.txt").as_uri()) == {"lib": "1.0"}
