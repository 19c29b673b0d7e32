from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.resolve import core_metadata, records
from dpip.resolve.errors import BadMetadata

TEXT = b"""Metadata-Version: 2.3
Name: Demo.Thing
version: 1.0
Requires-Dist: one >=1
  , <2
Requires-Dist: two[b,A]; extra == 'x'
Provides-Extra: x
Dynamic: Description
Requires-Python: >=3.9

Requires-Dist: in-the-description
"""


def test_fields_up_to_the_blank_line() -> None:
    found = core_metadata.parse(TEXT, "demo")
    assert (found.name, found.version, found.requires_python) == ("Demo.Thing", "1.0", ">=3.9")
    assert found.requires_dist == ("one >=1 , <2", "two[b,A]; extra == 'x'")
    assert found.is_static


@pytest.mark.parametrize(
    ("change", "static"),
    [(b"Dynamic: Requires-Dist", False), (b"Dynamic: License", True)],
)
def test_what_is_dynamic_does_not_bind(change: bytes, static: bool) -> None:
    text = TEXT.replace(b"Dynamic: Description", change)
    assert core_metadata.parse(text, "demo").is_static is static


def test_old_metadata_does_not_bind() -> None:
    assert not core_metadata.parse(TEXT.replace(b"2.3", b"2.1"), "demo").is_static


@pytest.mark.parametrize("text", [b"", b"PK\x03\x04", b"<html></html>", b"Name: demo\n"])
def test_no_metadata(text: bytes) -> None:
    with pytest.raises(BadMetadata, match=r"demo\.whl"):
        core_metadata.parse(text, "demo.whl")


def test_identity() -> None:
    found = core_metadata.parse(TEXT, "demo")
    core_metadata.check_identity(found, "demo-thing", "1.0.0", "demo")
    for name, version in [("demo", "1.0"), ("demo-thing", "1.1")]:
        with pytest.raises(BadMetadata):
            core_metadata.check_identity(found, name, version, "demo")


def test_what_is_rendered_reads_back() -> None:
    found = core_metadata.parse(TEXT, "demo")
    again = core_metadata.parse(core_metadata.render(found), "demo")
    assert again.requires_dist == found.requires_dist


def test_malformed_requirements_are_named() -> None:
    with pytest.raises(BadMetadata, match=r"demo\.whl: .*a >= b c"):
        records.requirement("a >= b c", "demo.whl")


REQUIREMENTS = st.from_regex(
    r"\A[a-z][a-z0-9]{0,5}(\[[a-z]{1,3}\])?((>=|<|==|!=)[0-9]{1,2}(\.[0-9]{1,2}){0,2})?\Z"
)


@given(st.lists(REQUIREMENTS, max_size=5))
def test_records_round_trip(lines: list[str]) -> None:
    text = b"Metadata-Version: 2.1\nName: a\nVersion: 1\n"
    text += "".join(f"Requires-Dist: {line}\n" for line in lines).encode()
    record = records.from_metadata(core_metadata.parse(text, "a"), "a")
    assert records.decode(records.encode(record)) == record
