"""The same as `test_brute_force.py`, over all that an index and a user can say.

Markers, extras, yanked versions, Requires-Python, pre-releases, post-releases and local
versions, constraints and overrides. The oracle tries every combination and knows nothing of
the solver: it reads requirement lines with `packaging`.

`DPIP_EXAMPLES=100000` looks longer.
"""

from __future__ import annotations

import itertools
import os
from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version
from tests.resolve.indexes import LINUX, World, pins
from tests.resolve.indexes import given as given_lines

from dpip.resolve.request import Request

NAMES = ("a", "b", "c")
VERSIONS = ("1.0", "1.1", "2.0rc1", "2.0", "2.0+local", "2.0.post1", "3.0.dev1", "3.0a1")
ENVIRONMENT = {**LINUX.variables, "extra": ""}

version = st.sampled_from(VERSIONS)
operator = st.sampled_from([">=", "<", ">", "<=", "!=", "==", "~="])
clause = st.builds(
    "{}{}".format, operator, st.sampled_from(["1.0", "1.1", "2.0", "2.0rc1", "3.0a1"])
)
specifier = st.one_of(
    st.just(""),
    clause,
    st.builds("{},{}".format, clause, clause),
    st.sampled_from(["==2.*", "!=1.*", "===2.0", "==2.0+local", "===2.0+local"]),
)
marker = st.sampled_from(
    [
        "",
        "",
        "",
        "python_version >= '3.12'",
        "python_version < '3.12'",
        "sys_platform == 'linux'",
        "sys_platform == 'win32' and python_version > '3'",
        "sys_platform == 'win32' or python_full_version >= '3.12.0'",
        "extra == 'x'",
        "extra == 'x' and sys_platform == 'linux'",
        "extra == 'y' or sys_platform == 'win32'",
    ]
)
outer_marker = st.sampled_from(["", "", "sys_platform == 'linux'", "os_name == 'nt'"])
extras = st.sampled_from(["", "", "[x]", "[x,y]"])


def line(markers: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda name, extra, bound, when: f"{name}{extra}{bound}" + (f" ; {when}" if when else ""),
        st.sampled_from(NAMES),
        extras,
        specifier,
        markers,
    )


class Release(NamedTuple):
    requires: list[str]
    requires_python: str
    yanked: bool


release = st.builds(
    Release,
    st.lists(line(marker), max_size=2),
    st.sampled_from(["", "", "", ">=3.8", ">=3.13", "!=3.12.*"]),
    st.sampled_from([False, False, False, True]),
)
Index = dict[str, dict[str, Release]]
index = st.fixed_dictionaries(
    {name: st.dictionaries(version, release, max_size=4) for name in NAMES}
)


class Asked(NamedTuple):
    requirements: list[str]
    constraints: list[str]
    overrides: list[str]


asked = st.builds(
    Asked,
    st.lists(line(outer_marker), min_size=1, max_size=3),
    st.lists(st.builds("{}{}".format, st.sampled_from(NAMES), specifier), max_size=1),
    st.lists(st.builds("{}{}".format, st.sampled_from(NAMES), specifier), max_size=1),
)


def world_of(index: Index) -> World:
    world = World()
    for name, versions in index.items():
        for number, entry in versions.items():
            lines = [f"{text}" for text in entry.requires]
            world.release(
                name,
                number,
                lines,
                requires_python=entry.requires_python,
                yanked="bad" if entry.yanked else None,
                extras={"x": [], "y": []},
            )
    return world


def admits(bound: SpecifierSet, number: str) -> bool:
    return bound.contains(Version(number), prereleases=True)


def applies(requirement: Requirement, extra: str) -> bool:
    if requirement.marker is None:
        return True
    return requirement.marker.evaluate({**ENVIRONMENT, "extra": extra})


class Oracle:
    """Says whether an assignment of versions meets everything."""

    def __init__(self, index: Index, asked: Asked) -> None:
        self.index = index
        self.roots = [Requirement(text) for text in asked.requirements]
        self.constraints = [Requirement(text) for text in asked.constraints]
        self.overrides = [Requirement(text) for text in asked.overrides]

    def closure(self, chosen: dict[str, str]) -> set[str] | None:
        """Return what is needed under an assignment, or None where it breaks something."""
        seen: set[tuple[str, str]] = set()
        queue = [each for each in self.roots if applies(each, "")]
        while queue:
            requirement = queue.pop()
            number = chosen.get(requirement.name)
            if number is None or not self.fits(requirement, number):
                return None
            for extra in ("", *requirement.extras):
                if (requirement.name, extra) not in seen:
                    seen.add((requirement.name, extra))
                    lines = map(Requirement, self.index[requirement.name][number].requires)
                    queue += [each for each in lines if applies(each, extra)]
        return {name for name, _ in seen}

    def fits(self, requirement: Requirement, number: str) -> bool:
        name = requirement.name
        instead = [each.specifier for each in self.overrides if each.name == name]
        bounds = instead or [requirement.specifier]
        bounds += [each.specifier for each in self.constraints if each.name == name]
        return all(admits(bound, number) for bound in bounds) and self.usable(name, number)

    def usable(self, name: str, number: str) -> bool:
        entry = self.index[name][number]
        if not SpecifierSet(entry.requires_python).contains(ENVIRONMENT["python_full_version"]):
            return False
        return not entry.yanked or self.is_pinned(name, number)

    def is_pinned(self, name: str, number: str) -> bool:
        """Say whether the user wrote this version out."""
        given = (*self.roots, *self.constraints, *self.overrides)
        return any(
            each.name == name
            and clause.operator in {"==", "==="}
            and not clause.version.endswith("*")
            and clause.contains(Version(number), prereleases=True)
            for each in given
            if applies(each, "")
            for clause in each.specifier
        )

    def has_answer(self) -> bool:
        choices = [[None, *self.index[name]] for name in NAMES]
        for combination in itertools.product(*choices):
            chosen = {n: v for n, v in zip(NAMES, combination, strict=True) if v is not None}
            if self.closure(chosen) is not None:
                return True
        return False


@settings(
    max_examples=int(os.environ.get("DPIP_EXAMPLES") or 150),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(index, asked)
def test_an_answer_is_valid_and_no_is_true(index: Index, asked: Asked) -> None:
    request = Request(
        given_lines(*asked.requirements),
        LINUX,
        constraints=given_lines(*asked.constraints),
        overrides=given_lines(*asked.overrides),
    )
    answer = pins(world_of(index).answer(request))
    oracle = Oracle(index, asked)
    if answer is None:
        assert not oracle.has_answer()
        return
    by_version = {name: {str(Version(v)): v for v in index[name]} for name in NAMES}
    chosen = {name: by_version[name][number] for name, number in answer.items()}
    assert oracle.closure(chosen) == set(answer)
