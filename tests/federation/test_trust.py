from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from dpip.federation.adoption import is_newer
from dpip.federation.claims import ProjectClaim
from dpip.federation.rids import PypiFile, PypiProject
from dpip.federation.trust import Trust, TrustPolicy, Verdict
from dpip.koi import RID, Bundle, EventType, KnowledgeObject, KnowledgeSource, KoiNetNode
from dpip.koi.cache import Record
from dpip.koi.processor.policy import Facts
from dpip.mirror.catalog import PageRecord

FRIEND, STRANGER = KoiNetNode("friend", "a" * 64), KoiNetNode("stranger", "b" * 64)
UUID = KoiNetNode("friend", "a0b1")
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TRUST = Trust.listing([str(FRIEND), UUID.id], ["b" * 64], mine=lambda name: name == "secret")
DEMO, SECRET = PypiProject("demo"), PypiProject("secret")


@pytest.mark.parametrize(
    ("rid", "sender", "verdict"),
    [
        (DEMO, FRIEND, Verdict.CLAIM),
        (PypiFile("demo", "demo-1.tar.gz"), FRIEND, Verdict.CLAIM),
        (DEMO, STRANGER, Verdict.HINT),
        (DEMO, None, Verdict.HINT),
        (DEMO, UUID, Verdict.HINT),
        (SECRET, FRIEND, Verdict.IGNORE),
        (SECRET, STRANGER, Verdict.IGNORE),
        (RID.from_string("orn:other.kind:x"), FRIEND, Verdict.IGNORE),
    ],
    ids=str,
)
def test_whose_word_counts(rid: RID, sender: KoiNetNode | None, verdict: Verdict) -> None:
    assert TRUST.judge(rid, sender) is verdict


def test_a_listed_key_counts_under_any_name() -> None:
    assert TRUST.believes(KoiNetNode("renamed", "a" * 64))


def test_private_names_are_told_to_allowed_nodes_alone() -> None:
    assert TRUST.may_hear("secret", STRANGER)
    assert not TRUST.may_hear("secret", FRIEND)
    assert TRUST.may_hear("demo", FRIEND)


def facts(source: KoiNetNode | None, forgotten: datetime | None = None) -> Facts:
    record = None
    if source is not None:
        record = Record(
            Bundle.generate(DEMO, {"name": "demo"}, now=NOW).manifest, str(source), True
        )
    return Facts(NOW, KoiNetNode("me", "c" * 64), record, forgotten, None, ())


def told(sender: KoiNetNode, event: EventType = EventType.UPDATE) -> KnowledgeObject:
    bundle = Bundle.generate(DEMO, {"name": "demo", "serial": 2}, now=NOW)
    kobj = KnowledgeObject.from_bundle(bundle, event, KnowledgeSource.External)
    kobj.sender = sender
    return kobj


@pytest.mark.parametrize("event", list(EventType))
@pytest.mark.parametrize("source", [None, FRIEND, STRANGER])
def test_only_listed_nodes_change_anything(source: KoiNetNode | None, event: EventType) -> None:
    policy = TrustPolicy(TRUST)
    assert policy.admits(told(FRIEND, event), facts(source))
    assert not policy.admits(told(STRANGER, event), facts(source))


def test_what_was_forgotten_stays_so_until_it_is_made_anew() -> None:
    policy = TrustPolicy(TRUST)
    assert not policy.admits(told(FRIEND, EventType.NEW), facts(None, NOW + timedelta(seconds=1)))
    assert policy.admits(told(FRIEND, EventType.NEW), facts(None, NOW - timedelta(seconds=1)))


@pytest.mark.parametrize(
    ("claimed", "held", "later", "newer"),
    [
        (2, 1, -1, True),
        (1, 2, 1, False),
        (2, 2, 1, True),
        (2, 2, -1, False),
        (None, 2, 1, True),
        (2, None, -1, False),
    ],
)
def test_serials_decide_before_time(
    claimed: int | None, held: int | None, later: int, newer: bool
) -> None:
    claim = ProjectClaim(name="demo", serial=claimed)
    record = PageRecord("demo", NOW.timestamp(), serial=held)
    assert is_newer(claim, NOW + timedelta(seconds=later), record) is newer
    assert is_newer(claim, NOW, None)
