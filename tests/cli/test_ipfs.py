from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests import peers
from tests.ipfs import kubo as scratch

from dpip.cli import main

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Run = Callable[..., str]


@pytest.fixture
def run(capfdbinary: pytest.CaptureFixture[bytes]) -> Run:
    """Return a function that runs `dpip ipfs WORDS` and returns its output, stripped."""

    def run_words(*words: object, code: int = 0) -> str:
        capfdbinary.readouterr()
        assert main.main(["ipfs", *map(str, words)]) == code
        out, error = capfdbinary.readouterr()
        return (error if code else out).decode().rstrip("\n")

    return run_words


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "files" / "sub").mkdir(parents=True)
    (tmp_path / "files" / "a.txt").write_bytes(b"hi\n")
    (tmp_path / "files" / "sub" / "big").write_bytes(bytes(range(256)) * 10_000)
    (tmp_path / "files" / "sub" / "link").symlink_to("big")
    (tmp_path / "files" / ".hidden").write_bytes(b"hidden")
    return tmp_path / "files"


def test_what_is_added_comes_back(run: Run, files: Path, tmp_path: Path) -> None:
    root = run("add", "-r", "-Q", files)
    assert run("cat", f"{root}/a.txt") == "hi"
    assert run("cat", f"/ipfs/{root}/sub/big", "-o", 65, "-l", 3) == "ABC"
    assert [line.split()[2] for line in run("ls", root).splitlines()] == ["a.txt", "sub"]
    run("get", root, "-o", tmp_path / "out")
    assert (tmp_path / "out/sub/big").read_bytes() == (files / "sub/big").read_bytes()
    assert (tmp_path / "out/sub/link").readlink().name == "big"
    assert "error" in run("get", root, "-o", tmp_path / "out", code=1)
    stat = json.loads(run("stat", root, "--json"))
    assert stat["Type"] == "directory"
    assert "ok" in run("verify", root)
    assert "ok" in run("verify", files / "a.txt")


def test_only_hash_stores_nothing(run: Run, files: Path) -> None:
    cid = run("add", "-n", "-Q", files / "a.txt")
    assert "no block" in run("cat", cid, code=1)
    assert run("add", "-Q", files / "a.txt") == cid
    assert run("block", "get", cid) == "hi"
    assert "3" in run("block", "stat", cid)
    run("block", "rm", cid)
    assert "no block" in run("block", "get", cid, code=1)


def test_cids_are_kubos(run: Run, files: Path, tmp_path: Path) -> None:
    kubo = scratch.create(peers.require("kubo"), tmp_path / "repo")
    for words in (
        ["--cid-version=1", "--chunker=size-1000", "--raw-leaves=false", "--max-file-links=174"],
        ["--cid-version=0", "--chunker=rabin", "--max-file-links=174"],
        ["--cid-version=1", "--chunker=buzhash", "--raw-leaves", "--max-file-links=10", "-w"],
        ["--cid-version=1", "--chunker=size-262144", "--max-file-links=174", "-H"],
    ):
        theirs = kubo.run("add", "-r", "-n", "-Q", *words, str(files)).decode().strip()
        assert run("add", "-r", "-n", "-Q", *words, files) == theirs


def test_cars_carry_content_to_another_home(
    run: Run, files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = run("add", "-r", "-Q", files)
    run("car", "export", root, "-o", tmp_path / "all.car")
    monkeypatch.setenv("DPIP_HOME", str(tmp_path / "other"))
    assert "no block" in run("cat", f"{root}/a.txt", code=1)
    assert run("car", "import", tmp_path / "all.car") == root
    assert run("cat", f"{root}/a.txt") == "hi"
    (tmp_path / "bad.car").write_bytes((tmp_path / "all.car").read_bytes()[:-1])
    assert "CAR" in run("car", "import", tmp_path / "bad.car", code=1)


def test_names(run: Run, files: Path, tmp_path: Path) -> None:
    root = run("add", "-r", "-Q", files)
    name = run("name", "publish", "-Q", root, "--lifetime", "1h30m")
    assert run("name", "resolve", name) == f"/ipfs/{root}"
    assert run("cat", f"/ipns/{name}/a.txt") == "hi"
    again = json.loads(run("name", "publish", f"/ipfs/{root}/sub", "--json"))
    assert again["Sequence"] == 1
    (tmp_path / "record").write_bytes(b"nonsense")
    assert "IPNS record" in run("name", "put", name, tmp_path / "record", code=1)
    assert "duration" in run("name", "publish", root, "--ttl", "soon", code=2)


def test_keys(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = run("key", "gen", "mine")
    assert f"{name} mine" in run("key", "list", "-l").splitlines()
    target = tmp_path / "mine.key"
    run("key", "export", "mine", "-o", target)
    assert target.stat().st_mode & 0o077 == 0
    assert run("key", "import", "copy", target) == name
    run("key", "rename", "copy", "other")
    run("key", "rm", "other")
    assert "no key" in run("key", "export", "other", code=1)
    assert "password" in run("key", "export", "mine", "-f", "pem-pkcs8", code=2)
    monkeypatch.setenv("DPIP_KEY_PASSWORD", "secret")
    run("key", "export", "mine", "-f", "pem-pkcs8", "-o", tmp_path / "mine.pem")
    assert run("key", "import", "again", tmp_path / "mine.pem", "-f", "pem-pkcs8") == name
    monkeypatch.setenv("DPIP_KEY_PASSWORD", "wrong")
    assert "error" in run("key", "import", "x", tmp_path / "mine.pem", "-f", "pem-pkcs8", code=1)
    assert "cannot be" in run("key", "gen", "../x", code=1)


@pytest.mark.parametrize(
    "words", [("cat", "nope"), ("ls", "bafkqaaa"), ("add", "/nowhere/at/all"), ("cat", "/ipns/x")]
)
def test_failures_are_told_in_words(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words, code=1).startswith("error: ")
