"""Records of a home's own keys are signed anew while a node runs, and say what they said."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest
from tests.app.nodes import node

from dpip.app import content
from dpip.app.renewing import renew
from dpip.ipfs import ipns
from dpip.ipfs.blockstore import MemoryBlockstore
from dpip.ipfs.errors import NotFound
from dpip.ipfs.keys import PrivateKey
from dpip.mirror.indexes import state_path
from dpip.mirror.publish import Publisher
from dpip.settings import Settings

if TYPE_CHECKING:
    from pathlib import Path

HOUR = 3600 * ipns.SECOND
NOW = 1_800_000_000 * ipns.SECOND
VALUE = "/ipfs/bafkqaaa"


def publish(settings: Settings, key: PrivateKey, now: int, lifetime: int = 48 * HOUR) -> None:
    record = ipns.create(key, VALUE, sequence=7, expires=now + lifetime, ttl=ipns.SECOND)
    content.records(settings).put(key.name, record.raw, now)


def publish_index(settings: Settings, key: PrivateKey, store: MemoryBlockstore) -> str:
    publisher = Publisher(state_path(settings.home, key), store, key)
    head = publisher.publish((), NOW)
    publisher.close()
    content.records(settings).put(key.name, head.record.raw, NOW)
    return head.record.value


def test_a_record_is_renewed_once_half_of_its_life_is_over(tmp_path: Path) -> None:
    settings, store = Settings(home=tmp_path), MemoryBlockstore()
    key, records = content.keys(settings).get("self"), content.records(settings)
    publish(settings, key, NOW)
    before = records.get(key.name)
    assert renew(settings, store, NOW + 23 * HOUR) == []
    assert records.get(key.name) == before
    (renewed,) = renew(settings, store, NOW + 25 * HOUR)
    assert records.get(key.name) == renewed
    assert renewed.expires == NOW + 73 * HOUR
    assert (renewed.value, renewed.sequence, renewed.ttl) == (VALUE, 7, ipns.SECOND)
    assert renew(settings, store, NOW + 26 * HOUR) == []


def test_a_record_that_lapsed_while_no_node_ran_comes_back(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    key = content.keys(settings).get("self")
    publish(settings, key, NOW)
    (renewed,) = renew(settings, MemoryBlockstore(), NOW + 1000 * HOUR)
    assert ipns.verify(renewed.raw, key.name, NOW + 1000 * HOUR).value == VALUE


def test_the_head_of_an_index_is_renewed_together_with_its_state(tmp_path: Path) -> None:
    settings, store = Settings(home=tmp_path), MemoryBlockstore()
    key, records = content.keys(settings).generate("index"), content.records(settings)
    value = publish_index(settings, key, store)
    (renewed,) = renew(settings, store, NOW + 25 * HOUR)
    assert renewed.value == value
    assert records.get(key.name) == renewed
    publisher = Publisher(state_path(tmp_path, key), store, key)
    head = publisher.head()
    assert head is not None
    assert head.record == renewed
    # The next publication is newer than the renewed head, so that followers take it.
    assert ipns.best([renewed, publisher.publish((), NOW).record]) is not renewed
    publisher.close()


def test_a_renewal_that_was_killed_before_it_put_the_record_is_finished(tmp_path: Path) -> None:
    settings, store = Settings(home=tmp_path), MemoryBlockstore()
    key = content.keys(settings).get("self")
    publish_index(settings, key, store)
    publisher = Publisher(state_path(tmp_path, key), store, key)
    signed = publisher.renew(NOW + 25 * HOUR)
    publisher.close()
    assert signed is not None
    assert renew(settings, store, NOW + 25 * HOUR) == [signed.record]


def test_a_name_that_was_pointed_elsewhere_stays_there(tmp_path: Path) -> None:
    settings, store = Settings(home=tmp_path), MemoryBlockstore()
    key = content.keys(settings).get("self")
    publish_index(settings, key, store)
    publish(settings, key, NOW)
    (renewed,) = renew(settings, store, NOW + 25 * HOUR)
    assert renewed.value == VALUE


def test_records_of_others_are_left_alone(tmp_path: Path) -> None:
    settings, other = Settings(home=tmp_path), PrivateKey.generate()
    mine = content.keys(settings).get("self")
    publish(settings, other, NOW)
    assert renew(settings, MemoryBlockstore(), NOW + 47 * HOUR) == []
    with pytest.raises(NotFound):
        content.records(settings).get(mine.name)


def test_a_running_node_renews(tmp_path: Path) -> None:
    settings, now = Settings(home=tmp_path), time.time_ns()
    key, records = content.keys(settings).get("self"), content.records(settings)
    publish(settings, key, now, lifetime=HOUR)
    with node(tmp_path, "--offline"):
        deadline = time.monotonic() + 20
        while records.get(key.name).expires < now + 47 * HOUR:
            assert time.monotonic() < deadline
            time.sleep(0.1)
