"""A coordinator that lost its disk comes back as another node, at the URL that everybody has."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from dpip.koi import RID, Bundle, NodeInterface, RIDType
from dpip.koi.protocol.edge import EdgeStatus
from dpip.koi.testing import Ring

if TYPE_CHECKING:
    from pathlib import Path

NOTE = RIDType.from_string("orn:test.note")


def tell(ring: Ring, node: NodeInterface, name: str) -> RID:
    bundle = Bundle.generate(RID.from_string(f"orn:test.note:{name}"), {}, now=ring.clock())
    node.processor.handle(bundle=bundle)
    ring.settle()
    return bundle.rid


def lose(ring: Ring, number: int, directory: Path) -> None:
    ring.kill(number)
    shutil.rmtree(directory / f"node{number}")
    ring.restart(number)
    ring.settle()


def test_who_knows_the_url_meets_its_successor(tmp_path: Path) -> None:
    with Ring(3, tmp_path, rid_types=[NOTE]) as ring:
        former = ring[0].identity.rid
        lose(ring, 0, tmp_path)
        assert ring[0].identity.rid != former
        first = tell(ring, ring[1], "first")
        assert ring[0].cache.exists(first), "the others are met, and it catches up"
        assert ring[0].identity.rid in ring[1].graph.get_neighbors("in", EdgeStatus.APPROVED)
        second = tell(ring, ring[0], "second")
        assert [node.cache.exists(second) for node in ring.nodes] == [True] * 3


def test_the_former_one_is_heard_again_if_it_comes_back(tmp_path: Path) -> None:
    with Ring(2, tmp_path, rid_types=[NOTE]) as ring:
        ring.kill(0)
        (tmp_path / "node0").rename(tmp_path / "kept")
        ring.restart(0)
        ring.settle()
        missed = tell(ring, ring[1], "missed")
        ring.kill(0)
        shutil.rmtree(tmp_path / "node0")
        (tmp_path / "kept").rename(tmp_path / "node0")
        ring.restart(0)
        for _ in range(3):
            ring.advance(120.0)
            ring.settle()
        assert ring[0].cache.exists(missed), "what waited for it was not thrown away"


def test_a_contact_that_is_named_by_its_rid_has_no_successor(tmp_path: Path) -> None:
    with Ring(2, tmp_path, rid_types=[NOTE]) as ring:
        assert ring[1].network.contact is not None
        ring[1].network.name_first_contact(f"{ring[0].identity.rid}@http://node0/koi-net")
        lose(ring, 0, tmp_path)
        rid = tell(ring, ring[1], "own")
        assert not ring[0].cache.exists(rid)
        assert not ring[1].cache.exists(ring[0].identity.rid)


@pytest.mark.parametrize("turns", [1, 3])
def test_a_successor_is_met_once(tmp_path: Path, turns: int) -> None:
    with Ring(2, tmp_path, rid_types=[NOTE]) as ring:
        lose(ring, 0, tmp_path)
        ring.network.paths.clear()
        for turn in range(turns):
            tell(ring, ring[1], f"{turn}")
        assert ring.network.paths["/node"] == 1
