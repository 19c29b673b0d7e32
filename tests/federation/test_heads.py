from __future__ import annotations

import contextlib
import json
import urllib.error
from typing import TYPE_CHECKING

import pytest
from tests.app.nodes import dpip, node
from tests.federation.processes import fetch, filenames, page, until
from tests.simple.fixture_index import FixtureIndex, wheel

from dpip.federation.claims import BadClaim
from dpip.federation.heads import Heads, head_contents, read_head
from dpip.federation.listener import Listener
from dpip.federation.rids import IpnsName
from dpip.federation.trust import Trust, TrustPolicy
from dpip.ipfs import ipns
from dpip.ipfs.errors import IpfsError, NotFound
from dpip.ipfs.keys import PrivateKey, parse_name
from dpip.ipfs.records import MemoryRecords
from dpip.koi import Bundle, Event, EventType, KoiNetNode, NodeInterface
from dpip.koi.processor.default_handlers import coordinator_handlers
from dpip.koi.testing import Ring

if TYPE_CHECKING:
    from pathlib import Path

    from dpip.ipfs.ipns import Record

NOW = 1_800_000_000 * ipns.SECOND
KEY, OTHER = PrivateKey.generate(), PrivateKey.generate()
NAME = KEY.name.encode("k")
RID = IpnsName(NAME)


def head(sequence: int, value: str = "", *, key: PrivateKey = KEY, lifetime: int = 3600) -> Record:
    return ipns.create(
        key,
        value or f"/ipfs/bafkqac3{'a' * sequence}",
        sequence=sequence,
        expires=NOW + lifetime * ipns.SECOND,
    )


class Mirrors(Ring):
    """Nodes that follow the index of KEY and tell each other its heads."""

    def __init__(self, count: int, directory: Path) -> None:
        self.records = [MemoryRecords() for _ in range(count)]
        self.heads = [Heads(one, lambda: [KEY.name], lambda: NOW) for one in self.records]
        super().__init__(count, directory, rid_types=[IpnsName])

    def _make(self, number: int) -> NodeInterface:
        trust = Trust(follows=self.heads[number].follows)
        listener = Listener(
            trust, self.heads[number], believed=lambda _: None, doubted=lambda *_: None
        )
        self._options = {
            "handlers": [*coordinator_handlers, *listener.handlers],
            "policy": TrustPolicy(trust),
        }
        found = super()._make(number)
        found.network.undated = frozenset({IpnsName})
        return found

    def tell(self, number: int) -> None:
        node = self[number]
        node.processor.accept(self.heads[number].news(node.cache))
        self.settle()

    def publish(self, number: int, record: Record) -> None:
        self.records[number].put(KEY.name, record.raw, NOW)
        self.tell(number)

    def known(self) -> list[int]:
        found = []
        for number in range(len(self)):
            with contextlib.suppress(NotFound):
                found.append(self.records[number].get(KEY.name).sequence)
        return found


def told(node: NodeInterface) -> int:
    """Return the sequence of the head that a node tells others of."""
    bundle = node.cache.read(RID)
    assert bundle is not None
    return int(bundle.contents["sequence"])


def test_a_head_reaches_every_follower(tmp_path: Path) -> None:
    with Mirrors(3, tmp_path) as ring:
        ring.publish(0, head(1))
        assert ring.known() == [1, 1, 1]
        ring.publish(2, head(2))
        assert ring.known() == [2, 2, 2]
        assert [told(one) for one in ring.nodes] == [2, 2, 2]


def test_telling_twice_is_telling_once(tmp_path: Path) -> None:
    with Mirrors(2, tmp_path) as ring:
        ring.publish(0, head(1))
        before = ring.network.requests
        ring.tell(0)
        ring.tell(1)
        assert ring.network.requests == before


def test_an_older_head_changes_nothing_whoever_brings_it(tmp_path: Path) -> None:
    with Mirrors(2, tmp_path) as ring:
        ring.publish(0, head(5))
        replay = Bundle.generate(RID, head_contents(head(4)), now=ring.clock())
        ring[1].network.push_event_to(
            Event.from_bundle(EventType.UPDATE, replay), ring[0].identity.rid
        )
        ring.settle()
        assert ring.known() == [5, 5]
        assert told(ring[0]) == 5


def test_a_head_of_one_sequence_that_lasts_longer_replaces_it(tmp_path: Path) -> None:
    with Mirrors(2, tmp_path) as ring:
        ring.publish(0, head(1))
        ring.publish(0, head(1, lifetime=7200))
        assert ring.records[1].get(KEY.name).expires == NOW + 7200 * ipns.SECOND


def test_nobody_makes_a_node_forget_a_head(tmp_path: Path) -> None:
    with Mirrors(2, tmp_path) as ring:
        ring.publish(0, head(1))
        ring[0].network.push_event_to(Event.from_rid(EventType.FORGET, RID), ring[1].identity.rid)
        ring.settle()
        assert ring[1].cache.exists(RID)


def test_a_node_that_was_away_catches_up_though_its_own_news_is_younger(tmp_path: Path) -> None:
    with Mirrors(2, tmp_path) as ring:
        ring.publish(0, head(1))
        ring.kill(1)
        ring.records[0].put(KEY.name, head(3).raw, NOW)
        ring[0].processor.accept(ring.heads[0].news(ring[0].cache))
        ring[0].processor.flush_kobj_queue()
        ring[0].network.outbox.drop(ring[1].identity.rid)
        ring.clock.advance(3600)
        ring.restart(1)
        found = Bundle.generate(RID, head_contents(head(2)), now=ring.clock())
        ring[1].processor.handle(bundle=found)
        ring[1].processor.flush_kobj_queue()
        ring.settle()
        assert ring.known() == [3, 3]
        assert told(ring[1]) == 3


def test_heads_of_names_that_nobody_follows_come_from_friends_alone() -> None:
    friend, stranger = KoiNetNode("f", "a" * 64), KoiNetNode("s", "b" * 64)
    trust = Trust.listing(
        [str(friend)], (), mine=lambda _: False, follows=lambda name: name == NAME
    )
    other = IpnsName(OTHER.name.encode("k"))
    assert trust.judge(RID, stranger).name == "CLAIM"
    assert trust.judge(RID, None).name == "CLAIM"
    assert trust.judge(other, friend).name == "CLAIM"
    assert trust.judge(other, stranger).name == "IGNORE"


@pytest.mark.parametrize(
    "contents",
    [
        {},
        {"record": "?"},
        {**head_contents(head(1)), "sequence": 9},
        {**head_contents(head(1)), "value": "/ipfs/elsewhere"},
        head_contents(head(1, key=OTHER)),
        {**head_contents(head(1)), "record": head_contents(head(1))["record"][:-8]},
    ],
)
def test_what_is_no_head_is_refused(contents: dict[str, object]) -> None:
    with pytest.raises((BadClaim, IpfsError)):
        read_head(RID, contents)


def test_an_expired_head_is_refused() -> None:
    with pytest.raises(IpfsError):
        read_head(RID, head_contents(head(1)), NOW + 7200 * ipns.SECOND)


def test_an_ipns_name_has_one_spelling() -> None:
    with pytest.raises(ValueError, match="spelled"):
        IpnsName(str(KEY.name))


def test_a_follower_that_heard_of_a_head_over_koi_alone_shows_it(tmp_path: Path) -> None:
    """No gateway is named: record and blocks come from the nodes that are around."""
    with (
        FixtureIndex() as index,
        node(tmp_path / "a", "--index-url", index.url, DPIP_PAGE_MAX_AGE="0") as a,
    ):
        index.add("demo", wheel("demo", "1.0"))
        _take_in(a.url, "demo")
        name, sequence = _publish(tmp_path / "a")
        flags = ("--first-contact", a.url, "--index-url", "http://127.0.0.1:9/simple/")
        with node(tmp_path / "b", *flags, DPIP_INDEX=name) as b:
            until(lambda: _shown(b.url) == ["demo-1.0-py3-none-any.whl"])
            index.add("demo", wheel("demo", "2.0"))
            _take_in(a.url, "demo")
            assert _publish(tmp_path / "a") == (name, sequence + 1)
            until(lambda: len(filenames(b.url, "demo")) == 2)
            b.kill()
        kept = tmp_path / "b" / "ipns" / f"{name}.ipns-record"
        assert ipns.verify(kept.read_bytes(), parse_name(name)).sequence == sequence + 1


def _take_in(url: str, name: str) -> None:
    """Let a node fetch every file of a project."""
    found = page(url, name)
    assert found is not None
    for file in found["files"]:
        fetch(f"{url}/{file['url'].removeprefix('../../')}")


def _shown(url: str) -> list[str]:
    try:
        return filenames(url, "demo")
    except urllib.error.HTTPError as error:
        error.close()
        return []


def _publish(home: Path) -> tuple[str, int]:
    done = dpip("index", "publish", "--json", DPIP_HOME=str(home))
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    return str(found["name"]), int(found["sequence"])
