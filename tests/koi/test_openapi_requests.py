"""Requests that the OpenAPI document allows, and some that it does not, to a running node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import Case
from schemathesis import checks as check
from tests.koi.interop.child import OURS, Child
from tests.koi.interop.subjects import Subject
from tests.peers import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKS = [
    check.not_a_server_error,
    check.status_code_conformance,
    check.content_type_conformance,
    check.response_schema_conformance,
    check.response_headers_conformance,
    check.unsupported_method,
]
schema = schemathesis.openapi.from_path(ROOT / "src" / "dpip" / "koi" / "openapi.json")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Subject]:
    """Return a node that takes both wires."""
    home = tmp_path_factory.mktemp("served")
    with Child(OURS, "coordinator", home, allow_unsigned=True) as child:
        yield Subject(child, "plain")


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_answer_is_one_that_the_document_names(case: Case[Any], served: Subject) -> None:
    case.call_and_validate(base_url=served.url, checks=CHECKS, timeout=20)
    assert served.child.alive()
