"""Every way to say where a project lies: URLs with hashes, paths, repositories."""

from __future__ import annotations

import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from tests.simple.fixture_index import Archive, FixtureIndex, wheel

from dpip.cli import main

PROJECT = """[build-system]
requires = []
build-backend = "none"

[project]
name = "{name}"
version = "{version}"
dependencies = ["lib"]
"""


def tarball(files: dict[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"local-0.1/{name}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


SDIST = Archive(
    "local-0.1.tar.gz",
    tarball(
        {
            "pyproject.toml": PROJECT.format(name="local", version="0.1"),
            "inner/pyproject.toml": PROJECT.format(name="inner", version="7"),
        }
    ),
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FixtureIndex:
    monkeypatch.setenv("DPIP_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    (tmp_path / "gitconfig").write_text(
        '[user]\nname = t\nemail = t@example.invalid\n[protocol "file"]\nallow = always\n'
    )
    monkeypatch.chdir(tmp_path)
    index = FixtureIndex()
    index.add("lib", wheel("lib", "1.0"))
    index.add("local", SDIST)
    return index


def pins(index: FixtureIndex, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    code = main.main(["resolve", "--index-url", index.url, *words])
    told = capsys.readouterr()
    assert code == 0, told.err
    return [line.split()[0] for line in told.out.splitlines() if line[:1].isalpha()]


def said(index: FixtureIndex, capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main.main(["resolve", "--index-url", index.url, *words]) not in {0, 2}
    return capsys.readouterr().err


@pytest.mark.parametrize("name", ["sha256", "sha512", "md5"])
def test_hashes_of_urls_are_checked(
    index: FixtureIndex, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    digest = hashlib.new(name, SDIST.content).hexdigest()
    with index:
        url = f"local @ {index.origin}/packages/{SDIST.filename}#{name}="
        assert pins(index, capsys, url + digest) == ["lib==1.0", "local"]
        assert f"{name} is" in said(index, capsys, url + "0" * len(digest))


def test_a_project_below_the_root_of_an_archive(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / SDIST.filename
    path.write_bytes(SDIST.content)
    with index:
        url = f"{index.origin}/packages/{SDIST.filename}#subdirectory=inner"
        assert pins(index, capsys, url) == ["inner", "lib==1.0"]
        assert pins(index, capsys, f"inner @ {path.as_uri()}#subdirectory=inner") == [
            "inner",
            "lib==1.0",
        ]
        assert "holds inner, not local" in said(index, capsys, f"local @ {url}")
        assert "nothing" in said(index, capsys, url.replace("inner", "nothing"))


@pytest.mark.parametrize(
    "words",
    [
        ("./tree",),
        ("tree/",),
        ("-e", "./tree"),
        ("-e", "tree"),
        ("{uri}",),
        ("local @ {uri}",),
        ("./tree[nope]",),
        ("./tree ; python_version > '3'",),
        ("./local-0.1.tar.gz",),
        ("local-0.1.tar.gz",),
    ],
)
def test_paths(
    index: FixtureIndex, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "pyproject.toml").write_text(PROJECT.format(name="Local", version="2"))
    (tmp_path / SDIST.filename).write_bytes(SDIST.content)
    given = [word.format(uri=(tmp_path / "tree").as_uri()) for word in words]
    with index:
        assert "lib==1.0" in pins(index, capsys, *given)
        (tmp_path / "r.txt").write_text(" ".join(given) + "\n")
        assert "lib==1.0" in pins(index, capsys, "-r", "r.txt")


def git(tree: Path, *words: str) -> str:
    done = subprocess.run(["git", *words], cwd=tree, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    tree = tmp_path / "repo"
    (tree / "sub").mkdir(parents=True)
    git(tree, "init", "-q", "-b", "trunk")
    (tree / "pyproject.toml").write_text(PROJECT.format(name="local", version="1"))
    (tree / "sub" / "pyproject.toml").write_text(PROJECT.format(name="inner", version="1"))
    git(tree, "add", ".")
    git(tree, "commit", "-q", "-m", "one")
    git(tree, "tag", "v1")
    git(tree, "checkout", "-q", "-b", "work/two")
    (tree / "pyproject.toml").write_text(PROJECT.format(name="local", version="2"))
    git(tree, "commit", "-q", "-a", "-m", "two")
    git(tree, "checkout", "-q", "trunk")
    return tree


@pytest.mark.parametrize(
    ("revision", "expected"),
    [
        ("", "v1"),
        ("@v1", "v1"),
        ("@work/two", "work/two"),
        ("@{full}", "work/two"),
        ("@{short}", "v1"),
    ],
)
def test_revisions(
    index: FixtureIndex,
    repository: Path,
    capsys: pytest.CaptureFixture[str],
    revision: str,
    expected: str,
) -> None:
    full, short = git(repository, "rev-parse", "work/two"), git(repository, "rev-parse", "v1")[:10]
    wanted = revision.format(full=full, short=short)
    with index:
        words = ["resolve", "--index-url", index.url, f"git+{repository.as_uri()}{wanted}"]
        assert main.main(words) == 0
    assert f"@{git(repository, 'rev-parse', expected)}" in capsys.readouterr().out


def test_a_project_below_the_root_of_a_repository(
    index: FixtureIndex, repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with index:
        words = [f"git+{repository.as_uri()}@v1#subdirectory=sub&egg=inner"]
        assert pins(index, capsys, *words) == ["inner", "lib==1.0"]
        assert "no-such" in said(index, capsys, f"local @ git+{repository.as_uri()}@no-such")
        assert "nowhere" in said(index, capsys, f"local @ git+{repository.as_uri()}/nowhere")


def test_submodules_are_fetched(
    index: FixtureIndex, repository: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "--quiet", "add", repository.as_uri(), "part")
    git(outer, "commit", "-q", "-m", "one")
    with index:
        words = [f"git+{outer.as_uri()}#subdirectory=part/sub"]
        assert pins(index, capsys, *words) == ["inner", "lib==1.0"]
