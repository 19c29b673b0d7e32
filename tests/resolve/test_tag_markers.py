from __future__ import annotations

import pytest

from dpip.resolve import algebra, names, simplify, tag_markers


@pytest.mark.parametrize(
    ("tags", "pythons", "platforms"),
    [
        ("py3-none-any", "python_full_version >= '3.0' and python_full_version < '4'", ""),
        ("cp312-cp312-win_amd64",
         ("python_full_version >= '3.12' and python_full_version < '3.13' "
         "and implementation_name == 'cpython'"),
         "sys_platform == 'win32' and platform_machine == 'AMD64'"),
        ("cp39-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64",
         ("python_full_version >= '3.9' and python_full_version < '4' "
         "and implementation_name == 'cpython'"),
         "sys_platform == 'linux' and platform_machine == 'x86_64'"),
        ("py3-none-macosx_11_0_arm64",
         "python_full_version >= '3.0' and python_full_version < '4'",
         "sys_platform == 'darwin' and platform_machine == 'arm64'"),
    ],
)  # fmt: skip
def test_what_tags_say(tags: str, pythons: str, platforms: str) -> None:
    wheel = names.wheel_name(f"a-1-{tags}.whl")
    assert wheel is not None
    assert simplify.text(tag_markers.pythons(wheel)) == pythons
    assert simplify.text(tag_markers.platforms(wheel)) == platforms


def test_unknown_tags_fit_nowhere() -> None:
    wheel = names.wheel_name("a-1-foo-none-plan9.whl")
    assert wheel is not None
    assert tag_markers.pythons(wheel) is algebra.FALSE
    assert tag_markers.platforms(wheel) is algebra.FALSE
