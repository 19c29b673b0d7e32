from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.requirements import Requirement as Reference
from packaging.utils import canonicalize_name

from dpip.resolve.requirement import InvalidRequirement, parse

LINES = [
    "flask",
    "Flask>=2,<4",
    "flask [async , dotenv] >= 2.0 , != 2.1",
    "foo (>=1.0)",
    "foo (>=1.0) ; python_version < '3.9'",
    'importlib-metadata>=3.6.0; python_version < "3.10"',
    "a.b_c @ https://host/a-1.whl",
    "a[x] @ https://host/a;b-1.whl ; sys_platform == 'win32'",
    "a~=1.2",
    "a===weird",
    "a==1.*",
    "numpy>=1.3 ; (extra == 'test') and os_name != 'nt'",
]


@pytest.mark.parametrize("line", LINES)
def test_it_reads_what_packaging_reads(line: str) -> None:
    ours, reference = parse(line), Reference(line)
    assert ours.name == canonicalize_name(reference.name)
    assert set(ours.specifier.split(",")) - {""} == {str(each) for each in reference.specifier}
    assert set(ours.extras) == {canonicalize_name(each) for each in reference.extras}
    assert ours.url == (reference.url or "")
    assert bool(ours.marker) == (reference.marker is not None)


@pytest.mark.parametrize(
    "line",
    ["", "-foo", "foo bar", "foo>>1", "foo[a b]", "foo ; nonsense", "foo ; os_name", "foo>=1,,x"],
)
def test_what_is_no_requirement_is_told(line: str) -> None:
    with pytest.raises(InvalidRequirement):
        parse(line)


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse(text)
    except InvalidRequirement:
        return
