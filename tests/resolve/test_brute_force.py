"""Small random indexes, where every answer can be tried: ours must be one, or there is none."""

from __future__ import annotations

import itertools
import random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.resolve import indexes
from tests.resolve.indexes import LINUX, World, pins

from dpip.resolve.facts import InMemory, Wants
from dpip.resolve.request import Request
from dpip.resolve.requirement import parse
from dpip.resolve.resolution import Impossible, NeedMore, Solution
from dpip.resolve.session import Session

NAMES = ["a", "b", "c", "d"]
VERSIONS = ["1", "2", "3"]

specifier = st.sampled_from(["", "==1", "==2", "==3", ">=2", "<3", "!=2", "<1"])
wanted = st.builds(
    "{}{}{}".format,
    st.sampled_from([*NAMES, "nowhere"]),
    st.sampled_from(["", "", "[x]"]),
    specifier,
)
release = st.fixed_dictionaries(
    {"requires": st.lists(wanted, max_size=2), "x": st.lists(wanted, max_size=1)}
)
index = st.fixed_dictionaries(
    {name: st.dictionaries(st.sampled_from(VERSIONS), release, max_size=3) for name in NAMES}
)
Index = dict[str, dict[str, dict[str, list[str]]]]


def world_of(index: Index) -> World:
    world = World()
    for name, versions in index.items():
        for version, entry in versions.items():
            world.release(name, version, entry["requires"], extras={"x": entry["x"]})
    return world


def closure(index: Index, roots: list[str], chosen: dict[str, str]) -> set[str] | None:
    """Return what the roots need under an assignment, or None where it breaks a requirement."""
    seen: set[tuple[str, str]] = set()
    queue = [parse(root) for root in roots]
    while queue:
        requirement = queue.pop()
        version = chosen.get(requirement.name)
        if version is None or not admits(requirement.specifier, version):
            return None
        entry = index[requirement.name][version]
        for extra in ("", *requirement.extras):
            if (requirement.name, extra) not in seen:
                seen.add((requirement.name, extra))
                queue += [parse(line) for line in entry["x" if extra else "requires"]]
    return {name for name, _ in seen}


def admits(specifier: str, version: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(specifier).contains(version)


def has_answer(index: Index, roots: list[str]) -> bool:
    choices = [[None, *index[name]] for name in NAMES]
    for combination in itertools.product(*choices):
        chosen = {name: v for name, v in zip(NAMES, combination, strict=True) if v is not None}
        if closure(index, roots, chosen) is not None:
            return True
    return False


@settings(max_examples=400, deadline=None)
@given(index, st.lists(wanted, min_size=1, max_size=3))
def test_an_answer_is_valid_and_no_is_true(index: Index, roots: list[str]) -> None:
    answer = pins(world_of(index).answer(Request(indexes.given(*roots), LINUX)))
    if answer is None:
        assert not has_answer(index, roots)
    else:
        assert closure(index, roots, answer) == set(answer)


@settings(max_examples=150, deadline=None)
@given(index, st.lists(wanted, min_size=1, max_size=3), st.randoms(use_true_random=False))
def test_what_is_known_beforehand_changes_nothing(
    index: Index, roots: list[str], chance: random.Random
) -> None:
    world, request = world_of(index), Request(indexes.given(*roots), LINUX)
    first = world.answer(request)
    known = InMemory()
    some_files = [file for file in world.facts.metadata if chance.random() < 0.5]
    known.metadata.update({file: world.facts.metadata[file] for file in some_files})
    known.projects.update({k: v for k, v in world.facts.projects.items() if chance.random() < 0.5})
    assert told(run(Session(request, known), world, known, chance)) == told(first)


def run(session: Session, world: World, known: InMemory, chance: random.Random) -> Any:
    while isinstance(outcome := session.run(), NeedMore):
        wants = outcome.wants
        projects, metadata = list(wants.projects), list(wants.metadata)
        chance.shuffle(projects)
        chance.shuffle(metadata)
        ahead = [file for file in wants.ahead if chance.random() < 0.5]
        world.give(known, Wants(tuple(projects), tuple(metadata), wants.direct, tuple(ahead)))
    return outcome


def told(outcome: Solution | Impossible) -> Any:
    return outcome if isinstance(outcome, Impossible) else (outcome.pins, outcome.statistics)
