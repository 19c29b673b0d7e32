from __future__ import annotations

import ast
import inspect
import json
import os
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest
from tests import interpreters
from tests.simple.fixture_index import FixtureIndex, sdist, wheel

from dpip.cli import main
from dpip.resolve import pack_runtime, pack_start, wheel_install

PROGRAM = b"""
import sys
from lib import __version__
def main():
    print("app with lib", __version__, "on", sys.version_info[0], sys.argv[1:])
    return 7
if __name__ == "__main__":
    print("as a module")
"""
SCRIPTS = b"[console_scripts]\napp = app.cli:main\n"


def old_python() -> str:
    """Return the oldest Python from 3.9 on that is here."""
    older = (interpreters.find(f"3.{minor}") for minor in range(9, sys.version_info[1]))
    return next(filter(None, older), sys.executable)


@pytest.fixture
def index() -> FixtureIndex:
    index = FixtureIndex()
    files = {"app/cli.py": PROGRAM, "app-1.0.dist-info/entry_points.txt": SCRIPTS}
    index.add("app", wheel("app", "1.0", requires=["lib>=1"], files=files))
    index.add("lib", wheel("lib", "2.0"))
    return index


def start(archive: Path, tmp_path: Path, *words: str, python: str = "") -> tuple[int, str, str]:
    done = subprocess.run(
        [python or old_python(), str(archive), *words],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "DPIP_CACHE_DIR": str(tmp_path / "target"), "DPIP_NODE": "http://127.0.0.1:9"},
    )  # fmt: skip
    return done.returncode, done.stdout.strip(), done.stderr.strip()


def pack(tmp_path: Path, index: FixtureIndex, *words: str) -> Path:
    out = tmp_path / "app.pyz"
    cache = ["--cache-dir", str(tmp_path / "cache"), "-q"]
    assert main.main(["pack", *words, "-o", str(out), "--index-url", index.url, *cache]) == 0
    return out


def test_the_first_start_fetches_and_later_ones_ask_nobody(
    index: FixtureIndex, tmp_path: Path
) -> None:
    with index:
        archive = pack(tmp_path, index, "app")
        assert archive.stat().st_size < 20_000
        index.requests.clear()
        code, said, err = start(archive, tmp_path, "a", "b")
        assert (code, err) == (7, "")
        assert said == "app with lib 2.0 on 3 ['a', 'b']"
        assert {seen.path.rpartition("/")[2] for seen in index.requests} == {
            "app-1.0-py3-none-any.whl",
            "lib-2.0-py3-none-any.whl",
        }
    assert start(archive, tmp_path)[0] == 7, "with the index gone"


def test_the_same_answer_packs_to_the_same_bytes(index: FixtureIndex, tmp_path: Path) -> None:
    with index:
        first = pack(tmp_path, index, "app").read_bytes()
        assert pack(tmp_path, index, "app").read_bytes() == first


def test_included_wheels_need_no_network(index: FixtureIndex, tmp_path: Path) -> None:
    with index:
        archive = pack(tmp_path, index, "app", "--include")
    assert start(archive, tmp_path)[:2] == (7, "app with lib 2.0 on 3 []")


def test_kept_files_are_used_offline(index: FixtureIndex, tmp_path: Path) -> None:
    with index:
        archive = pack(tmp_path, index, "app")
        for name in ("app", "lib"):
            file = index.projects[name][0]
            kept = tmp_path / "target" / "files" / file.sha256 / file.filename
            kept.parent.mkdir(parents=True)
            kept.write_bytes(file.content)
    assert start(archive, tmp_path)[0] == 7


def test_wrong_bytes_are_refused_and_nothing_is_installed(
    index: FixtureIndex, tmp_path: Path
) -> None:
    with index:
        archive = pack(tmp_path, index, "app")
        index.switches.wrong_bytes = True
        code, out, err = start(archive, tmp_path)
        assert (code, out) == (1, "")
        assert "do not have the hash" in err
        assert "Traceback" not in err
        index.switches.wrong_bytes = False
        assert start(archive, tmp_path)[0] == 7


@pytest.mark.parametrize(
    ("words", "said"),
    [(["-m", "app.cli"], "as a module"), (["-m", "app.cli:main"], "app with lib 2.0 on 3 []")],
)
def test_what_starts_can_be_named(
    index: FixtureIndex, tmp_path: Path, words: list[str], said: str
) -> None:
    with index:
        archive = pack(tmp_path, index, "app", *words)
        assert start(archive, tmp_path)[1] == said


@pytest.mark.parametrize("module", [pack_start, pack_runtime, wheel_install])
def test_what_goes_inside_is_python_3_9(module: ModuleType) -> None:
    ast.parse(inspect.getsource(module), feature_version=(3, 9))


@pytest.mark.parametrize("version", ["3.9", "3.10", "3.12", "3.13"])
def test_on_other_pythons(index: FixtureIndex, tmp_path: Path, version: str) -> None:
    python = interpreters.require(version)
    with index:
        archive = pack(tmp_path, index, "app")
        for _ in range(2):
            code, said, err = start(archive, tmp_path, python=python)
            assert (code, said, err) == (7, "app with lib 2.0 on 3 []", "")


def installed(tmp_path: Path) -> list[Path]:
    return list((tmp_path / "target" / "packs").iterdir())


def test_several_first_starts_at_once(index: FixtureIndex, tmp_path: Path) -> None:
    with index:
        archive = pack(tmp_path, index, "app")
        index.switches.delay = 0.05
        with ThreadPoolExecutor(4) as pool:
            done = list(pool.map(lambda _: start(archive, tmp_path), range(4)))
    assert {each[0] for each in done} == {7}, done
    assert len(installed(tmp_path)) == 1


def test_a_first_start_that_was_killed_leaves_nothing_half_done(
    index: FixtureIndex, tmp_path: Path
) -> None:
    with index:
        archive = pack(tmp_path, index, "app")
        index.requests.clear()
        index.switches.delay = 3600
        environ = {**os.environ, "DPIP_CACHE_DIR": str(tmp_path / "target")}
        environ["DPIP_NODE"] = "http://127.0.0.1:9"
        killed = subprocess.Popen([old_python(), str(archive)], env=environ)
        deadline = time.monotonic() + 60
        while not index.requests:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        killed.kill()
        killed.wait()
        (left,) = installed(tmp_path)
        index.switches.delay = 0
        assert start(archive, tmp_path)[0] == 7
        assert left in installed(tmp_path), "it may still be at work"
        os.utime(left, (1, 1))
        (whole,) = (each for each in installed(tmp_path) if each != left)
        whole.rename(tmp_path / "away")
        assert start(archive, tmp_path)[0] == 7
        assert left not in installed(tmp_path), "nobody works for a day"


def test_a_python_that_it_was_not_made_for_is_told_so(index: FixtureIndex, tmp_path: Path) -> None:
    with index:
        archive = pack(tmp_path, index, "app", "--python-version", "3.99")
        code, _, err = start(archive, tmp_path)
    assert code == 1
    assert err.startswith("error: this archive runs on Python 3.99; this is Python 3.")


def test_what_has_no_wheel_is_built_and_put_inside(index: FixtureIndex, tmp_path: Path) -> None:
    index.projects["lib"] = [sdist("lib", "2.0")]
    backend = (
        b"import os, zipfile\n"
        b"META = 'Metadata-Version: 2.1\\nName: lib\\nVersion: 2.0\\n'\n"
        b"def build_wheel(d, config_settings=None, metadata_directory=None):\n"
        b"    with zipfile.ZipFile(os.path.join(d, 'lib-2.0-py3-none-any.whl'), 'w') as z:\n"
        b"        z.writestr('lib/__init__.py', '__version__ = \"2.0 built\"')\n"
        b"        z.writestr('lib-2.0.dist-info/METADATA', META)\n"
        b"    return 'lib-2.0-py3-none-any.whl'\n"
    )
    project = tmp_path / "project"
    project.mkdir()
    (project / "backend.py").write_bytes(backend)
    (project / "pyproject.toml").write_text(
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
        '[project]\nname = "lib"\nversion = "2.0"\n'
    )
    with index:
        archive = pack(tmp_path, index, "app", str(project), "--script", "app")
        with zipfile.ZipFile(archive) as packed:
            lock = json.loads(packed.read("lock.json"))
            assert "wheels/lib-2.0-py3-none-any.whl" in packed.namelist()
        assert sorted(entry["filename"] for entry in lock["files"].values()) == [
            "app-1.0-py3-none-any.whl",
            "lib-2.0-py3-none-any.whl",
        ]
        assert start(archive, tmp_path)[1] == "app with lib 2.0 built on 3 []"
