"""One answer for all environments: in each of them it must be a valid answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.specifiers import SpecifierSet
from tests.resolve import indexes
from tests.resolve.indexes import LINUX, World

from dpip.resolve import environment, markers
from dpip.resolve.facts import CandidateFile, Dependencies, Direct
from dpip.resolve.request import Request
from dpip.resolve.requirement import parse
from dpip.resolve.resolution import Impossible, Solution

if TYPE_CHECKING:
    from dpip.resolve.resolution import Pin

NAMES = ["a", "b", "c", "d"]
SYSTEMS = [("linux", "posix"), ("win32", "nt"), ("darwin", "posix"), ("other", "posix")]
PYTHONS = ["3.12.0", "3.12.4", "3.13.1", "3.14.0"]

MARKERS = [
    "",
    "",
    "sys_platform == 'linux'",
    "sys_platform != 'linux'",
    "sys_platform == 'win32'",
    "os_name == 'nt'",
    "python_version < '3.13'",
    "python_version >= '3.13'",
]
wanted = st.builds(
    lambda name, extra, specifier, marker: (
        f"{name}{extra}{specifier}" + (f" ; {marker}" if marker else "")
    ),
    st.sampled_from(NAMES),
    st.sampled_from(["", "", "[x]"]),
    st.sampled_from(["", "==1", "==2", ">=2", "<2"]),
    st.sampled_from(MARKERS),
)
release = st.fixed_dictionaries(
    {
        "requires": st.lists(wanted, max_size=3),
        "x": st.lists(wanted, max_size=1),
        "python": st.sampled_from(["", "", "", ">=3.13"]),
    }
)
index = st.fixed_dictionaries(
    {name: st.dictionaries(st.sampled_from(["1", "2"]), release, max_size=2) for name in NAMES}
)
Index = dict[str, dict[str, dict[str, list[str] | str]]]


def world_of(index: Index) -> World:
    world = World()
    for name, versions in index.items():
        for version, entry in versions.items():
            world.release(
                name,
                version,
                list(entry["requires"]),
                extras={"x": list(entry["x"])},
                requires_python=str(entry["python"]),
            )
    return world


def environments() -> list[dict[str, str]]:
    return [
        {
            "sys_platform": system,
            "os_name": family,
            "python_full_version": python,
            "python_version": python[:4],
        }
        for system, family in SYSTEMS
        for python in PYTHONS
    ]


def here(marker: str, where: dict[str, str]) -> bool:
    return not marker or markers.holds(markers.parse(marker), where)


def check(index: Index, roots: list[str], pins: tuple[Pin, ...], where: dict[str, str]) -> None:
    active = [pin for pin in pins if here(pin.marker, where)]
    chosen = {pin.name: pin.version for pin in active}
    assert len(chosen) == len(active), "two versions in one environment"
    seen: set[tuple[str, str]] = set()
    queue = [parse(root) for root in roots]
    while queue:
        requirement = queue.pop()
        if not here(requirement.marker, where):
            continue
        version = chosen[requirement.name]
        assert SpecifierSet(requirement.specifier).contains(version)
        entry = index[requirement.name][version]
        assert SpecifierSet(str(entry["python"])).contains(where["python_full_version"])
        for extra in ("", *requirement.extras):
            if (requirement.name, extra) not in seen:
                seen.add((requirement.name, extra))
                queue += [parse(line) for line in entry["x" if extra else "requires"]]
    assert {name for name, _ in seen} == set(chosen)


@settings(max_examples=300, deadline=None)
@given(index, st.lists(wanted, min_size=1, max_size=3))
def test_the_answer_holds_in_every_environment(index: Index, roots: list[str]) -> None:
    request = Request(indexes.given(*roots), LINUX, universal=True)
    outcome = world_of(index).answer(request)
    if isinstance(outcome, Solution):
        for where in environments():
            check(index, roots, outcome.pins, where)


def answer(
    world: World, *roots: str, required: tuple[str, ...] = ()
) -> dict[tuple[str, str], str] | None:
    request = Request(indexes.given(*roots), LINUX, universal=True, required_environments=required)
    outcome = world.answer(request)
    if isinstance(outcome, Impossible):
        return None
    return {(pin.name, pin.version): pin.marker for pin in outcome.pins}


def test_requirements_that_disagree_split() -> None:
    world = World()
    world.release("a", "1")
    world.release("a", "2")
    assert answer(world, "a>=2 ; sys_platform == 'linux'", "a<2 ; sys_platform == 'darwin'") == {
        ("a", "1"): "sys_platform == 'darwin'",
        ("a", "2"): "sys_platform == 'linux'",
    }


def test_a_newer_python_gets_a_newer_version() -> None:
    world = World()
    world.release("a", "1")
    world.release("a", "2", requires_python=">=3.13")
    assert answer(world, "a") == {
        ("a", "1"): "python_full_version < '3.13'",
        ("a", "2"): "python_full_version >= '3.13'",
    }


def test_what_cannot_be_reached_is_left_out() -> None:
    world = World()
    world.release("a", "1", ["b ; sys_platform == 'linux'"])
    world.release("b", "1")
    assert answer(world, "a ; sys_platform == 'win32'") == {("a", "1"): "sys_platform == 'win32'"}


def test_markers_add_up() -> None:
    world = World()
    world.release("a", "1", ["c ; sys_platform == 'linux'"])
    world.release("b", "1", ["c ; sys_platform == 'darwin'"])
    world.release("c", "1")
    assert answer(world, "a", "b") == {
        ("a", "1"): "",
        ("b", "1"): "",
        ("c", "1"): "sys_platform == 'darwin' or sys_platform == 'linux'",
    }


def test_a_required_environment_needs_a_file() -> None:
    world = World()
    world.release("a", "1")
    world.release("a", "2", tags=("cp312-abi3-win_amd64",), sdist=False)
    linux = "sys_platform == 'linux'"
    assert answer(world, "a") == {("a", "2"): ""}
    assert answer(world, "a", required=(linux,)) == {
        ("a", "1"): linux,
        ("a", "2"): "sys_platform != 'linux'",
    }


def test_an_answer_is_its_own_second_answer() -> None:
    world = World()
    world.release("a", "1", ["b==1 ; os_name == 'nt'", "b==2 ; os_name != 'nt'"])
    world.release("b", "1")
    world.release("b", "2")
    first = answer(world, "a")
    assert first is not None
    again = [f"{n}=={v}" + (f" ; {m}" if m else "") for (n, v), m in first.items()]
    assert answer(world, *again) == first


@pytest.mark.parametrize(
    ("root", "constraints", "expected"),
    [
        (
            "a",
            ("a==1 ; sys_platform == 'linux'", "a==2 ; sys_platform != 'linux'"),
            {("a", "1"): "sys_platform == 'linux'", ("a", "2"): "sys_platform != 'linux'"},
        ),
        (
            "a>=2 ; sys_platform != 'linux'",
            ("a<2 ; sys_platform == 'linux'",),
            {("a", "2"): "sys_platform != 'linux'"},
        ),
        (
            "a",
            ("a<2 ; sys_platform == 'linux'",),
            {("a", "1"): ""},
        ),
    ],
)
def test_constraints_that_hold_somewhere_split(
    root: str, constraints: tuple[str, ...], expected: dict[tuple[str, str], str]
) -> None:
    world = World()
    world.release("a", "1")
    world.release("a", "2")
    asked = Request(
        indexes.given(root), LINUX, constraints=indexes.given(*constraints), universal=True
    )
    outcome = world.answer(asked)
    assert isinstance(outcome, Solution)
    assert {(pin.name, pin.version): pin.marker for pin in outcome.pins} == expected


def test_a_bound_that_leaves_the_first_release_out() -> None:
    world = World()
    world.release("a", "1")
    world.release("a", "2", requires_python=">3.12")
    assert answer(world, "a") == {
        ("a", "1"): "python_full_version <= '3.12'",
        ("a", "2"): "python_full_version > '3.12'",
    }


def test_a_scope_that_begins_within_a_minor_version() -> None:
    world = World()
    world.release("a", "1", requires_python=">3.12")
    asked = Request(indexes.given("a"), LINUX, universal=True, requires_python=">=3.12.4")
    assert isinstance(world.answer(asked), Solution)


@pytest.mark.parametrize("python", ["3.12", "3.13"])
def test_the_scope_starts_at_the_target_python(python: str) -> None:
    world = World()
    world.release("a", "1", requires_python=">=3.13")
    request = Request(
        indexes.given("a ; python_version >= '3.13'"),
        environment.target(python, "linux"),
        universal=True,
    )
    assert isinstance(world.answer(request), Solution)


def test_urls_for_different_environments() -> None:
    world = World()
    world.release("b", "1", ["a"])
    world.release("a", "5")
    for system, version in (("linux", "1"), ("win32", "2")):
        url = f"https://h/a-{system}.zip"
        file = CandidateFile(f"a-{version}.tar.gz", url, "sdist")
        world.facts.directs[url] = Direct(url, file, Dependencies("a", version))
    found = answer(
        world,
        "b",
        "a @ https://h/a-linux.zip ; sys_platform == 'linux'",
        "a @ https://h/a-win32.zip ; sys_platform == 'win32'",
    )
    assert found == {
        ("a", "1"): "sys_platform == 'linux'",
        ("a", "2"): "sys_platform == 'win32'",
        ("a", "5"): "sys_platform != 'linux' and sys_platform != 'win32'",
        ("b", "1"): "",
    }
