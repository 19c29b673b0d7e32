from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from packaging.specifiers import InvalidSpecifier, Specifier, SpecifierSet
from packaging.version import Version

from dpip.resolve.versions import ABSENT, Universe, is_valid

release = st.sampled_from(["0", "1", "1.0.1", "1.1", "1.2.3", "2", "2.1", "10"])
version = st.builds(
    "{}{}{}{}{}{}".format,
    st.sampled_from(["", "", "1!"]),
    release,
    st.sampled_from(["", "", "a1", "b2", "rc1"]),
    st.sampled_from(["", "", ".post1", ".post2"]),
    st.sampled_from(["", "", ".dev0", ".dev3"]),
    st.sampled_from(["", "", "", "+cpu", "+cpu.1"]),
)
plain = st.builds("{}{}{}".format, release, st.sampled_from(["", "a1", ".post1"]), st.just(""))
clause = st.one_of(
    st.builds("{}{}".format, st.sampled_from(["==", "!="]), version),
    st.builds("{}{}".format, st.sampled_from(["<", "<=", ">", ">="]), plain),
    st.builds("{}{}.*".format, st.sampled_from(["==", "!="]), release),
    st.builds("~={}.{}".format, release, st.sampled_from(["0", "1", "2"])),
    st.builds("==={}".format, release),
)


@given(st.lists(version, max_size=25), st.lists(clause, min_size=1, max_size=3))
def test_a_specifier_admits_what_packaging_says(texts: list[str], parts: list[str]) -> None:
    ordered = sorted({Version(text) for text in texts}, reverse=True)
    universe = Universe([str(each) for each in ordered])
    admitted = universe.matching(",".join(parts))
    expected = set(SpecifierSet(",".join(parts)).filter(ordered, prereleases=True))
    found = {Version(universe.text(number)) for number in universe.members(admitted)}
    assert found == expected
    assert not admitted & ABSENT


@given(st.lists(version, max_size=25))
def test_prereleases_are_marked(texts: list[str]) -> None:
    ordered = sorted({Version(text) for text in texts}, reverse=True)
    universe = Universe([str(each) for each in ordered])
    found = {Version(universe.text(number)) for number in universe.members(universe.prereleases)}
    assert found == {each for each in ordered if each.is_prerelease}


def test_members_are_newest_first() -> None:
    universe = Universe(["3", "2", "1"])
    assert [universe.text(number) for number in universe.members(universe.everything)] == [
        "3",
        "2",
        "1",
    ]


def test_a_specifier_that_is_none_is_told() -> None:
    assert is_valid(">=1,<2")
    assert not is_valid(">>1")
    try:
        Specifier(">>1")
    except InvalidSpecifier:
        return
    raise AssertionError("packaging accepts it, so must we")
