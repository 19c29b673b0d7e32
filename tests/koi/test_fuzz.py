"""A short run of the fuzzer, on seeds of its own, and RIDs from everywhere."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.koi.fuzz import Fuzzer, finds
from tests.koi.interop.child import OURS, Child
from tests.koi.interop.subjects import Subject

from dpip.koi.errors import KoiError
from dpip.koi.rid import RID, RIDType

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("allow_unsigned", [False, True], ids=["signed", "both"])
def test_nothing_that_is_sent_breaks_a_node(tmp_path: Path, allow_unsigned: bool) -> None:
    with Child(OURS, "coordinator", tmp_path, allow_unsigned=allow_unsigned) as child:
        with Fuzzer(Subject(child, "signed"), seed=20261121) as fuzzer:
            found = list(finds(fuzzer, time.monotonic() + 20, most=600))
            assert fuzzer.well() is None
        assert not found
        assert "Traceback" not in child.log.read_text()


pieces = st.lists(
    st.sampled_from(["orn", "urn", "https", ":", "::", "+", "a", "/", "?", "#", " ", "\n", "é", ""])
    | st.text(max_size=5)
).map("".join)


ODD_TYPES = ["a\0b", "\ud800", "\u202e", " ", "a" * 5000]


@pytest.mark.parametrize("text", ODD_TYPES)
def test_a_type_of_strange_characters_is_a_type(text: str) -> None:
    assert str(RIDType.from_string(text)) == text
    assert RID.from_string(f"orn:{text}:x").reference == "x"


@given(pieces)
def test_a_rid_is_read_and_written_back_or_refused(text: str) -> None:
    try:
        rid = RID.from_string(text)
    except KoiError:
        return
    again = RID.from_string(str(rid))
    assert again == rid
    assert type(again) is type(rid)
    assert text.startswith(str(type(rid)))


@given(pieces)
def test_a_type_is_read_and_written_back_or_refused(text: str) -> None:
    try:
        kind = RIDType.from_string(text)
    except KoiError:
        return
    assert str(kind) == text
