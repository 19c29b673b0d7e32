"""Attestations by an authority and a log of our own: the right one, and each part wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.simple.attesting import NOW, PUBLISHER, SHA, Authority, Log, Maker, leaf, proof

from dpip.simple.attested import roots
from dpip.simple.attested.log import root_of
from dpip.simple.attested.model import Malformed
from dpip.simple.provenance import STEPS, Attested, check


def weighed(maker: Maker, body: bytes | None = None, *, rooted: bool = True) -> Attested:
    believed = roots.read(maker.trusted_root()) if rooted else None
    return check(maker.provenance() if body is None else body, "f.whl", SHA, believed)


def test_a_right_one_passes_all_steps() -> None:
    assert weighed(Maker()) == Attested(1, ("GitHub acme/thing",), (), STEPS)


def test_without_a_trusted_root_less_is_checked_and_that_is_said() -> None:
    found = weighed(Maker(), rooted=False)
    assert (found.problems, found.checked) == ((), ("statement", "signature", "identity"))


EMAIL = {"kind": "Google", "email": "me@acme.invalid"}
GITLAB = {"kind": "GitLab", "repository": "acme/thing", "workflow_filepath": ".gitlab-ci.yml"}
GITLAB_REF = "https://gitlab.com/acme/thing//.gitlab-ci.yml@refs/heads/main"


@pytest.mark.parametrize(
    "maker",
    [
        Maker(publisher=EMAIL, identity=x509.RFC822Name("me@acme.invalid"), issuer="https://accounts.google.com"),
        Maker(publisher=GITLAB, identity=x509.UniformResourceIdentifier(GITLAB_REF), issuer="https://gitlab.com"),
        Maker(publisher={**PUBLISHER, "repository": "Acme/Thing"}),
    ],
    ids=["e-mail", "gitlab", "case"],
)  # fmt: skip
def test_identities_of_other_kinds(maker: Maker) -> None:
    assert weighed(maker).checked == STEPS


def test_a_publisher_that_names_nobody_is_not_compared() -> None:
    found = weighed(Maker(publisher={"kind": "upload"}))
    assert found.problems == ()
    assert "identity" not in found.checked


WRONG: dict[str, tuple[Maker, str]] = {
    "digest": (Maker(sha256="b" * 64), "about SHA-256"),
    "file": (Maker(filename="g.whl"), "about 'g.whl'"),
    "repository": (Maker(publisher={**PUBLISHER, "repository": "evil/thing"}), "names"),
    "prefix": (Maker(publisher={**PUBLISHER, "workflow": "release.y"}), "names"),
    "no workflow": (Maker(publisher={"kind": "GitHub", "repository": "acme/thing"}), "without"),
    "issuer": (Maker(issuer="https://evil.invalid"), "vouched for by"),
    "no e-mail": (Maker(publisher=EMAIL, issuer="https://accounts.google.com"), "names"),
    "authority": (Maker(signer=Authority()), "no authority"),
    "no authority": (Maker(ca=False), "no authority"),
    "usage": (Maker(usage=ExtendedKeyUsageOID.SERVER_AUTH), "signing code"),
    "log": (Maker(logged_by=Log()), "no log of the trusted root"),
    "late": (Maker(at=NOW + 86_400), "not valid"),
    "early": (Maker(at=NOW - 86_400), "not valid"),
    "no time": (Maker(at=10**15), "is none"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_part_is_refused(what: str) -> None:
    maker, why = WRONG[what]
    found = weighed(maker)
    assert any(why in problem for problem in found.problems), found.problems
    assert found.checked != STEPS


def of_entry(change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    return lambda one: change(one["verification_material"]["transparency_entries"][0])


def of_proof(**changes: Any) -> Callable[[dict[str, Any]], object]:
    return of_entry(lambda entry: entry["inclusionProof"].update(changes))


def flipped(text: str) -> str:
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(data).decode()


def flip_body(entry: dict[str, Any]) -> None:
    entry["canonicalizedBody"] = flipped(entry["canonicalizedBody"])


def flip(holder: str, field: str) -> Callable[[dict[str, Any]], object]:
    return lambda one: one[holder].update({field: flipped(one[holder][field])})


TAMPERED: dict[str, Callable[[dict[str, Any]], object]] = {
    "signature": flip("envelope", "signature"),
    "statement": flip("envelope", "statement"),
    "certificate": flip("verification_material", "certificate"),
    "no certificate": lambda one: one["verification_material"].update(certificate=""),
    "no base64": lambda one: one["envelope"].update(signature="?"),
    "no entries": lambda one: one["verification_material"].update(transparency_entries=[]),
    "no promise": of_entry(lambda entry: entry.pop("inclusionPromise")),
    "another time": of_entry(lambda entry: entry.update(integratedTime=str(NOW + 1))),
    "another index": of_entry(lambda entry: entry.update(logIndex="7")),
    "no proof": of_entry(lambda entry: entry.pop("inclusionProof")),
    "outside": of_proof(logIndex="99"),
    "another place": of_proof(logIndex="4"),
    "no hashes": of_proof(hashes=[]),
    "another tree": of_proof(treeSize="12"),
    "no checkpoint": of_proof(checkpoint={"envelope": ""}),
    "no numbers": of_proof(treeSize="many"),
    "body": of_entry(flip_body),
    "no body": of_entry(lambda entry: entry.update(canonicalizedBody="")),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_tampered_with_is_refused(what: str) -> None:
    maker = Maker()
    attestation = maker.attestation()
    TAMPERED[what](attestation)
    found = weighed(maker, maker.provenance(attestation))
    assert found.problems
    assert found.checked != STEPS


def test_a_log_entry_of_another_attestation_is_refused() -> None:
    maker = Maker()
    one, other = maker.attestation(), maker.attestation()
    entries = other["verification_material"]["transparency_entries"]
    one["verification_material"]["transparency_entries"] = entries
    [problem] = weighed(maker, maker.provenance(one)).problems
    assert "another signature" in problem


def test_one_wrong_attestation_among_right_ones_is_told() -> None:
    maker = Maker()
    wrong = maker.attestation()
    wrong["envelope"]["signature"] = flipped(wrong["envelope"]["signature"])
    found = weighed(maker, maker.provenance(maker.attestation(), wrong))
    assert (found.attestations, found.checked) == (2, ("statement",))
    assert len(found.problems) == 1


@pytest.mark.parametrize("text", [b"", b"{}", b'{"tlogs": [], "certificateAuthorities": 1}'])
def test_a_trusted_root_that_is_none(text: bytes) -> None:
    with pytest.raises(Malformed):
        roots.read(text)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(size=st.integers(1, 70), data=st.data())
def test_proofs_of_inclusion(size: int, data: st.DataObject) -> None:
    leaves = [leaf(b"%d" % number) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    root, beside = proof(leaves, index)
    assert root_of(leaves[index], index, size, beside) == root
    if beside:
        with pytest.raises(Malformed):
            root_of(leaves[index], index, size, beside[:-1])
    with pytest.raises(Malformed):
        root_of(leaves[index], size, size, beside)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=8,
    )
)
def test_any_log_entry_is_a_problem_and_no_crash(body: Any) -> None:
    maker = MADE
    attestation = json.loads(json.dumps(ATTESTATION))
    entry = attestation["verification_material"]["transparency_entries"][0]
    entry["canonicalizedBody"] = base64.b64encode(json.dumps(body).encode()).decode()
    assert weighed(maker, maker.provenance(attestation)).problems


MADE = Maker()
ATTESTATION = MADE.attestation()
