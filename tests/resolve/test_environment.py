from __future__ import annotations

import sys

import pytest
from packaging import tags as reference
from packaging.markers import default_environment

from dpip.errors import UsageError
from dpip.resolve.environment import UnknownPlatform, here, target


def wheel(tag: reference.Tag) -> str:
    return f"a-1-{tag.interpreter}-{tag.abi}-{tag.platform}.whl"


@pytest.mark.skipif(sys.implementation.name != "cpython", reason="compares CPython's tags")
def test_this_interpreter_takes_what_packaging_says_in_the_same_order() -> None:
    tags = list(reference.sys_tags())
    ranks = [here().rank(wheel(tag)) for tag in tags]
    assert None not in ranks
    assert ranks == sorted(ranks, key=lambda rank: -1 if rank is None else rank)
    assert len(set(ranks)) == len(ranks)


def test_the_variables_of_this_interpreter() -> None:
    assert here().variables == {k: str(v) for k, v in default_environment().items()}


@pytest.mark.parametrize(
    ("python", "platform", "fits", "fits_not"),
    [
        ("3.12", "linux", "cp312-cp312-manylinux_2_28_x86_64", "cp312-cp312-manylinux_2_31_x86_64"),
        ("3.12", "linux", "cp39-abi3-manylinux2014_x86_64", "cp313-abi3-manylinux2014_x86_64"),
        ("3.9", "linux", "py2.py3-none-any", "cp312-cp312-manylinux_2_17_x86_64"),
        ("3.12", "macos", "cp312-cp312-macosx_11_0_arm64", "cp312-cp312-macosx_11_0_x86_64"),
        ("3.12", "macos", "cp312-cp312-macosx_10_9_universal2", "cp312-cp312-win_amd64"),
        ("3.12", "windows", "cp312-none-win_amd64", "cp312-none-win32"),
        (
            "3.12",
            "x86_64-manylinux2014",
            "cp312-cp312-manylinux_2_17_x86_64",
            "cp312-cp312-manylinux_2_28_x86_64",
        ),
        (
            "3.12",
            "aarch64-unknown-linux-gnu",
            "py3-none-manylinux_2_17_aarch64",
            "py3-none-manylinux_2_17_x86_64",
        ),
        (
            "3.12",
            "x86_64-unknown-linux-musl",
            "py3-none-musllinux_1_2_x86_64",
            "py3-none-manylinux_2_17_x86_64",
        ),
    ],
)
def test_other_environments(python: str, platform: str, fits: str, fits_not: str) -> None:
    there = target(python, platform)
    assert there.rank(f"a-1-{fits}.whl") is not None
    assert there.rank(f"a-1-{fits_not}.whl") is None


def test_a_more_specific_wheel_ranks_first() -> None:
    there = target("3.12", "linux")
    names = [
        "a-1-cp312-cp312-manylinux_2_28_x86_64.whl",
        "a-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "a-1-cp312-abi3-manylinux_2_28_x86_64.whl",
        "a-1-cp39-abi3-manylinux_2_28_x86_64.whl",
        "a-1-py3-none-manylinux_2_28_x86_64.whl",
        "a-1-py3-none-any.whl",
    ]
    assert sorted(set(names), key=lambda name: there.rank(name) or 0) == names


def test_platform_tags() -> None:
    there = target("3.11", None, ["manylinux2014_aarch64"])
    assert there.rank("a-1-cp311-cp311-manylinux_2_17_aarch64.whl") is not None
    assert there.rank("a-1-cp311-cp311-manylinux_2_28_aarch64.whl") is None
    assert there.variables["platform_machine"] == "aarch64"
    assert target("3.11", None, ["win_arm64"]).variables["platform_machine"] == "ARM64"


def test_what_is_taken_from_this_interpreter() -> None:
    assert target(None, None) == here()
    assert target(None, "windows").python == here().python
    assert target("3.9", None).variables["sys_platform"] == sys.platform


@pytest.mark.parametrize("python", ["3", "three", "3.12."])
def test_what_is_no_python_version(python: str) -> None:
    with pytest.raises(UsageError):
        target(python, "linux")


@pytest.mark.parametrize("platform", ["beos", "x86_64-beos", "mips-pc-windows-msvc"])
def test_what_is_no_platform(platform: str) -> None:
    with pytest.raises(UnknownPlatform):
        target("3.12", platform)
    with pytest.raises(UnknownPlatform):
        target("3.12", None, [platform])
