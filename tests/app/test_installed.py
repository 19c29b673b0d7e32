"""Pinning what an environment has installed, with real pips and their caches."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from pathlib import Path
from typing import Any

import msgspec
import pip
import pytest
from packaging.utils import canonicalize_name
from packaging.version import Version
from tests.app.nodes import dpip, node
from tests.simple.fixture_index import FixtureIndex, sdist, wheel

from dpip.app import installed
from dpip.mirror.archives import Archives
from dpip.mirror.store import ARCHIVES, opened
from dpip.simple.filenames import release_of

DEMO = wheel("demo", "1.0", requires=["needed"], size=30_000)
NEEDED = wheel("needed", "2.0")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A virtual environment in which `demo` and `needed` were installed through a home's node."""
    venv.create(tmp_path / "venv", symlinks=os.name != "nt")
    [packages] = (tmp_path / "venv").glob("lib/*/site-packages")
    # This environment's pip, because making one takes ten times as long as all the rest.
    (packages / "pip").symlink_to(Path(pip.__file__).parent)
    settings = {
        "VIRTUAL_ENV": str(tmp_path / "venv"),
        "DPIP_HOME": str(tmp_path / "home"),
        "PIP_CACHE_DIR": str(tmp_path / "cache"),
    }
    with FixtureIndex() as index:
        index.add("demo", DEMO, wheel("demo", "2.0"), sdist("demo", "1.0"))
        index.add("needed", NEEDED)
        with node(tmp_path / "home", "--index-url", index.url) as running:
            python = tmp_path / "venv" / "bin" / "python"
            subprocess.run(
                [str(python), "-m", "pip", "install", "-q", "--index-url", running.simple,
                 "--trusted-host", "127.0.0.1", "demo==1.0"],
                check=True, env={**os.environ, **settings},
            )  # fmt: skip
    return settings


def pin(environment: dict[str, str], code: int = 0) -> dict[str, Any]:
    done = dpip("pin", "add", "--installed", "--name", "here", "--json", **environment)
    assert done.returncode == code, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def pinned(home: Path, found: dict[str, Any]) -> set[str]:
    with opened(home) as archives:
        roots = {str(one.root): one.filename for one in archives.listing()}
    return {roots[root] for root in found["pinned"]}


def test_what_was_installed_through_the_node_is_pinned_at_once(
    environment: dict[str, str],
) -> None:
    found = pin(environment)
    home = Path(environment["DPIP_HOME"])
    assert pinned(home, found) == {DEMO.filename, NEEDED.filename}
    assert found["taken"] == []
    assert all(release.startswith(("pip ", "setuptools ")) for release in found["missing"])
    done = dpip("gc", "--cache", "--grace", "-60", "--json", **environment)
    assert json.loads(done.stdout)["archives"] == 0


def test_what_only_pips_cache_still_has_is_taken_from_there(environment: dict[str, str]) -> None:
    home = Path(environment["DPIP_HOME"])
    archives = Archives(home / ARCHIVES)
    archives.remove(DEMO.sha256)
    archives.remove(NEEDED.sha256)
    body = next(
        path for path in Path(environment["PIP_CACHE_DIR"]).glob(installed.BODIES)
        if path.stat().st_size == len(NEEDED.content)
    )  # fmt: skip
    body.write_bytes(b"?" * len(NEEDED.content))
    found = pin(environment)
    assert found["taken"] == [DEMO.filename]
    assert pinned(home, found) == {DEMO.filename}
    assert "needed 2.0" in found["missing"]
    whole = archives.find(DEMO.sha256, DEMO.filename)
    assert whole is not None
    assert whole.path.read_bytes() == DEMO.content
    with node(home, "--offline") as served:
        python = Path(environment["VIRTUAL_ENV"], "bin", "python")
        done = subprocess.run(
            [str(python), "-m", "pip", "download", "-q", "--no-deps", "--no-cache-dir", "-d",
             str(home.parent / "got"), "--index-url", served.simple, "demo==1.0"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr


def test_a_home_that_has_nothing_of_it_says_so(environment: dict[str, str], tmp_path: Path) -> None:
    found = pin({**environment, "DPIP_HOME": str(tmp_path / "other")}, code=1)
    assert found["pinned"] == []
    assert {"demo 1.0", "needed 2.0"} <= set(found["missing"])


def test_what_was_installed_by_url_is_known_by_its_hash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    report = {
        "version": "1",
        "installed": [
            {
                "metadata": {"name": "Demo_x", "version": "1.0"},
                "direct_url": {"archive_info": {"hashes": {"sha256": "a" * 64}}},
            },
            {"metadata": {"name": "old", "version": "not a version"}},
        ],
    }
    monkeypatch.setattr(installed, "run_pip", lambda *_: json.dumps(report))
    release = canonicalize_name("demo-x"), Version("1.0")
    assert installed.installed() == {release: "a" * 64}


def test_caches_of_earlier_pips_hold_bodies_inside_of_entries(tmp_path: Path) -> None:
    folder = tmp_path / "http" / "a" / "b"
    folder.mkdir(parents=True)
    entry = {"response": {"body": b"the file", "status": 200}, "vary": {}}
    (folder / "abc").write_bytes(b"cc=4," + msgspec.msgpack.encode(entry))
    (folder / "bad").write_bytes(b"cc=4,?")
    (folder / "other").write_bytes(msgspec.msgpack.encode({"response": 7}))
    assert list(installed._bodies(tmp_path, {8})) == [b"the file"]
    assert list(installed._bodies(tmp_path, {9})) == []


@pytest.mark.parametrize("name", ["notes.txt", "demo.whl", "demo.tar.gz"])
def test_other_files_are_of_no_release(name: str) -> None:
    assert release_of(name) is None
