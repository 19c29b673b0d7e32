"""A sync as `dpip mirror sync` builds it, against an upstream with a changelog."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.simple.fixture_index import FixtureIndex, Switches, wheel

from dpip import settings
from dpip.app import mirroring
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
