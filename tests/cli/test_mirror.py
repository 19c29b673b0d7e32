from __future__ import annotations

import json
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urljoin

import pytest
from tests.app.nodes import dpip, node
from tests.simple.fixture_index import FixtureIndex, sdist, wheel

JSON = "application/vnd.pypi.simple.v1+json"


def upstream() -> FixtureIndex:
    index = FixtureIndex()
    index.add("flask", wheel("flask", "2.0"), wheel("flask", "3.0"), wheel("flask", "3.1"))
    index.add("flask", sdist("flask", "3.1"))
    index.add("other", wheel("other", "1.0"))
    return index


def mirror(home: Path, *words: str) -> tuple[int, dict[str, Any]]:
    done = dpip("mirror", *words, "--home", str(home), "--json")
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def get(url: str) -> dict[str, Any]:
    request = urllib.request.Request(url, headers={"Accept": JSON})
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=30) as answer:
        found: dict[str, Any] = json.load(answer)
        return found


def test_a_filtered_mirror_serves_alone_what_it_keeps(tmp_path: Path) -> None:
    with upstream() as index:
        words = ["--allow", "Flask", "--latest", "2", "--no-sdists", "--index-url", index.url]
        made = dpip("mirror", "init", "--home", str(tmp_path), *words)
        assert made.returncode == 0, made.stderr
        code, answer = mirror(tmp_path, "sync")
        assert (code, answer["round"]["files"], answer["complete"]) == (0, 2, True)
    code, answer = mirror(tmp_path, "status")
    assert (code, answer["stored"], answer["missing"]) == (0, 2, 0)
    with node(tmp_path) as served:
        assert [row["name"] for row in get(served.simple)["projects"]] == ["flask"]
        page = get(f"{served.simple}flask/")
        names = [file["filename"] for file in page["files"]]
        assert names == ["flask-3.0-py3-none-any.whl", "flask-3.1-py3-none-any.whl"]
        for file in page["files"]:
            url = urljoin(f"{served.simple}flask/", file["url"])
            with urllib.request.urlopen(url, timeout=30) as body:
                assert len(body.read()) == file["size"]


def test_upstream_down_is_told_and_nothing_is_lost(tmp_path: Path) -> None:
    with upstream() as index:
        dpip("mirror", "init", "--home", str(tmp_path), "--index-url", index.url)
        assert mirror(tmp_path, "sync")[0] == 0
        index.switches.status = 503
        done = dpip("mirror", "sync", "--home", str(tmp_path))
        assert done.returncode == 1
        assert "503" in done.stderr
        assert mirror(tmp_path, "status")[1]["stored"] == 5


def test_a_home_that_is_no_mirror_says_so(tmp_path: Path) -> None:
    done = dpip("mirror", "sync", "--home", str(tmp_path))
    assert done.returncode == 2
    assert "dpip mirror init" in done.stderr


def test_rules_that_make_no_sense_are_not_written(tmp_path: Path) -> None:
    done = dpip("mirror", "init", "--home", str(tmp_path), "--regex", "(")
    assert done.returncode == 2
    assert not (tmp_path / "mirror.toml").exists()


@pytest.mark.parametrize(
    "words",
    [("--latest", "0"), ("--max-size", "0"), ("--max-size", "-1"), ("--uploaded-after", "soon")],
)
def test_a_bound_that_would_hide_everything_is_not_written(
    tmp_path: Path, words: tuple[str, str]
) -> None:
    done = dpip("mirror", "init", "--home", str(tmp_path), *words)
    assert done.returncode == 2
    assert words[0].removeprefix("--") in done.stderr
    assert not (tmp_path / "mirror.toml").exists()


def test_rules_that_were_edited_are_kept_when_others_are_written(tmp_path: Path) -> None:
    edited = '# ours\n[mirror]\nallow = ["flask"]\n'
    (tmp_path / "mirror.toml").write_text(edited)
    assert dpip("mirror", "init", "--home", str(tmp_path), "--allow", "demo").returncode == 0
    assert (tmp_path / "mirror.toml.before").read_text() == edited
    assert "demo" in (tmp_path / "mirror.toml").read_text()


def test_a_running_node_shows_what_a_sync_changed(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        index.add("thing", wheel("thing", "1.0"))
        dpip("mirror", "init", "--home", str(tmp_path), "--index-url", index.url)
        assert mirror(tmp_path, "sync")[0] == 0
        with node(tmp_path) as served:
            page = f"{served.simple}thing/"
            assert len(get(page)["files"]) == 1
            index.switches.serial = 1001
            index.status["thing"] = ("quarantined", "malware")
            assert mirror(tmp_path, "sync")[0] == 0
            deadline = time.monotonic() + 20
            while get(page)["files"] and time.monotonic() < deadline:
                time.sleep(0.2)
            assert get(page)["project-status"]["status"] == "quarantined"
            assert not get(page)["files"]
    gone = mirror(tmp_path, "status")[1]["gone"]
    assert gone == {"quarantined": 1}


def test_a_filter_by_metadata_is_asked_for_in_words(tmp_path: Path) -> None:
    with upstream() as index:
        index.add("bound", wheel("bound", "1.0", requires_python=">=3.12"))
        index.add("bound", wheel("bound", "0.9", requires_python=">=3.8"))
        words = ["--metadata", "requires-python=3.9", "--metadata", "requires-dist=!evil*"]
        made = dpip("mirror", "init", "--home", str(tmp_path), "--index-url", index.url, *words)
        assert made.returncode == 0, made.stderr
        assert mirror(tmp_path, "sync")[0] == 0
    with node(tmp_path) as served:
        page = get(f"{served.simple}bound/")
        assert [file["filename"] for file in page["files"]] == ["bound-0.9-py3-none-any.whl"]


def test_a_filter_by_metadata_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mirror.toml").write_text('[mirror]\nmetadata = { licence = "MIT*" }\n')
    done = dpip("mirror", "sync", "--home", str(tmp_path))
    assert (done.returncode, "licence" in done.stderr) == (2, True)
    done = dpip("mirror", "init", "--home", str(tmp_path), "--metadata", "license")
    assert (done.returncode, "FIELD=PATTERN" in done.stderr) == (2, True)


def test_a_running_node_takes_up_rules_that_appear_and_change(tmp_path: Path) -> None:
    rules = tmp_path / "mirror.toml"
    with upstream() as index, node(tmp_path, "--index-url", index.url) as served:

        def becomes(*versions: str) -> None:
            """Wait until the page of flask has these versions; it stays fresh for minutes."""
            deadline = time.monotonic() + 30
            while (found := shown()) != list(versions) and time.monotonic() < deadline:
                time.sleep(0.1)
            assert found == list(versions)

        def shown() -> list[str]:
            files = get(f"{served.simple}flask/")["files"]
            return [file["filename"].split("-")[1] for file in files]

        becomes("2.0", "3.0", "3.1", "3.1.tar.gz")
        assert get(f"{served.simple}other/")["files"]
        rules.write_text('[mirror]\nallow = ["flask"]\nlatest = 1\nsdists = false\n')
        becomes("3.1")
        with pytest.raises(HTTPError, match="404"):
            get(f"{served.simple}other/")
        (tmp_path / "kept.txt").write_text("flask<3\n")
        rules.write_text('[mirror]\nrequirements = ["kept.txt"]\n')
        becomes("2.0")
        (tmp_path / "kept.txt").write_text("flask<3.1\n")
        becomes("2.0", "3.0")
        rules.write_text("[mirror")
        assert shown() == ["2.0", "3.0"], "what is stored is served meanwhile"
        rules.unlink()
        becomes("2.0", "3.0", "3.1", "3.1.tar.gz")


@pytest.mark.slow
def test_a_killed_sync_goes_on_where_it_was(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        for number in range(12):
            index.add(f"p{number}", wheel(f"p{number}", "1.0", size=400_000))
        index.switches.slow_piece = 0.05
        dpip("mirror", "init", "--home", str(tmp_path), "--index-url", index.url)
        command = [sys.executable, "-m", "dpip", "mirror", "sync", "--home", str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL) as running:
            deadline = time.monotonic() + 30
            while not _arriving(tmp_path) and time.monotonic() < deadline:
                time.sleep(0.02)
            running.kill()
        asked = len(index.requests)
        code, answer = mirror(tmp_path, "status")
        assert code == 1
        index.switches.slow_piece = 0
        code, answer = mirror(tmp_path, "sync")
        assert (code, answer["stored"], answer["files"]) == (0, 12, 12)
        resumed = [r for r in index.requests[asked:] if "range" in r.headers]
        assert resumed, "a part that had arrived is not fetched again"


def _arriving(home: Path) -> bool:
    """Say whether a part of a file is on disk already."""
    return any(part.stat().st_size > 100_000 for part in home.glob("archives/arriving/*.part"))


def test_dependencies_are_mirrored_with_what_needs_them(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        index.add("flask", wheel("flask", "1.0", requires=["old<2"]))
        index.add(
            "flask", wheel("flask", "2.0", requires=["click>=1", "tomli; python_version<'3.12'"])
        )
        index.add("old", *(wheel("old", version) for version in ("1.0", "2.0", "3.0", "4.0")))
        index.add("click", *(wheel("click", version) for version in ("1.0", "2.0", "3.0")))
        index.add("tomli", wheel("tomli", "1.0"))
        index.add("stranger", wheel("stranger", "1.0"))
        words = ["--allow", "flask", "--with-dependencies", "--latest", "2"]
        words += ["--python", "3.11", "--python", "3.12", "--platform", "linux"]
        done = dpip("mirror", "init", "--home", str(tmp_path), *words, "--index-url", index.url)
        assert done.returncode == 0, done.stderr
        code, answer = mirror(tmp_path, "sync")
        assert (code, answer["projects"]) == (0, 4)
    with node(tmp_path, "--offline") as served:
        for target in ("flask==1.0", "flask"):
            got = dpip(
                "resolve", target, "--index-url", served.simple, "--python-version", "3.11",
                "--cache-dir", str(tmp_path / "cache"),
            )  # fmt: skip
            assert got.returncode == 0, got.stderr
        assert "old==1.0" not in got.stdout
        assert "tomli==1.0" in got.stdout


def test_verify_tells_each_difference_with_its_hashes(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        first, second = wheel("thing", "1.0"), wheel("thing", "2.0")
        index.add("thing", first, second)
        dpip("mirror", "init", "--home", str(tmp_path), "--index-url", index.url)
        assert mirror(tmp_path, "sync")[0] == 0
        same = dpip("verify", "Thing", "--home", str(tmp_path))
        assert (same.returncode, "no differences" in same.stdout) == (0, True), same.stderr
        index.projects["thing"] = [
            replace(first, yanked="oops"),
            wheel("thing", "3.0"),
        ]
        [path] = tmp_path.glob(f"archives/whole/??/{first.sha256}/*")
        path.write_bytes(b"rotten")
        done = dpip("verify", "--home", str(tmp_path), "--json")
        assert done.returncode == 1
        found = {(one["kind"], one["filename"]) for one in json.loads(done.stdout)["differences"]}
        assert found == {
            ("yanked", first.filename),
            ("different", first.filename),
            ("extra", second.filename),
            ("missing", "thing-3.0-py3-none-any.whl"),
        }
    code, answer = mirror(tmp_path, "verify", "--repair")
    assert code == 1
    assert [one["filename"] for one in answer["wrong"]] == [first.filename]
