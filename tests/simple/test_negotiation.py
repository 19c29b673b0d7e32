from __future__ import annotations

import pytest

from dpip.simple.negotiation import Form, NotAcceptable, accepts_gzip, choose_form

V1 = "application/vnd.pypi.simple.v1"


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        (None, Form.TEXT_HTML),
        ("", Form.TEXT_HTML),
        ("*/*", Form.TEXT_HTML),
        ("text/*", Form.TEXT_HTML),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Form.TEXT_HTML),
        (f"{V1}+json, {V1}+html; q=0.1, text/html; q=0.01", Form.JSON),
        (f"{V1}+json, {V1}+html;q=0.2, text/html;q=0.01", Form.JSON),
        (f"{V1}+html, text/html;q=0.5", Form.HTML),
        (f"{V1}+json;q=0.1, text/html", Form.TEXT_HTML),
        (f"{V1}+json;q=0, */*;q=0.1", Form.TEXT_HTML),
        ("application/*", Form.JSON),
        (f"  {V1.upper()}+JSON  ", Form.JSON),
        ("application/vnd.pypi.simple.latest+json", Form.JSON),
        ("application/vnd.pypi.simple.latest+html", Form.HTML),
        (f"text/html;q=nonsense, {V1}+json;q=0.1", Form.JSON),
        ("text/html;charset=utf-8", Form.TEXT_HTML),
    ],
)
def test_accept(accept: str | None, form: Form) -> None:
    assert choose_form(accept) is form


@pytest.mark.parametrize(
    "accept",
    ["application/json", f"{V1}+json;q=0", "application/vnd.pypi.simple.v2+json", "*/*;q=0", ";;"],
)
def test_not_acceptable(accept: str) -> None:
    with pytest.raises(NotAcceptable) as caught:
        choose_form(accept)
    assert "text/html" in caught.value.hint


@pytest.mark.parametrize(
    ("header", "taken"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("br;q=1.0, gzip;q=0.8", True),
        ("gzip;q=0", False),
        ("*", True),
        ("*;q=0", False),
        ("identity", False),
        ("x-gzip", True),
    ],
)
def test_gzip(header: str | None, taken: bool) -> None:
    assert accepts_gzip(header) is taken
