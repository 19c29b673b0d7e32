"""Locks of what no index lists: directories, repositories, archives by URL; pip and uv agree."""

from __future__ import annotations

import io
import subprocess
import sys
import tarfile
import tomllib
import venv
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests import peers
from tests.simple.fixture_index import Archive, FixtureIndex, wheel

from dpip.cli import main

BACKEND = """
import os, zipfile
NAME = "local-0.1.dist-info"
WHEEL = "Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n"
META = "Metadata-Version: 2.1\\nName: local\\nVersion: 0.1\\nRequires-Dist: lib<2\\n"
def get_requires_for_build_wheel(config_settings=None):
    return []
get_requires_for_build_editable = get_requires_for_build_wheel
def build_wheel(directory, config_settings=None, metadata_directory=None, code=None):
    name = "local-0.1-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(directory, name), "w") as out:
        if code is None:
            out.writestr("local.py", open("local.py").read())
        else:
            out.writestr("local.pth", code)
        out.writestr(NAME + "/METADATA", META)
        out.writestr(NAME + "/WHEEL", WHEEL)
        out.writestr(NAME + "/RECORD", "")
    return name
def build_editable(directory, config_settings=None, metadata_directory=None):
    return build_wheel(directory, code=os.getcwd())
"""
PYPROJECT = """
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "local"
version = "0.1"
dependencies = ["lib<2"]
"""
FILES = {"backend.py": BACKEND, "pyproject.toml": PYPROJECT, "local.py": "WHERE = __file__\n"}


@pytest.fixture
def index() -> Iterator[FixtureIndex]:
    with FixtureIndex() as index:
        index.add("lib", wheel("lib", "1.0"), wheel("lib", "2.0"))
        index.add("app", wheel("app", "1.0", requires=["lib"]))
        index.add("packed", Archive("local-0.1.tar.gz", tarball()))
        yield index


def tarball() -> bytes:
    info = "Metadata-Version: 2.1\nName: local\nVersion: 0.1\n"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in {**FILES, "PKG-INFO": info}.items():
            member = tarfile.TarInfo(f"local-0.1/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    for name, text in FILES.items():
        (tree / name).write_text(text)
    who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "one"]):
        subprocess.run(["git", *words], cwd=tree, check=True)
    return tree


KINDS = ("directory", "editable", "repository", "source archive", "wheel")


def words(kind: str, tree: Path, index: FixtureIndex) -> list[str]:
    return {
        "directory": [str(tree)],
        "editable": ["-e", str(tree)],
        "repository": [f"local @ git+{tree.as_uri()}"],
        "source archive": [f"local @ {index.origin}/packages/local-0.1.tar.gz"],
        "wheel": [f"app @ {index.origin}/packages/app-1.0-py3-none-any.whl"],
    }[kind]


def lock(index: FixtureIndex, out: Path, *asked: str) -> None:
    cache = ["--cache-dir", str(out.parent / "cache")]
    assert main.main(["resolve", *asked, "--index-url", index.url, *cache, "-o", str(out)]) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_lock_says(kind: str, index: FixtureIndex, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "pylock.toml"
    lock(index, out, *words(kind, tree, index))
    found = {each["name"]: each for each in tomllib.loads(out.read_text())["packages"]}
    if kind == "wheel":
        assert found["app"]["archive"]["hashes"]["sha256"] == index.projects["app"][0].sha256
        assert found["app"]["version"] == "1.0"
        return
    assert found["lib"]["version"] == "1.0"
    entry = found["local"]
    if kind in {"directory", "editable"}:
        assert entry["directory"]["path"] == str(tree)
        assert entry["directory"].get("editable", False) == (kind == "editable")
        assert "version" not in entry, "the tree may be another version tomorrow"
    elif kind == "repository":
        assert len(entry["vcs"]["commit-id"]) == 40
        assert entry["vcs"]["type"] == "git"
    else:
        assert entry["archive"]["hashes"]["sha256"] == index.projects["packed"][0].sha256


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("installer", ["pip", "uv"])
def test_installers_take_it(
    kind: str, installer: str, index: FixtureIndex, tree: Path, tmp_path: Path
) -> None:
    """pip takes what cannot be hashed only where nothing else in the lock has a hash."""
    needs_lib = installer == "uv" or kind == "source archive"
    if not needs_lib:
        for name in ("backend.py", "pyproject.toml"):
            text = FILES[name].replace("Requires-Dist: lib<2\\n", "").replace('"lib<2"', "")
            (tree / name).write_text(text)
        who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
        subprocess.run(["git", *who, "commit", "-q", "-a", "-m", "two"], cwd=tree, check=True)
    out = tmp_path / "pylock.toml"
    lock(index, out, *words(kind, tree, index))
    venv.create(tmp_path / "venv", with_pip=False)
    python = str(tmp_path / "venv" / "bin" / "python")
    if installer == "pip":
        program = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
        program += ["--index-url", index.url, "-r"]
    else:
        cache = ["--cache-dir", str(tmp_path / "uv")]
        program = [str(peers.require("uv")), "pip", "sync", "--python", python, *cache]
        program += ["--index-url", index.url]
    done = subprocess.run([*program, str(out)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    module = "app" if kind == "wheel" else "local"
    where = f"import {module}; print({module}.__file__)"
    if needs_lib or kind == "wheel":
        where = f"import lib; {where}"
    done = subprocess.run([python, "-c", where], capture_output=True, text=True, check=True)
    assert (str(tree) in done.stdout) == (kind == "editable")


def test_pip_installs_requirements_with_hashes_of_archives(
    index: FixtureIndex, tmp_path: Path
) -> None:
    out = tmp_path / "requirements.txt"
    lock(index, out, f"app @ {index.origin}/packages/app-1.0-py3-none-any.whl")
    venv.create(tmp_path / "venv", with_pip=False)
    python = str(tmp_path / "venv" / "bin" / "python")
    program = [sys.executable, "-m", "pip", "--python", python, "install", "-q"]
    program += ["--require-hashes", "--index-url", index.url, "-r", str(out)]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_directories_make_no_answer_that_is_kept(
    index: FixtureIndex, tree: Path, tmp_path: Path
) -> None:
    out = tmp_path / "requirements.txt"
    lock(index, out, str(tree))
    assert "lib==1.0" in out.read_text()
    for name in ("backend.py", "pyproject.toml"):
        (tree / name).write_text(FILES[name].replace("lib<2", "lib>1"))
    lock(index, out, str(tree))
    assert "lib==2.0" in out.read_text()
