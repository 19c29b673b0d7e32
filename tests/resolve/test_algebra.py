from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dpip.resolve import algebra, markers, simplify
from dpip.resolve.algebra import FALSE, TRUE, both, either, neither, of

comparison = st.one_of(
    st.builds(
        "python_version {} '{}'".format,
        st.sampled_from(["<", "<=", "==", "!=", ">", ">=", "~="]),
        st.sampled_from(["3.8", "3.9", "3.10", "3.12"]),
    ),
    st.builds(
        "python_full_version {} '{}'".format,
        st.sampled_from(["<", "<=", "==", "!=", ">", ">="]),
        st.sampled_from(["3.8.1", "3.9", "3.10.2"]),
    ),
    st.builds(
        "{} {} '{}'".format,
        st.sampled_from(["sys_platform", "platform_machine"]),
        st.sampled_from(["==", "!="]),
        st.sampled_from(["linux", "win32", "x"]),
    ),
    st.just("'lin' in sys_platform"),
    st.just("platform_machine not in 'x86'"),
)
marker = st.recursive(
    comparison,
    lambda inner: st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or"]), inner),
    max_leaves=5,
)
environment = st.builds(
    lambda full, system, machine: {
        "python_full_version": full,
        "python_version": ".".join(full.split(".")[:2]),
        "sys_platform": system,
        "platform_machine": machine,
    },
    st.sampled_from(["3.7.9", "3.8.0", "3.8.1", "3.9.0", "3.9.5", "3.10.2", "3.12.1"]),
    st.sampled_from(["linux", "win32", "x", "other"]),
    st.sampled_from(["linux", "win32", "x", "other"]),
)


def holds(meaning: algebra.Marker, where: dict[str, str]) -> bool:
    written = simplify.text(meaning)
    return not written or markers.holds(markers.parse(written), where)


@given(marker, environment)
def test_text_and_meaning_agree(text: str, where: dict[str, str]) -> None:
    assert holds(of(text), where) is markers.holds(markers.parse(text), where)


@given(marker, marker, environment)
def test_operations_are_those_of_logic(left: str, right: str, where: dict[str, str]) -> None:
    a, b = (markers.holds(markers.parse(text), where) for text in (left, right))
    assert holds(both(of(left), of(right)), where) is (a and b)
    assert holds(either(of(left), of(right)), where) is (a or b)
    assert holds(neither(of(left)), where) is not a


@given(marker, marker)
def test_equal_meaning_is_the_same_object(left: str, right: str) -> None:
    a, b = of(left), of(right)
    assert both(a, b) is both(b, a)
    assert neither(neither(a)) is a
    assert neither(both(a, b)) is either(neither(a), neither(b))
    assert both(a, neither(a)) is FALSE
    assert either(a, neither(a)) is TRUE


@given(marker)
def test_text_is_stable(text: str) -> None:
    written = simplify.text(of(text))
    assume(written != simplify.NEVER)
    assert simplify.text(of(written)) == written


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("python_version < '3.13' or python_version >= '3.13'", ""),
        ("python_version >= '3.8' and python_version >= '3.10'", "python_full_version >= '3.10'"),
        ("os_name == 'nt' or os_name == 'nt'", "os_name == 'nt'"),
        (
            "sys_platform == 'linux' or sys_platform == 'darwin'",
            "sys_platform == 'darwin' or sys_platform == 'linux'",
        ),
        (
            "sys_platform == 'linux' or python_version < '3.9'",
            "python_full_version < '3.9' or sys_platform == 'linux'",
        ),
        ("platform_system == 'Windows'", "sys_platform == 'win32'"),
        ("sys_platform == 'win32' and os_name == 'posix'", simplify.NEVER),
    ],
)
def test_written_short(text: str, written: str) -> None:
    assert simplify.text(of(text)) == written


def test_text_within_what_is_given() -> None:
    within = of("python_version >= '3.12'")
    assert simplify.text(of("python_version >= '3.9'"), within) == ""
    written = simplify.text(of("python_version >= '3.12' and os_name == 'nt'"), within)
    assert written == "os_name == 'nt'"


def test_an_extra_is_settled() -> None:
    meaning = of("extra == 'x' and os_name == 'nt'")
    assert algebra.given_extra(meaning, "x") is of("os_name == 'nt'")
    assert algebra.given_extra(meaning, "") is FALSE
