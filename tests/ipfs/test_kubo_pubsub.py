"""PubSub of a daemon, scripted and real, and names that are followed over it."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.ipfs.swarms import pair
from tests.ipfs.test_kubo_http import answer, scripted

from dpip.ipfs import ipns
from dpip.ipfs.errors import NotFound, Unavailable
from dpip.ipfs.keys import PrivateKey
from dpip.ipfs.kubo.follow import Follower
from dpip.ipfs.kubo.http import Refused
from dpip.ipfs.kubo.pubsub import Message, decoded, encoded
from dpip.ipfs.kubo.rpc import Kubo
from dpip.ipfs.records import MemoryRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.ipfs import kubo as scratch

KEY = PrivateKey.from_seed(b"follow".ljust(32))
NAME = KEY.name.encode("k")


def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextlib.contextmanager
def clients(folder: Path, *, pubsub: bool) -> Iterator[tuple[Kubo, Kubo]]:
    with (
        pair(folder, pubsub=pubsub) as daemons,
        Kubo(daemons[0].api) as first,
        Kubo(daemons[1].api) as second,
    ):
        yield first, second


def record(sequence: int, key: PrivateKey = KEY) -> bytes:
    expires = time.time_ns() + ipns.DEFAULT_LIFETIME
    return ipns.create(key, f"/ipfs/bafkqaaa/{sequence}", sequence=sequence, expires=expires).raw


@given(st.text(max_size=50), st.binary(max_size=3000))
def test_topics_and_data_travel_as_base64url(topic: str, data: bytes) -> None:
    assert decoded(encoded(topic)) == topic.encode("utf-8", "surrogateescape")
    assert decoded("u" + base64.urlsafe_b64encode(data).decode().rstrip("=")) == data


@pytest.mark.parametrize("text", ["", "xAA", "u!!", "uA"])
def test_what_is_not_base64url_is_refused(text: str) -> None:
    with pytest.raises(Unavailable):
        decoded(text)


def test_messages_are_read_as_kubo_writes_them() -> None:
    line = {"from": "12D3KooW", "data": "uaGk", "seqno": "uAAE", "topicIDs": ["udG9waWM"]}
    with scripted(answer(json.dumps(line).encode() + b"\n")) as (url, seen), Kubo(url) as kubo:
        assert list(kubo.pubsub.subscribe("topic")) == [Message("12D3KooW", b"hi", ("topic",))]
    assert b"/api/v0/pubsub/sub?arg=udG9waWM" in seen[0]


class Daemon:
    """What a follower asks of a daemon."""

    def __init__(self, *, enabled: bool = True) -> None:
        self.enabled, self.raw, self.asked = enabled, b"", 0
        self.pubsub = SimpleNamespace(names_enabled=lambda: self.enabled)

    def name_get(self, name: str) -> bytes:
        self.asked += 1
        if not self.raw:
            raise NotFound(name)
        return self.raw


class Clock:
    def __init__(self) -> None:
        self.now = time.time_ns()

    def __call__(self) -> int:
        self.now += 2 * ipns.SECOND
        return self.now


def follower(daemon: Daemon, kept: MemoryRecords) -> Follower:
    return Follower(cast("Any", daemon), [NAME], kept, clock=Clock())


def test_a_newer_record_is_kept_once_and_a_bad_or_older_one_never() -> None:
    daemon, kept = Daemon(), MemoryRecords()
    following = follower(daemon, kept)
    assert following.step() == 0
    daemon.raw = record(5)
    assert sum(following.step() for _ in range(5)) == 1
    assert kept.get(KEY.name).sequence == 5
    for other in (record(3), record(9, PrivateKey.generate()), b"no record"):
        daemon.raw = other
        following.step()
        assert kept.get(KEY.name).sequence == 5


def test_without_pubsub_a_daemon_is_not_made_to_search() -> None:
    daemon = Daemon(enabled=False)
    daemon.raw = record(1)
    following = follower(daemon, MemoryRecords())
    assert following.step() == 0
    assert daemon.asked == 0
    daemon.enabled = True
    assert following.step() == 1


def test_a_name_that_is_not_found_is_searched_for_ever_more_rarely() -> None:
    daemon = Daemon()
    following = follower(daemon, MemoryRecords())
    looks = []
    for _ in range(200):
        before = daemon.asked
        following.step()
        looks.append(daemon.asked - before)
    assert 6 < sum(looks) < 30
    daemon.raw = record(1)
    steps = 0
    while not following.step():
        steps += 1
        assert steps < 40
    before = daemon.asked
    for _ in range(5):
        following.step()
    assert daemon.asked - before == 5
    assert following.step() == 0


def test_a_thread_follows_until_it_is_stopped() -> None:
    daemon, kept = Daemon(), MemoryRecords()
    daemon.raw = record(2)
    following = follower(daemon, kept)
    following.start()
    until(lambda: bool(list(kept.names())))
    following.stop()
    assert not any(thread.name == "kubo-names" for thread in threading.enumerate())


def test_a_daemon_without_pubsub_says_so(kubo: scratch.Kubo) -> None:
    with Kubo(kubo.api) as client:
        assert client.pubsub.names_enabled() is False
        with pytest.raises(Refused):
            client.pubsub.topics()
        with pytest.raises(Refused):
            client.pubsub.names()


@pytest.mark.slow
def test_names_published_on_one_daemon_are_followed_on_another(tmp_path: Path) -> None:
    with clients(tmp_path, pubsub=True) as (first, second):
        assert second.pubsub.names_enabled()
        kept = MemoryRecords()
        following = Follower(second, [NAME], kept)
        first.name_put(NAME, record(1))
        until(lambda: following.step() == 1)
        assert second.pubsub.names() == [NAME]
        assert len(second.pubsub.topics()) == 1
        until(lambda: len(first.pubsub.peers(second.pubsub.topics()[0])) == 1)
        first.name_put(NAME, record(2))
        until(lambda: following.step() == 1)
        assert kept.get(KEY.name).sequence == 2
        assert second.pubsub.cancel(NAME)
        assert not second.pubsub.cancel(NAME)
        assert second.pubsub.names() == []


@pytest.mark.slow
def test_messages_between_two_daemons(tmp_path: Path) -> None:
    with clients(tmp_path, pubsub=True) as (first, second):
        heard: list[Message] = []

        def listen() -> None:
            heard.append(next(iter(second.pubsub.subscribe("dpip/test", timeout=60))))

        listening = threading.Thread(target=listen, daemon=True)
        listening.start()
        until(lambda: len(first.pubsub.peers("dpip/test")) == 1)
        first.pubsub.publish("dpip/test", b"\x00hello" * 1000)
        listening.join(60)
        assert [(one.data, one.topics) for one in heard] == [(b"\x00hello" * 1000, ("dpip/test",))]
        assert heard[0].sender == first.identity()["ID"]


@pytest.mark.slow
def test_without_pubsub_or_another_router_a_name_stays_unknown(tmp_path: Path) -> None:
    with clients(tmp_path, pubsub=False) as (first, second):
        first.name_put(NAME, record(1))
        with pytest.raises((NotFound, Refused, Unavailable)):
            second.name_resolve(NAME, cached=False)
