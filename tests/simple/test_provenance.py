from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dpip.simple.provenance import check

SHA = "a" * 64


def provenance(name: str = "f.whl", sha256: str = SHA, subjects: int = 1) -> bytes:
    statement = {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": name, "digest": {"sha256": sha256}}] * subjects,
        "predicateType": "https://attestations.invalid/publish/v1",
        "predicate": None,
    }
    envelope = {
        "statement": base64.b64encode(json.dumps(statement).encode()).decode(),
        "signature": "c2ln",
    }
    attestation = {"version": 1, "verification_material": {}, "envelope": envelope}
    publisher = {"kind": "GitHub", "repository": "acme/thing"}
    bundles = [{"publisher": publisher, "attestations": [attestation]}]
    return json.dumps({"version": 1, "attestation_bundles": bundles}).encode()


def test_an_attestation_of_this_file_that_nobody_signed() -> None:
    found = check(provenance(), "f.whl", SHA)
    assert (found.attestations, found.publishers) == (1, ("GitHub acme/thing",))
    assert found.checked == ("statement",)
    assert found.problems


@pytest.mark.parametrize(
    "changes", [{"name": "g.whl"}, {"sha256": "b" * 64}, {"subjects": 0}, {"subjects": 2}]
)
def test_an_attestation_of_something_else(changes: dict[str, Any]) -> None:
    found = check(provenance(**changes), "f.whl", SHA)
    assert found.problems
    assert found.checked == ()


def test_nothing_attested_is_a_problem() -> None:
    assert check(b'{"attestation_bundles": []}', "f.whl", SHA).problems


@given(st.binary())
def test_garbage_is_a_problem_and_no_crash(body: bytes) -> None:
    assert check(body, "f.whl", SHA).problems
