"""The rules of choosing, one small index each."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.resolve.indexes import LINUX, World, given, pins

from dpip.resolve import environment
from dpip.resolve.directs import BadDirect
from dpip.resolve.facts import CandidateFile, Dependencies, Direct, Unavailable
from dpip.resolve.request import ALL, Formats, Given, Releases, Request
from dpip.resolve.requirement import parse
from dpip.resolve.resolution import Impossible, Solution

MAC = "cp312-cp312-macosx_11_0_arm64"
LINUX_TAG = "cp312-cp312-manylinux_2_17_x86_64"


def releases(**packages: list[Any]) -> World:
    world = World()
    for name, versions in packages.items():
        for each in versions:
            version, requires = each if isinstance(each, tuple) else (each, [])
            world.release(name, version, requires)
    return world


def solve(world: World, *roots: str, **rules: Any) -> dict[str, str] | None:
    return pins(world.answer(Request(given(*roots), rules.pop("target", LINUX), **rules)))


def constraint(text: str, origin: str = "c.txt, line 1") -> tuple[Given, ...]:
    return (Given(parse(text), origin),)


# Pre-releases (PEP 440)


@pytest.mark.parametrize(
    ("versions", "root", "allowed", "expected"),
    [
        (["1", "2a1"], "a", False, "1"),
        (["1", "2a1"], "a", True, "2a1"),
        (["1", "2a1"], "a>=1.5", False, "2a1"),
        (["1", "2a1"], "a>=0.5a1", False, "1"),
        (["1a1", "1a2"], "a", False, "1a2"),
        (["1", "2a1"], "a<2", True, "1"),
        (["1", "2.dev1"], "a==2.dev1", False, "2.dev1"),
    ],
)
def test_prereleases(versions: list[str], root: str, allowed: bool, expected: str) -> None:
    assert solve(
        releases(a=versions), root, releases=Releases(frozenset([ALL] if allowed else []))
    ) == {"a": expected}


def test_a_prerelease_when_every_final_release_is_rejected() -> None:
    world = releases(a=[("1", ["b==2"]), "2b1"], b=["1", "2"])
    assert solve(world, "a", "b==1") == {"a": "2b1", "b": "1"}


# Yanked (PEP 592)


def yanked_world() -> World:
    world = releases(a=["1"], top=[("1", ["a==2"])])
    world.release("a", "2", yanked="broken")
    return world


@pytest.mark.parametrize(
    ("root", "expected"),
    [
        ("a", "1"),
        ("a==2", "2"),
        ("a===2", "2"),
        ("a>=2,==2", "2"),
        ("a==2,!=3", "2"),
        ("a>1", None),
        ("a==2.*", None),
    ],
)
def test_yanked_is_taken_only_where_it_is_named(root: str, expected: str | None) -> None:
    assert solve(yanked_world(), root) == (None if expected is None else {"a": expected})


def test_a_dependency_does_not_name_a_yanked_version_for_the_user() -> None:
    assert solve(yanked_world(), "top") is None
    assert solve(yanked_world(), "top", constraints=constraint("a==2")) == {"top": "1", "a": "2"}


def test_what_is_said_for_another_environment_does_not_count() -> None:
    assert solve(yanked_world(), "a", "a==2 ; os_name == 'nt'") == {"a": "1"}
    assert solve(yanked_world(), "a", "a==2 ; os_name == 'posix'") == {"a": "2"}
    inactive = Given(parse("a==1 ; os_name == 'nt'"), hashes=("sha256:" + "0" * 64,))
    outcome = yanked_world().answer(Request((*given("a"), inactive), LINUX))
    assert pins(outcome) == {"a": "1"}


def test_a_yanked_pin_is_warned_of() -> None:
    outcome = yanked_world().answer(Request(given("a==2"), LINUX))
    assert isinstance(outcome, Solution)
    assert outcome.warnings == ("a 2 was yanked: broken",)


# Constraints


@pytest.mark.parametrize("bound", ["a>=2", "a==7", "c==7"])
def test_no_stays_no_while_a_hint_is_looked_for(bound: str) -> None:
    """What a hint's trial still has to read makes the session run again."""
    world = World()
    world.release("a", "1", ["c"])
    world.release("c", "1")
    outcome = world.answer(Request(given("a"), LINUX, constraints=constraint(bound)))
    assert isinstance(outcome, Impossible)
    assert outcome.explanation.hints


# Requires-Python


@pytest.mark.parametrize(
    ("requires_python", "python", "fits"),
    [
        (">=3.12", "3.12", True),
        (">=3.12.1", "3.12", False),
        (">=3.12.1", "3.12.4", True),
        ("<3.10", "3.12", True),
        (">=3.8,!=3.12.*", "3.12", False),
        ("~=3.7", "3.12", True),
        ("==3.11.*", "3.12", True),
        ("nonsense", "3.12", True),
    ],
)
def test_requires_python(requires_python: str, python: str, fits: bool) -> None:
    world = World()
    world.release("a", "2", requires_python=requires_python)
    world.release("a", "1")
    expected = "2" if fits else "1"
    assert solve(world, "a", target=environment.target(python, "linux")) == {"a": expected}


def test_metadata_may_say_it_where_the_page_does_not() -> None:
    world = releases(a=["1", "2"])
    file = "a-2-py3-none-any.whl"
    record = world.facts.metadata[file]
    assert isinstance(record, Dependencies)
    world.facts.metadata[file] = replace(record, requires_python=">=3.13")
    assert solve(world, "a") == {"a": "1"}


# Files: wheels, tags, formats, dates, hashes


def test_a_version_needs_a_file_that_fits() -> None:
    world = World()
    world.release("a", "3", tags=(MAC,), sdist=False)
    world.release("a", "2", tags=(MAC, LINUX_TAG), sdist=False)
    assert solve(world, "a") == {"a": "2"}
    assert solve(world, "a", target=environment.target("3.12", "macos")) == {"a": "3"}


def test_the_best_file_is_first() -> None:
    world = World()
    world.release("a", "1", tags=("py3-none-any", LINUX_TAG, MAC))
    outcome = world.answer(Request(given("a"), LINUX))
    assert isinstance(outcome, Solution)
    assert [file.filename for file in outcome.pins[0].files] == [
        f"a-1-{LINUX_TAG}.whl",
        "a-1-py3-none-any.whl",
        "a-1.tar.gz",
    ]


def test_source_is_enough_and_the_metadata_of_any_wheel_will_do() -> None:
    world = World()
    world.release("a", "1", tags=(MAC,))
    outcome = world.answer(Request(given("a"), LINUX))
    assert isinstance(outcome, Solution)
    assert outcome.pins[0].file.kind == "sdist"
    assert outcome.pins[0].read_from.filename == f"a-1-{MAC}.whl"
    assert "a-1.tar.gz" not in world.asked


@pytest.mark.parametrize(
    ("formats", "expected"),
    [
        (Formats(), "3"),
        (Formats(no_wheels=frozenset({"a"})), "3"),
        (Formats(no_sdists=frozenset({"a"})), "2"),
        (Formats(no_sdists=frozenset({ALL})), "2"),
        (Formats(no_sdists=frozenset({ALL}), no_wheels=frozenset({"a"})), "3"),
        (Formats(no_wheels=frozenset({"other"})), "3"),
    ],
)
def test_formats(formats: Formats, expected: str) -> None:
    world = World()
    world.release("a", "3", tags=())
    world.release("a", "2", sdist=False)
    assert solve(world, "a", formats=formats) == {"a": expected}


def test_exclude_newer() -> None:
    world = World()
    world.release("a", "3", upload_time=None)
    world.release("a", "2", upload_time=200.0)
    world.release("a", "1", upload_time=100.0)
    assert solve(world, "a") == {"a": "3"}
    assert solve(world, "a", exclude_newer=201.0) == {"a": "2"}
    assert solve(world, "a", exclude_newer=200.0) == {"a": "1"}


def test_only_files_with_a_given_hash() -> None:
    world = releases(a=["1", "2"])
    file = next(
        file for files in page_files(world, "a") for file in files if "-1-" in file.filename
    )
    wanted = Given(parse("a"), hashes=(f"sha256:{file.sha256}",))
    outcome = world.answer(Request((wanted,), LINUX))
    assert isinstance(outcome, Solution)
    assert outcome.pins[0].files == (file,)


def page_files(world: World, name: str) -> list[tuple[CandidateFile, ...]]:
    page = world.facts.projects[name]
    assert not isinstance(page, Unavailable)
    return list(page.files)


def test_metadata_out_of_reach_is_another_version() -> None:
    world = releases(a=["1", "2"])
    for file in ("a-2-py3-none-any.whl", "a-2.tar.gz"):
        world.facts.metadata[file] = Unavailable("broken", "not a zip file")
    assert solve(world, "a") == {"a": "1"}


def test_a_wheel_with_bad_metadata_leaves_the_source() -> None:
    world = releases(a=["1"])
    world.facts.metadata["a-1-py3-none-any.whl"] = Unavailable("broken")
    assert solve(world, "a") == {"a": "1"}


# Extras


def extras_world() -> World:
    world = World()
    world.release("a", "2", extras={"x": ["b==2"]})
    world.release("a", "1", extras={"x": ["b==1"]})
    for version in ("1", "2"):
        world.release("b", version)
    return world


def test_an_extra_walks_back_with_its_project() -> None:
    assert solve(extras_world(), "a[x]", "b==1") == {"a": "1", "b": "1"}
    assert solve(extras_world(), "a[x]", "a==2", "b==1") is None
    assert solve(extras_world(), "a", "b==1") == {"a": "2", "b": "1"}


def test_an_unknown_extra_is_a_warning() -> None:
    outcome = extras_world().answer(Request(given("a[y]"), LINUX))
    assert isinstance(outcome, Solution)
    assert outcome.warnings == ("a has no extra 'y'",)
    assert outcome.pins[0].extras == ()


def test_extras_that_want_each_other() -> None:
    world = World()
    world.release("a", "1", extras={"all": ["a[x]"], "x": ["a[all]", "b"]})
    world.release("b", "1")
    assert solve(world, "a[all]") == {"a": "1", "b": "1"}


def test_a_requirement_on_itself() -> None:
    world = releases(a=[("2", ["a<2"]), ("1", ["a>=1"])])
    assert solve(world, "a") == {"a": "1"}


# Constraints, overrides, which end of the range


def test_a_constraint_bounds_but_does_not_install() -> None:
    world = releases(a=[("1", ["b"])], b=["1", "2"], c=["1"])
    found = solve(world, "a", constraints=(*constraint("b<2"), *constraint("c==1")))
    assert found == {"a": "1", "b": "1"}


def test_an_override_replaces_every_requirement() -> None:
    world = releases(a=[("1", ["b==1"])], b=["1", "2"])
    overrides = constraint("b==2", "o.txt, line 1")
    assert solve(world, "a", overrides=overrides) == {"a": "1", "b": "2"}
    assert solve(world, "a", "b==1", overrides=overrides) == {"a": "1", "b": "2"}


def test_an_override_for_elsewhere_removes() -> None:
    world = releases(a=[("1", ["b==1"])], b=["1"])
    overrides = constraint("b ; sys_platform == 'win32'", "o.txt, line 1")
    assert solve(world, "a", overrides=overrides) == {"a": "1"}


@pytest.mark.parametrize(
    ("resolution", "expected"),
    [
        ("highest", {"a": "3", "b": "3"}),
        ("lowest", {"a": "2", "b": "1"}),
        ("lowest-direct", {"a": "2", "b": "3"}),
    ],
)
def test_which_end(resolution: str, expected: dict[str, str]) -> None:
    world = releases(a=["1", ("2", ["b"]), ("3", ["b"])], b=["1", "2", "3"])
    assert solve(world, "a>=2", resolution=resolution) == expected


def test_preferences_are_taken_where_they_fit() -> None:
    world = releases(a=["1", "2", "3"])
    assert solve(world, "a", preferences={"a": ("2",)}) == {"a": "2"}
    assert solve(world, "a>2", preferences={"a": ("2",)}) == {"a": "3"}


def test_markers() -> None:
    world = releases(
        a=[("1", ["b ; sys_platform == 'win32'", "c ; python_version >= '3.8'"])], b=["1"], c=["1"]
    )
    assert solve(world, "a") == {"a": "1", "c": "1"}
    assert solve(world, "a ; os_name == 'nt'") == {}


# Direct requirements


def direct(world: World, url: str, name: str, version: str, *requires: str) -> None:
    file = CandidateFile(f"{name}-{version}.tar.gz", url, "sdist")
    record = Dependencies(name, version, tuple(map(parse, requires)))
    world.facts.directs[url] = Direct(url, file, record)


def test_a_url_fixes_its_project() -> None:
    world = releases(a=["1", "3"], b=[("1", ["a>=1"])])
    direct(world, "https://h/a.zip", "a", "2")
    assert solve(world, "b", "a @ https://h/a.zip") == {"a": "2", "b": "1"}
    assert solve(world, "a @ https://h/a.zip", "a==3") is None


def test_a_url_without_a_name() -> None:
    world = releases(b=["1"])
    direct(world, "file:///here/a", "a", "2", "b")
    outcome = world.answer(Request((Given(parse("a @ file:///here/a")),), LINUX))
    nameless = Given(replace(parse("x"), name="", url="file:///here/a"))
    assert pins(world.answer(Request((nameless,), LINUX))) == pins(outcome) == {"a": "2", "b": "1"}


def test_what_a_url_requires_by_url_counts_too() -> None:
    world = World()
    direct(world, "https://h/a.zip", "a", "1", "b @ https://h/b.zip")
    direct(world, "https://h/b.zip", "b", "7")
    assert solve(world, "a @ https://h/a.zip") == {"a": "1", "b": "7"}


def test_a_url_that_an_index_asks_for_is_refused() -> None:
    world = releases(a=["1", ("2", ["b @ https://h/b.zip"])], b=["1"])
    direct(world, "https://h/b.zip", "b", "7")
    assert solve(world, "a") == {"a": "1"}
    assert solve(world, "a", "b @ https://h/b.zip") == {"a": "2", "b": "7"}


def test_a_url_that_holds_something_else() -> None:
    world = World()
    direct(world, "https://h/a.zip", "a", "1")
    with pytest.raises(BadDirect, match="holds a, not b"):
        solve(world, "b @ https://h/a.zip")
    with pytest.raises(BadDirect, match="cannot use"):
        solve(world, "b @ https://h/missing.zip")
