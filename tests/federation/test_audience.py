"""What each node of a network is told of a private name, question by question."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dpip.federation.claims import FileClaim, claim_of, file_contents, project_contents
from dpip.federation.heads import Heads
from dpip.federation.listener import Listener
from dpip.federation.rids import KINDS, PypiFile, PypiProject
from dpip.federation.trust import Trust, TrustPolicy
from dpip.ipfs.records import MemoryRecords
from dpip.koi import Bundle, KnowledgeObject, NodeInterface
from dpip.koi.processor.default_handlers import coordinator_handlers
from dpip.koi.protocol.api_models import FetchBundles, FetchManifests, FetchRids
from dpip.koi.testing import Ring
from dpip.simple.model import File, Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dpip.koi import RID
    from dpip.koi.journal import Page

HOST, ALLOWED, OTHER = range(3)
SECRET = PypiProject("secret")
SECRET_FILE = PypiFile("secret", "secret-1.0.tar.gz")
PUBLIC = PypiProject("public")


class Three(Ring):
    """The first node has a private project; the second may hear of it. All believe the first."""

    def __init__(self, directory: Path) -> None:
        self.host = self.guest = ""
        super().__init__(3, directory, rid_types=KINDS)
        for number in range(3):
            self.kill(number)
        for number in range(3):
            self.restart(number)
        self.settle()

    def _make(self, number: int) -> NodeInterface:
        mine = number == HOST
        trust = Trust.listing(
            [] if mine else [self.host],
            [self.guest] if mine else [],
            mine=lambda name: mine and name == "secret",
        )
        heads = Heads(MemoryRecords(), lambda: (), lambda: 0)
        listener = Listener(trust, heads, believed=lambda _: None, doubted=lambda *_: None)
        self._options = {
            "handlers": [*coordinator_handlers, *listener.handlers],
            "policy": TrustPolicy(trust),
        }
        node = super()._make(number)
        node.network.response_handler.audience = trust
        if number == HOST:
            self.host = str(node.identity.rid)
        if number == ALLOWED:
            self.guest = str(node.identity.rid)
        return node


def news(name: str, *, private: bool) -> list[KnowledgeObject]:
    filename = f"{name}-1.0.tar.gz"
    file = File(filename, f"http://host.invalid/{filename}", {"sha256": "0" * 64}, size=1)
    claims = (
        (PypiFile(name, filename), file_contents(FileClaim(file, private=private))),
        (
            PypiProject(name),
            project_contents(claim_of(Project(name, (file,)), None, private=private)),
        ),
    )
    return [KnowledgeObject.from_bundle(Bundle.generate(rid, said)) for rid, said in claims]


@pytest.fixture
def ring(tmp_path: Path) -> Iterator[Three]:
    with Three(tmp_path) as ring:
        ring[HOST].processor.accept(news("secret", private=True) + news("public", private=False))
        ring.settle()
        yield ring


def seen(ring: Three, number: int) -> set[RID]:
    """Return the RIDs of packages that a node can learn of from the host by asking, any way."""
    ask, host = ring[number].network.request_handler, ring[HOST].identity.rid
    wanted: list[RID] = [SECRET, SECRET_FILE, PUBLIC]
    rids = set(ask.fetch_rids(host, req=FetchRids()).rids)
    listed = ask.fetch_manifests(host, req=FetchManifests(rid_types=list(KINDS))).manifests
    picked = ask.fetch_manifests(host, req=FetchManifests(rids=wanted)).manifests
    bundles = ask.fetch_bundles(host, req=FetchBundles(wanted)).bundles
    manifests = {one.rid for one in [*listed, *picked]} | {one.rid for one in bundles}
    found: set[RID] = {rid for rid in rids | manifests if isinstance(rid, PypiProject | PypiFile)}
    assert {rid for rid in found if rid in wanted} == {rid for rid in wanted if rid in manifests}
    return found


def test_who_is_allowed_has_it_and_can_ask_for_it(ring: Three) -> None:
    assert ring[ALLOWED].cache.exists(SECRET)
    assert ring[ALLOWED].cache.exists(SECRET_FILE)
    assert {SECRET, SECRET_FILE, PUBLIC} <= seen(ring, ALLOWED)


def test_who_is_not_hears_nothing_and_gets_nothing(ring: Three) -> None:
    assert ring[OTHER].cache.exists(PUBLIC)
    assert not ring[OTHER].cache.exists(SECRET)
    assert not ring[OTHER].cache.exists(SECRET_FILE)
    assert {str(rid) for rid in seen(ring, OTHER)} == {
        str(PUBLIC),
        "orn:pypi.file:public/public-1.0.tar.gz",
    }


def told(page: Page) -> set[str]:
    return {str(one.rid) for one in page.changed} | {str(one.rid) for one in page.forgotten}


def test_the_journal_and_the_deletions_in_it_are_hidden_too(ring: Three) -> None:
    handler = ring[HOST].network.response_handler
    journal, audience = handler.journal, handler.audience
    assert journal is not None
    assert audience is not None
    start = f"{journal.era}:0"
    for forget in (False, True):
        if forget:
            ring[HOST].cache.delete(SECRET_FILE)
        for number, word in ((ALLOWED, True), (OTHER, False)):
            page = journal.page(start, audience.hidden_from(ring[number].identity.rid))
            assert (str(SECRET_FILE) in told(page)) is word
        unsigned = journal.page(start, audience.hidden_from(None))
        assert not any("secret" in rid for rid in told(unsigned))


def test_a_question_without_a_signature_is_a_strangers(ring: Three) -> None:
    handler = ring[HOST].network.response_handler
    assert SECRET not in handler.fetch_rids(FetchRids()).rids
    assert handler.fetch_bundles(FetchBundles([SECRET])).not_found == [SECRET]
    allowed = ring[ALLOWED].identity.rid
    assert [one.rid for one in handler.fetch_bundles(FetchBundles([SECRET]), allowed).bundles] == [
        SECRET
    ]


def test_it_waits_in_no_lane_for_who_may_not_hear(ring: Three) -> None:
    ring.kill(OTHER)
    ring.kill(ALLOWED)
    ring[HOST].processor.accept(news("secret", private=True)[:1])
    changed = Bundle.generate(SECRET, {"name": "secret", "private": True, "serial": 2})
    ring[HOST].processor.handle(bundle=changed)
    ring[HOST].processor.flush_kobj_queue()
    outbox = ring[HOST].network.outbox
    assert b"secret" in b"".join(outbox.batch(ring[ALLOWED].identity.rid).events)  # type: ignore[union-attr]
    assert outbox.batch(ring[OTHER].identity.rid) is None
