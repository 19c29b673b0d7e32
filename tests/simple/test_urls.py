from __future__ import annotations

import re
from urllib.parse import urljoin

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.simple.urls import joined


@given(
    st.sampled_from(["http://h/simple/x/", "http://h/x", "http://h", "http://h/a/b/c/d/?q"]),
    st.lists(
        st.sampled_from(
            [
                "../",
                "..",
                "./",
                ".",
                "/",
                "a",
                "b c",
                "?",
                "#",
                ";",
                ":",
                "é",
                "http://",
                "h",
                "@",
                "%2e",
                "[",
            ]
        )
    ),
)
def test_the_short_way_of_joining_is_no_other_way(base: str, parts: list[str]) -> None:
    url = "".join(parts)
    try:
        expected = urljoin(base, url)
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            joined(base, url)
    else:
        assert joined(base, url) == expected
