"""A sync as `dpip mirror sync` builds it, against an upstream with a changelog."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.app.nodes import NodeProcess, node
from tests.federation.processes import fetch, until
from tests.simple.fixture_index import Archive, FixtureIndex, Switches, wheel

from dpip import settings
from dpip.app import mirroring
from dpip.federation.guarded import Guarded
from dpip.federation.ledger import Ledger
from dpip.koi import KoiNetNode
from dpip.mirror.coverage import Coverage
from dpip.mirror.sync import Limits, Round

BOMB = b"""<?xml version='1.0'?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]>
<methodResponse><params><param><value>&b;</value></param></params></methodResponse>"""


def sync(home: Path, index: FixtureIndex) -> tuple[Round, Coverage]:
    config = settings.load({"home": str(home), "index_url": index.url})
    limits = Limits(patience=0.0)
    return asyncio.run(mirroring.sync(config, limits=limits, progress=lambda _: None))


def upstream() -> FixtureIndex:
    index = FixtureIndex(Switches(serial=None, changelog=[("thing", "1.0", 1, "new release", 5)]))
    index.add("thing", wheel("thing", "1.0"))
    index.add("other", wheel("other", "1.0"))
    return index


def release(index: FixtureIndex, version: str, serial: int) -> None:
    index.add("thing", wheel("thing", version))
    assert index.switches.changelog is not None
    index.switches.changelog.append(("Thing", version, serial, "new release", serial))


def test_only_what_the_changelog_names_is_asked_for(tmp_path: Path) -> None:
    mirroring.write(tmp_path, {})
    with upstream() as index:
        assert sync(tmp_path, index)[0].read == "root list"
        release(index, "2.0", 7)
        release(index, "3.0", 8)
        before = len(index.requests)
        done, covered = sync(tmp_path, index)
        assert (done.read, done.done, done.files) == ("changelog", 1, 2)
        assert (covered.complete, covered.serial) == (True, 8)
        asked = {seen.path for seen in index.requests[before:]}
        assert asked == {
            "/pypi", "/simple/thing/",
            "/packages/thing-2.0-py3-none-any.whl", "/packages/thing-3.0-py3-none-any.whl",
        }  # fmt: skip


@pytest.mark.parametrize("answer", [BOMB, b"", b"<html>", b"<methodResponse/>"])
def test_a_hostile_changelog_costs_nothing_but_its_use(tmp_path: Path, answer: bytes) -> None:
    mirroring.write(tmp_path, {})
    with upstream() as index:
        sync(tmp_path, index)
        release(index, "2.0", 7)
        index.switches.changelog_answer = answer
        done, covered = sync(tmp_path, index)
        assert (done.read, done.files, done.problems) == ("root list", 1, [])
        assert covered.complete


@pytest.mark.parametrize("rules", [{"changelog": False}, {"changelog": False, "allow": ["thing"]}])
def test_a_changelog_that_is_not_wanted_is_not_asked(tmp_path: Path, rules: dict[str, Any]) -> None:
    mirroring.write(tmp_path, rules)
    with upstream() as index:
        for _ in range(2):
            read = sync(tmp_path, index)[0].read
        assert read == ("pages" if "allow" in rules else "root list")
        assert not index.count("/pypi")


@pytest.fixture
def beside(tmp_path: Path) -> Iterator[tuple[NodeProcess, FixtureIndex, Archive]]:
    """Give a node that holds a file, and a home `b` whose node met it and is stopped again."""
    made = wheel("thing", "1.0", size=200_000)
    with FixtureIndex() as index:
        index.add("thing", made)
        flags = ("--index-url", index.url)
        with node(tmp_path / "a", *flags) as a:
            fetch(f"{a.url}/simple/thing/")
            assert fetch(f"{a.url}/files/{made.sha256}/{made.filename}") == made.content
            with node(tmp_path / "b", *flags, "--first-contact", a.url) as b:
                until(lambda: json.loads(fetch(f"{b.url}/healthz"))["peers"])
            index.requests.clear()
            mirroring.write(tmp_path / "b", {})
            yield a, index, made


def test_a_sync_takes_from_neighbours_what_they_hold(
    tmp_path: Path, beside: tuple[NodeProcess, FixtureIndex, Archive]
) -> None:
    _, index, made = beside
    done, covered = sync(tmp_path / "b", index)
    assert covered.complete
    assert (done.files, done.from_peers, done.bytes) == (1, 1, len(made.content))
    assert index.count("/packages/") == 0


def test_a_sync_is_complete_though_a_neighbour_lies(
    tmp_path: Path, beside: tuple[NodeProcess, FixtureIndex, Archive]
) -> None:
    a, index, made = beside
    [held] = (a.home / "archives" / "whole").glob(f"*/{made.sha256}/*")
    held.write_bytes(made.content[:-1] + b"x")
    done, covered = sync(tmp_path / "b", index)
    assert covered.complete
    assert (done.files, done.from_peers) == (1, 0)
    [kept] = (tmp_path / "b" / "archives" / "whole").glob(f"*/{made.sha256}/*")
    assert kept.read_bytes() == made.content


def test_a_sync_is_complete_though_a_neighbour_is_gone(
    tmp_path: Path, beside: tuple[NodeProcess, FixtureIndex, Archive]
) -> None:
    a, index, _ = beside
    a.kill()
    done, covered = sync(tmp_path / "b", index)
    assert covered.complete
    assert (done.files, done.from_peers) == (1, 0)


def test_a_sync_does_not_ask_for_what_is_private_to_another_node(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "koi" / "ledger.sqlite3")
    Guarded(ledger).add("thing", KoiNetNode("office", "a" * 64))
    ledger.close()
    mirroring.write(tmp_path, {})
    with upstream() as index:
        done, _ = sync(tmp_path, index)
        assert done.files == 1
        assert index.count("/simple/thing/") == 0
