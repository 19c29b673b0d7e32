from __future__ import annotations

import pytest

from dpip.resolve import names


@pytest.mark.parametrize(
    ("filename", "project", "expected"),
    [
        ("absl_py-0.1.0-py3-none-any.whl", "absl-py", "0.1.0"),
        ("absl-py-0.1.10.tar.gz", "absl-py", "0.1.10"),
        ("zope.interface-5.0.zip", "zope-interface", "5.0"),
        ("torch-2.1.0+cpu-cp312-cp312-win_amd64.whl", "torch", "2.1.0+cpu"),
        ("a-1.0-1-py3-none-any.whl", "a", "1.0"),
        ("a-1.0-x-py3-none-any.whl", "a", None),
        ("other-1.0.tar.gz", "a", None),
        ("a-nonsense.tar.gz", "a", None),
        ("a-1.0.exe", "a", None),
    ],
)
def test_file_version(filename: str, project: str, expected: str | None) -> None:
    found = names.file_version(filename, project)
    assert (None if found is None else str(found)) == expected


def test_wheel_tags_are_split() -> None:
    parts = names.wheel_name("a-1-cp312-abi3.none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl")
    assert parts is not None
    assert parts.abis == ("abi3", "none")
    assert parts.platforms == ("manylinux_2_17_x86_64", "manylinux2014_x86_64")


def test_normalize() -> None:
    assert names.normalize("Foo__Bar.-baz") == "foo-bar-baz"
