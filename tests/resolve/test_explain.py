from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given as property_given
from hypothesis import settings
from hypothesis import strategies as st
from tests.resolve import test_brute_force as brute
from tests.resolve.indexes import LINUX, World, given

from dpip.resolve import proof as proofs
from dpip.resolve.environment import target
from dpip.resolve.explain import Explanation
from dpip.resolve.request import Formats, Given, Request
from dpip.resolve.requirement import parse
from dpip.resolve.resolution import Impossible
from dpip.resolve.search import Search
from dpip.resolve.solver import NoAnswer


def why(world: World, *roots: str, **rules: Any) -> Explanation:
    outcome = world.answer(Request(given(*roots), rules.pop("target", LINUX), **rules))
    assert isinstance(outcome, Impossible)
    return outcome.explanation


@pytest.fixture
def world() -> World:
    index = World()
    index.release("app", "1", ["lib<2"])
    index.release("app", "2", ["lib>=2"])
    index.release("lib", "1")
    index.release("lib", "2", ["gone"])
    index.release("old", "1", requires_python=">=3.13")
    index.release("pulled", "1", yanked="broken")
    index.release("mac", "1", tags=("cp312-cp312-macosx_11_0_arm64",), sdist=False)
    index.release("wheelless", "1", tags=())
    index.release("late", "1", upload_time=2_000_000_000.0)
    return index


def test_two_requirements_of_the_user(world: World) -> None:
    found = why(world, "lib>=2", "lib<2")
    assert found.lines == (
        (
            "Because you require lib>=2 (the command line) and you require lib<2 "
            "(the command line), there is no answer."
        ),
    )
    assert [bound.kind for bound in found.bounds] == ["requirement", "requirement"]


def test_a_missing_project_is_named_with_who_wants_it(world: World) -> None:
    found = why(world, "lib==2")
    assert "lib 2 requires gone, but no index has a project gone" in found.lines[0]
    assert "missing" in {bound.kind for bound in found.bounds}
    assert found.hints == (
        "give up lib==2 (the command line): then there is an answer, with lib 1",
    )


def test_a_constraint_is_called_one(world: World) -> None:
    limits = (Given(parse("lib<1"), "limits.txt, line 3"),)
    found = why(world, "app", constraints=limits)
    text = " ".join(found.lines)
    assert "your constraint says lib<1 (limits.txt, line 3)" in text
    assert found.hints[0].startswith("give up the constraint lib<1 (limits.txt, line 3)")


def test_an_override_is_called_one(world: World) -> None:
    over = (Given(parse("lib==9"), "over.txt, line 1"),)
    found = why(world, "app", overrides=over)
    assert "(your override, over.txt, line 1)" in " ".join(found.lines)
    assert "override" in {bound.kind for bound in found.bounds}


@pytest.mark.parametrize(
    ("root", "kind", "words", "hint"),
    [
        ("old", "python", "old 1 needs Python >=3.13 (you solve for 3.12.0)",
         "solve for Python 3.13 (--python-version): then there is an answer, with old 1"),
        ("pulled", "yanked", "pulled 1 was yanked (broken)",
         "name the yanked version as pulled==1: then there is an answer, with pulled 1"),
        ("mac", "platform", "mac 1 has no wheel for this platform and no source archive", None),
        ("late", "date", "late 1 was not there yet at 2023-11-14 22:13 UTC",
         "choose a later --exclude-newer: then there is an answer, with late 1"),
        ("wheelless", "format", "wheelless 1 has no other files",
         ("let every kind of file of wheelless be used (--only-binary, --no-binary): "
         "there may be an answer then")),
    ],
)  # fmt: skip
def test_obstacles(world: World, root: str, kind: str, words: str, hint: str | None) -> None:
    rules: dict[str, Any] = {}
    if kind == "date":
        rules["exclude_newer"] = 1_700_000_000.0
    if kind == "format":
        rules["formats"] = Formats(no_sdists=frozenset({":all:"}))
    found = why(world, root, **rules)
    assert words in found.lines[0]
    assert kind in {bound.kind for bound in found.bounds}
    assert found.hints == (() if hint is None else (hint,))


def test_no_empty_sets_are_spoken_of(world: World) -> None:
    text = why(world, "lib>7").text()
    assert "no version of lib matches (the newest is 2)" in text
    assert "∅" not in text


def test_ranges_are_folded() -> None:
    world = World()
    for version in range(1, 10):
        world.release("a", str(version), ["b==2"])
    world.release("b", "1")
    world.release("b", "2")
    assert why(world, "a", "b==1").lines == (
        (
            "Because you require b==1 (the command line), you require a (the command line) and "
            "every version of a requires b==2, there is no answer."
        ),
    )


def test_the_json_form_has_it_all(world: World) -> None:
    found = why(world, "app==2", target=target("3.9", "linux")).as_dict()
    assert found["error"] == "no-answer"
    assert {"kind", "name", "text", "requirement", "origin", "versions"} == set(found["bounds"][0])


@settings(max_examples=100, deadline=None)
@property_given(brute.index, st.lists(brute.wanted, min_size=1, max_size=3))
def test_every_fact_of_a_short_proof_counts(index: brute.Index, roots: list[str]) -> None:
    world = brute.world_of(index)
    request = Request(given(*roots), LINUX)
    search = Search(request, LINUX, all_known(world), {})
    try:
        search.solver.run()
    except NoAnswer as verdict:
        universes = [search.provider.universe(n) for n in range(len(search.provider.keys))]
        short = proofs.shortest(verdict.proof, universes)
        facts = proofs.leaves(short)
        for place in range(len(facts)):
            fewer = facts[:place] + facts[place + 1 :]
            assert proofs.contradiction(fewer, universes) is None
        assert proofs.contradiction(facts, universes) is not None


def all_known(world: World) -> Any:
    from dpip.resolve.facts import Unavailable

    class Everything:
        def project(self, name: str) -> Any:
            return world.facts.project(name) or Unavailable("not-found")

        def dependencies(self, file: Any) -> Any:
            return world.facts.dependencies(file) or Unavailable("not-found")

        def direct(self, url: str) -> Any:
            return Unavailable("not-found")

    return Everything()


def test_a_long_story_is_told_from_its_end() -> None:
    world = World()
    for place in range(60):
        world.release(f"p{place:02}", "1", [f"p{place + 1:02}", f"q{place:02}==1"])
        world.release(f"p{place:02}", "2", [f"p{place + 1:02}", f"q{place:02}==2"])
        world.release(f"q{place:02}", "1")
        world.release(f"q{place:02}", "2")
    found = why(world, "p00")
    assert 0 < len(found.lines) <= 31
    assert "no index has a project p60" in " ".join(found.lines) or "left out" in found.lines[0]


@pytest.mark.timeout(60)
@pytest.mark.parametrize("releases", [5, 40, 300])
def test_versions_that_each_require_their_own_are_told_as_one(releases: int) -> None:
    index = World()
    for number in range(releases):
        index.release("top", f"1.{number}", [f"core==1.{number}"])
        index.release("core", f"1.{number}", ["net<2"])
    index.release("net", "1")
    index.release("net", "2")
    found = why(index, "top", "net>=2")
    (line,) = found.lines
    assert line == (
        "Because you require net>=2 (the command line), you require top (the command line), "
        f"every version of top requires core ({releases} requirements, each version its own) "
        "and every version of core requires net<2, there is no answer."
    )
    assert found.hints == (
        "give up net>=2 (the command line): then there is an answer, with net 1",
    )


def test_what_there_are_wheels_for_is_named(world: World) -> None:
    assert "1 has wheels for cp312-cp312-macosx_11_0_arm64" in why(world, "mac").lines[0]


def test_a_universal_answer_names_the_marker(world: World) -> None:
    world.release("wide", "1", ["lib>=9 ; sys_platform == 'win32'"])
    assert "lib>=9 ; sys_platform == 'win32'" in why(world, "wide", universal=True).lines[0]
