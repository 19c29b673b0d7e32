"""A line that was answered before: what it costs, and when it is asked anew."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.simple.fixture_index import FixtureIndex, Switches, wheel

from dpip.app import pip_settings
from dpip.cli import main, warm


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FixtureIndex:
    monkeypatch.setenv("DPIP_CACHE_DIR", str(tmp_path / "cache"))
    index = FixtureIndex(Switches(max_age=600))
    index.add("app", wheel("app", "1.0", requires=["lib"]))
    index.add("lib", wheel("lib", "1.0"))
    return index


def run(*words: str) -> int:
    return main.main(["resolve", *words])


def asks(index: FixtureIndex, *words: str) -> bool:
    """Say whether a run had to understand the line anew."""
    called: list[str] = []
    before = main._run

    def noted(name: str, argv: list[str]) -> int:
        called.append(name)
        return before(name, argv)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(main, "_run", noted)
        assert run(*words) == 0
    return bool(called)


def test_the_same_line_is_given_again_unasked(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.txt"
    with index:
        words = ["app", "--index-url", index.url, "-o", str(out)]
        assert asks(index, *words)
        first = out.read_bytes()
        out.unlink()
        index.requests.clear()
        assert not asks(index, *words)
        assert out.read_bytes() == first
        assert index.requests == []
        assert asks(index, *words[:3])
        assert capsys.readouterr().out.encode() == first
        assert not asks(index, *words[:3])
        assert capsys.readouterr().out.encode() == first


def test_a_changed_file_is_read_again(index: FixtureIndex, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("-r more.txt\n")
    (tmp_path / "more.txt").write_text("app\n")
    out = tmp_path / "out.txt"
    with index:
        words = ["-r", str(tmp_path / "in.txt"), "--index-url", index.url, "-o", str(out)]
        assert asks(index, *words)
        assert not asks(index, *words)
        (tmp_path / "more.txt").write_text("lib\n")
        assert asks(index, *words)
        assert "app" not in out.read_text()


def test_an_answer_whose_term_has_ended_is_asked_again(
    index: FixtureIndex, monkeypatch: pytest.MonkeyPatch
) -> None:
    with index:
        words = ["app", "--index-url", index.url]
        assert asks(index, *words)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 601)
        assert asks(index, *words)


def test_variables_and_configuration_are_part_of_the_line(
    index: FixtureIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pip_conf = tmp_path / "pip.conf"
    monkeypatch.setenv("DPIP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(pip_conf))
    with index:
        pip_conf.write_text(f"[global]\nindex-url = {index.url}\n")
        assert asks(index, "app")
        assert not asks(index, "app")
        pip_conf.write_text(f"[global]\nindex-url = {index.url}\n# changed\n")
        assert asks(index, "app")
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        assert asks(index, "app")


def test_a_damaged_or_foreign_file_is_passed_over(index: FixtureIndex, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    with index:
        words = ["app", "--index-url", index.url, "-o", str(out)]
        assert asks(index, *words)
        (kept,) = (tmp_path / "cache" / warm.FOLDER).iterdir()
        whole, right = kept.read_bytes(), out.read_bytes()
        for damaged in (b"", whole[:-10], whole[:-10] + bytes(10), b"0" * 8 + whole[8:]):
            kept.write_bytes(damaged)
            out.unlink()
            assert asks(index, *words)
            assert out.read_bytes() == right


def test_refresh_forgets_the_lines(index: FixtureIndex, tmp_path: Path) -> None:
    out = tmp_path / "out.txt"
    with index:
        words = ["app", "--index-url", index.url, "-o", str(out)]
        assert asks(index, *words)
        index.add("lib", wheel("lib", "2.0"))
        assert asks(index, *words, "--refresh")
        assert "lib==2.0" in out.read_text()
        assert asks(index, *words)
        assert "lib==2.0" in out.read_text()


def test_local_find_links_are_watched(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    old, new = wheel("lib", "2.0"), wheel("lib", "3.0")
    (folder / old.filename).write_bytes(old.content)
    with index:
        for more in (["--index-url", index.url], ["--no-index"]):
            words = ["lib", "--find-links", str(folder), *more]
            assert asks(index, *words)
            assert not asks(index, *words)
            (folder / new.filename).write_bytes(new.content)
            capsys.readouterr()
            assert asks(index, *words)
            assert "lib==3.0" in capsys.readouterr().out
            (folder / new.filename).unlink()


def test_pip_is_believed_on_where_to_look_and_asked_once(
    index: FixtureIndex,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "wheels"
    folder.mkdir()
    ours = wheel("lib", "2.0")
    (folder / ours.filename).write_bytes(ours.content)
    monkeypatch.setenv("DPIP_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PIP_CONFIG_FILE", str(tmp_path / "pip.conf"))
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    asked: list[tuple[str, ...]] = []
    before = pip_settings._run_pip

    def noted(python: Path, words: tuple[str, ...], variables: dict[str, str]) -> str:
        asked.append(words)
        return before(python, words, variables)

    monkeypatch.setattr(pip_settings, "_run_pip", noted)
    with index:
        (tmp_path / "pip.conf").write_text(f"[global]\nindex-url = {index.url}\n")
        assert asks(index, "app")
        assert "lib==2.0" in capsys.readouterr().out
        assert not asks(index, "app")
        assert asks(index, "lib")
        assert asked == [("config", "list")]


@pytest.mark.parametrize("more", [["--no-cache"], ["--cache", "elsewhere"]])
def test_some_lines_are_never_kept(
    index: FixtureIndex, tmp_path: Path, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "wheels").mkdir()
    with index:
        words = ["app", "--index-url", index.url, *more]
        assert asks(index, *words)
        assert asks(index, *words)


def test_secrets_are_not_kept(
    index: FixtureIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index.switches.credentials = ("me", "s3cret")
    monkeypatch.setenv("PIP_EXTRA_INDEX_URL", "http://you:s3cret@127.0.0.1:9/simple/")
    with index:
        assert asks(index, "app", "--index-url", index.url)
        assert asks(index, "app", "--index-url", index.url)
    for path in (tmp_path / "cache").rglob("*"):
        assert not path.is_file() or b"s3cret" not in path.read_bytes()


def test_all_of_an_answer_comes_through_a_pipe(index: FixtureIndex) -> None:
    for number in range(500):
        index.add(f"part-{number}", wheel(f"part-{number}", "1.0"))
    requires = [f"part-{number}" for number in range(500)]
    index.add("whole", wheel("whole", "1.0", requires=requires))
    with index:
        words = [sys.executable, "-m", "dpip", "resolve", "whole", "--index-url", index.url]
        cold, warm = (
            subprocess.run(words, capture_output=True, text=True, check=True).stdout for _ in "12"
        )
    assert cold == warm
    assert cold.count("==1.0 ") == 501
    assert len(cold) > 64 * 1024, "more than a pipe holds"


def test_the_warm_path_imports_next_to_nothing(index: FixtureIndex, tmp_path: Path) -> None:
    words = ["app", "--index-url", "", "-o", str(tmp_path / "out.txt")]
    code = (
        "import sys; sys.argv[0] = 'dpip'\n"
        "from dpip.cli.main import main\n"
        "before = len(sys.modules)\n"
        "code = main(sys.argv[1:])\n"
        "print(*sorted(sys.modules))\n"
        "sys.exit(code)"
    )
    with index:
        words[2] = index.url
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-I", "-c", code, "resolve", *words],
                capture_output=True,
                text=True,
                check=True,
                env={**os.environ},
            )
    heavy = {"argparse", "sqlite3", "pathlib", "typing", "re", "collections", "dpip.cli.resolve"}
    loaded = set(done.stdout.split())
    assert "dpip.cli.warm" in loaded
    assert heavy & loaded == set()
