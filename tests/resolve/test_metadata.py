from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from tests.simple.fixture_index import Archive, FixtureIndex, _tar_bytes, sdist, wheel

from dpip.resolve.engine import Engine, Places
from dpip.resolve.environment import here
from dpip.resolve.errors import HashMismatch, MetadataDiffers
from dpip.resolve.facts import Dependencies, Direct, Unavailable
from dpip.resolve.hydrate import hydrate
from dpip.resolve.records import requirement
from dpip.resolve.request import Given, Request
from dpip.resolve.resolution import Solution
from dpip.resolve.store import Store

BACKEND = b"""
import os
def get_requires_for_build_wheel(config_settings=None):
    return ["helper"]
def prepare_metadata_for_build_wheel(directory, config_settings=None):
    import helper
    os.mkdir(os.path.join(directory, "x.dist-info"))
    with open(os.path.join(directory, "x.dist-info", "METADATA"), "w") as out:
        out.write("Metadata-Version: 2.1\\nName: src\\nVersion: 1.0\\nRequires-Dist: lib>1\\n")
    return "x.dist-info"
"""
PYPROJECT = b'[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def dynamic_sdist(backend: bytes = BACKEND) -> Archive:
    base = "src-1.0"
    info = b"Metadata-Version: 2.1\nName: src\nVersion: 1.0\n"
    members = {"PKG-INFO": info, "pyproject.toml": PYPROJECT, "backend.py": backend}
    content = _tar_bytes({f"{base}/{name}": data for name, data in members.items()})
    return Archive(f"{base}.tar.gz", content)


@pytest.fixture
def index() -> Iterator[FixtureIndex]:
    with FixtureIndex() as index:
        index.add("app", wheel("app", "1.0", requires=["lib"], size=100_000))
        index.add("lib", wheel("lib", "1.0"), wheel("lib", "2.0"))
        index.add("helper", wheel("helper", "1.0"))
        yield index


@pytest.fixture
def engine(index: FixtureIndex, tmp_path: Path) -> Iterator[Engine]:
    engine = new_engine(index, tmp_path)
    yield engine
    engine.close()


def new_engine(index: FixtureIndex, tmp_path: Path) -> Engine:
    store = Store(tmp_path / "facts.sqlite")
    return Engine(Places((index.url,)), store, tmp_path, time.time())


def solve(engine: Engine, *lines: str) -> Solution:
    given = tuple(Given(requirement(line, "test")) for line in lines)
    outcome = engine.solve(Request(given, here()))
    assert isinstance(outcome, Solution), outcome
    return outcome


def versions(solution: Solution) -> dict[str, str]:
    return {pin.name: pin.version for pin in solution.pins}


def asked(index: FixtureIndex, ending: str) -> int:
    return sum(seen.path.endswith(ending) for seen in index.requests)


def test_the_metadata_file_is_enough(engine: Engine, index: FixtureIndex) -> None:
    assert versions(solve(engine, "app")) == {"app": "1.0", "lib": "2.0"}
    assert asked(index, ".whl") == 0


@pytest.mark.parametrize("ranges", [True, False])
def test_without_one_the_wheel_is_read(
    engine: Engine, index: FixtureIndex, *, ranges: bool
) -> None:
    index.switches.metadata = False
    index.switches.ranges = ranges
    assert versions(solve(engine, "app")) == {"app": "1.0", "lib": "2.0"}
    assert asked(index, ".metadata") == 0
    assert asked(index, "app-1.0-py3-none-any.whl") == 1


def test_a_wrong_hash_is_not_fatal_and_remembered(
    engine: Engine, index: FixtureIndex, tmp_path: Path
) -> None:
    index.switches.metadata_lies = True
    assert versions(solve(engine, "app")) == {"app": "1.0", "lib": "2.0"}
    assert asked(index, ".metadata") == 1
    engine.store.flush()
    again = new_engine(index, tmp_path)
    assert versions(solve(again, "helper")) == {"helper": "1.0"}
    assert asked(index, ".metadata") == 1, "the host is not asked again in the next run"
    again.close()


def test_advertised_and_missing_is_not_fatal(index: FixtureIndex, tmp_path: Path) -> None:
    for name in ("app", "lib"):
        index.projects[name] = [
            replace(each, filename=each.filename) for each in index.projects[name]
        ]
    engine = new_engine(index, tmp_path)
    page = engine.facts.project("app") or engine.indexes.project("app")
    assert not isinstance(page, Unavailable)
    index.switches.metadata = False
    assert isinstance(engine.metadata.read(page.files[0][0]), Dependencies)
    assert asked(index, ".metadata") == 1
    engine.close()


def test_a_known_record_is_never_asked_for_again(
    engine: Engine, index: FixtureIndex, tmp_path: Path
) -> None:
    solve(engine, "app")
    engine.store.flush()
    index.requests.clear()
    again = new_engine(index, tmp_path)
    solve(again, "app")
    assert asked(index, ".metadata") == 0
    again.close()


def test_a_static_sdist_is_read_and_not_built(engine: Engine, index: FixtureIndex) -> None:
    index.add("src", sdist("src", "1.0", requires=["lib<2"]))
    assert versions(solve(engine, "src")) == {"src": "1.0", "lib": "1.0"}


def test_a_dynamic_sdist_is_built_with_requirements_that_we_resolve(
    engine: Engine, index: FixtureIndex, tmp_path: Path
) -> None:
    index.add("src", dynamic_sdist())
    assert versions(solve(engine, "src")) == {"src": "1.0", "lib": "2.0"}
    assert asked(index, "helper-1.0-py3-none-any.whl") == 1
    engine.store.flush()
    index.requests.clear()
    again = new_engine(index, tmp_path)
    solve(again, "src")
    assert asked(index, ".tar.gz") == 0, "what was built is kept by the archive's hash"
    again.close()


@pytest.mark.parametrize(
    "backend", [b"raise SystemExit('no luck')", b"def build_wheel(*a): return 'none.whl'", b"("]
)
def test_a_failed_build_names_the_archive(
    engine: Engine, index: FixtureIndex, backend: bytes
) -> None:
    index.add("src", dynamic_sdist(backend))
    page = engine.indexes.project("src")
    assert not isinstance(page, Unavailable)
    found = engine.metadata.read(page.files[0][0])
    assert isinstance(found, Unavailable)
    assert "src-1.0.tar.gz" in found.detail
    assert engine.metadata.at_hand(page.files[0][0]) is None


@pytest.mark.parametrize(
    "text",
    [
        b"no metadata at all",
        b"Metadata-Version: 2.1\nName: other\nVersion: 1.0\n",
        b"Metadata-Version: 2.1\nName: bad\nVersion: 2.0\n",
        b"Metadata-Version: 2.1\nName: bad\nVersion: 1.0\nRequires-Dist: a >= b c\n",
    ],
)
def test_metadata_of_something_else_is_refused_and_not_kept(
    engine: Engine, index: FixtureIndex, text: bytes
) -> None:
    good = wheel("bad", "1.0")
    from tests.simple.fixture_index import zip_bytes

    content = zip_bytes({"bad-1.0.dist-info/METADATA": text})
    index.add("bad", replace(good, content=content, metadata=text))
    page = engine.indexes.project("bad")
    assert not isinstance(page, Unavailable)
    assert isinstance(engine.metadata.read(page.files[0][0]), Unavailable)
    assert engine.metadata.at_hand(page.files[0][0]) is None


def test_no_index_speaks_for_the_files_of_another(
    engine: Engine, index: FixtureIndex, tmp_path: Path
) -> None:
    index.switches.metadata = False
    solve(engine, "lib")
    engine.store.flush()
    page = engine.indexes.project("lib")
    assert not isinstance(page, Unavailable)
    elsewhere = msgspec.structs.replace(page.files[0][0], index="https://another.example/simple/")
    assert engine.metadata.at_hand(page.files[0][0]) is not None
    assert engine.metadata.at_hand(elsewhere) is None


def test_files_are_fetched_checked_and_left_alone_the_second_time(
    engine: Engine, index: FixtureIndex, tmp_path: Path
) -> None:
    solution = solve(engine, "app")
    paths = hydrate(solution.pins, tmp_path / "files", engine.downloads)
    assert [path.read_bytes() for path in paths] == [
        index.projects["app"][0].content,
        index.projects["lib"][1].content,
    ]
    index.requests.clear()
    hydrate(solution.pins, tmp_path / "files", engine.downloads)
    assert index.requests == []


def test_a_broken_transfer_is_taken_up_again(
    engine: Engine, index: FixtureIndex, tmp_path: Path
) -> None:
    solution = solve(engine, "app")
    index.switches.truncate, index.switches.truncate_times = 30_000, 1
    hydrate(solution.pins[:1], tmp_path / "files", engine.downloads)
    ranges = [seen.headers.get("range") for seen in index.requests]
    assert "bytes=30000-" in ranges


def test_wrong_bytes_are_not_kept(engine: Engine, index: FixtureIndex, tmp_path: Path) -> None:
    solution = solve(engine, "app")
    index.switches.wrong_bytes = True
    with pytest.raises(HashMismatch, match=r"app-1\.0"):
        hydrate(solution.pins, tmp_path / "files", engine.downloads)
    assert list((tmp_path / "files").iterdir()) == []


def test_a_wheel_that_says_something_else_is_refused(
    engine: Engine, index: FixtureIndex, tmp_path: Path
) -> None:
    honest = index.projects["app"][0]
    assert honest.metadata is not None
    lie = honest.metadata.replace(b"lib", b"lib<2")
    index.projects["app"][0] = replace(honest, metadata=lie)
    solution = solve(engine, "app")
    assert versions(solution)["lib"] == "1.0"
    with pytest.raises(MetadataDiffers, match="lib"):
        hydrate(solution.pins, tmp_path / "files", engine.downloads)


def git(tree: Path, *words: str) -> str:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.invalid"]
    done = subprocess.run(
        ["git", *who, *words], cwd=tree, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def test_directories_repositories_and_urls(
    engine: Engine, index: FixtureIndex, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / "pyproject.toml").write_text(
        '[project]\nname = "local"\nversion = "0.1"\ndependencies = ["lib<2"]\n'
    )
    git(tree, "init", "--quiet", "--initial-branch=main")
    git(tree, "add", ".")
    git(tree, "commit", "--quiet", "-m", "one")
    commit = git(tree, "rev-parse", "HEAD")
    found = engine.directs.read(tree.as_uri())
    assert isinstance(found, Direct)
    assert str(found.dependencies.requires[0]) == "lib<2"
    for revision in ("", "@main", f"@{commit}"):
        found = engine.directs.read(f"git+{tree.as_uri()}{revision}")
        assert isinstance(found, Direct), found
        assert found.file.url.endswith(f"@{commit}")
    archive = index.projects["app"][0]
    found = engine.directs.read(f"{index.origin}/packages/{archive.filename}")
    assert isinstance(found, Direct)
    assert found.file.sha256 == archive.sha256
    missing = engine.directs.read((tmp_path / "none").as_uri())
    assert isinstance(missing, Unavailable)
