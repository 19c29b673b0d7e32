"""XML-RPC answers, judged by the standard library's own writer; and what strangers may send."""

from __future__ import annotations

import xmlrpc.client
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.simple import xmlrpc as ours
from dpip.simple.repository import UpstreamInvalid, UpstreamUnavailable
from dpip.simple.xmlrpc import AnswerReader, encode_call

TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\ufffe\uffff")
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**31), 2**31 - 1), st.floats(allow_nan=False), TEXT
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=12,
)
HEAD = b"<?xml version='1.0'?>"
BOMB = (
    HEAD
    + b'<!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    + b"<methodResponse><params><param><value>&b;</value></param></params></methodResponse>"
)
OUTSIDE = (
    HEAD
    + b'<!DOCTYPE b [<!ENTITY a SYSTEM "file:///etc/hostname">]>'
    + b"<methodResponse><params><param><value>&a;</value></param></params></methodResponse>"
)


def answer(inner: bytes) -> bytes:
    return b"<methodResponse><params><param>%b</param></params></methodResponse>" % inner


def read(data: bytes, step: int = 0) -> Any:
    reader = AnswerReader()
    for at in range(0, len(data), step or len(data) or 1):
        reader.feed(data[at : at + (step or len(data))])
    return reader.finish()


@given(VALUES, st.integers(1, 40))
def test_answers_read_as_they_were_written(value: Any, step: int) -> None:
    written = xmlrpc.client.dumps((value,), methodresponse=True, allow_none=True)
    expected = xmlrpc.client.loads(written)[0][0]
    assert read(written.encode(), step) == expected


def test_calls_are_understood() -> None:
    params, method = xmlrpc.client.loads(encode_call("changelog_since_serial", 7))
    assert (params, method) == ((7,), "changelog_since_serial")


def test_a_string_needs_no_element_and_keeps_its_blanks() -> None:
    assert read(answer(b"<value> a </value>")) == " a "
    assert read(answer(b"<value>\n<string> a </string>\n</value>")) == " a "
    assert read(answer(b"<value></value>")) == ""


def test_a_fault_is_a_refusal() -> None:
    fault = xmlrpc.client.dumps(xmlrpc.client.Fault(4, "too many calls"))
    with pytest.raises(UpstreamUnavailable, match="too many calls"):
        read(fault.encode())


@pytest.mark.parametrize(
    "data",
    [
        b"",
        BOMB,
        OUTSIDE,
        b"<html><body>hello</body></html>",
        b"not xml",
        answer(b"<value><int>1</int>"),
        answer(b"<value><int>one</int></value>"),
        answer(b"<value><int>" + b"9" * 5000 + b"</int></value>"),
        answer(b"<value><boolean>yes</boolean></value>"),
        answer(b"<value><script>1</script></value>"),
        answer(b"<value><struct><member><value>1</value></member></struct></value>"),
        answer(b"<value>1</value><value>2</value>"),
        answer(b""),
        answer(b"<value><array><data>" * 40 + b"</data></array></value>" * 40),
    ],
    ids=lambda data: data[:40],
)
def test_what_makes_no_sense_is_invalid(data: bytes) -> None:
    with pytest.raises(UpstreamInvalid):
        read(data)


def test_large_answers_are_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    many = answer(b"<value><array><data>%b</data></array></value>" % (b"<value>1</value>" * 100))
    monkeypatch.setattr(ours, "MOST_VALUES", 50)
    with pytest.raises(UpstreamInvalid, match="values"):
        read(many)
    monkeypatch.undo()
    monkeypatch.setattr(ours, "LARGEST", 1000)
    with pytest.raises(UpstreamInvalid, match="bytes"):
        read(many, 100)


@given(st.binary(max_size=200))
def test_garbage_never_raises_anything_else(data: bytes) -> None:
    with pytest.raises((UpstreamInvalid, UpstreamUnavailable)):
        read(data)
