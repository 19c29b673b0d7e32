from __future__ import annotations

import pytest
from packaging.markers import Marker

from dpip.resolve.markers import InvalidMarker, holds, parse

ENVIRONMENT = {
    "implementation_name": "cpython",
    "implementation_version": "3.12.4",
    "os_name": "posix",
    "platform_machine": "x86_64",
    "platform_release": "6.1.0",
    "platform_system": "Linux",
    "platform_version": "#1 SMP",
    "platform_python_implementation": "CPython",
    "python_full_version": "3.12.4",
    "python_version": "3.12",
    "sys_platform": "linux",
}


@pytest.mark.parametrize(
    "text",
    [
        "python_version >= '3.8'",
        "'3.8' <= python_version",
        "python_version < '3.10' or os_name == 'posix'",
        "python_version < '3.10' and os_name == 'posix' or sys_platform == 'linux'",
        "python_version < '3.10' and (os_name == 'posix' or sys_platform == 'linux')",
        "'linux' in sys_platform",
        "sys_platform in 'linux darwin'",
        "sys_platform not in 'win32'",
        "python_version in '3.11, 3.12'",
        "python_full_version != '3.12.4'",
        "implementation_version ~= '3.12.0'",
        "platform_release >= '5'",
        'platform_machine == "x86_64"',
        "extra == 'x'",
        "extra != 'x'",
        "(((os_name == 'posix')))",
    ],
)
def test_it_holds_where_packaging_says_so(text: str) -> None:
    expected = Marker(text).evaluate({**ENVIRONMENT, "extra": ""})
    assert holds(parse(text), ENVIRONMENT) is expected


def test_an_extra_is_compared_normalized() -> None:
    assert holds(parse("extra == 'Foo_Bar'"), ENVIRONMENT, "foo-bar")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "os_name",
        "os_name ==",
        "'a' == 'b'",
        "os_name == sys_platform",
        "colour == 'red'",
        "os_name == 'a' xor os_name == 'b'",
        "(os_name == 'a'",
        "os_name not like 'a'",
        "(" * 60 + "os_name == 'a'" + ")" * 60,
        " or ".join(["os_name == 'a'"] * 900),
    ],
)
def test_what_is_no_marker_is_told(text: str) -> None:
    with pytest.raises(InvalidMarker):
        parse(text)
