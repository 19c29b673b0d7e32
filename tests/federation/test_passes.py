"""Passes prove who asks, for one path at one node, for a few minutes; and whom a node asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dpip.federation.directory import GraphDirectory
from dpip.federation.passes import GOOD_FOR, HEADER, Passes
from dpip.koi.testing import Ring
from dpip.mirror.catalog import FileRecord

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/files/" + "a" * 64 + "/acme_tool-1.0-py3-none-any.whl"


def scope(headers: dict[str, str], path: str = PATH) -> dict[str, Any]:
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    return {"path": path, "headers": pairs}


def test_a_pass_opens_one_path_at_one_node_for_a_while(tmp_path: Path) -> None:
    now = 1_000_000.0
    with Ring(3, tmp_path) as ring:
        asker, asked, other = (Passes(lambda node=node: node, lambda: now) for node in ring.nodes)  # type: ignore[misc]
        given = asker.headers("http://node1", PATH)
        me = ring[0].identity.rid
        assert asked.bearer(scope(given)) == me
        assert asked.bearer(scope(asker.headers("http://node1/", PATH))) == me
        assert asked.bearer(scope(given, PATH + ".metadata")) is None
        assert other.bearer(scope(given)) is None, "it was made for another node"
        assert asked.bearer(scope({})) is None
        for wait, opens in ((GOOD_FOR, True), (GOOD_FOR + 1, False), (-GOOD_FOR - 1, False)):
            later = Passes(lambda: ring[1], lambda wait=wait: now + wait)  # type: ignore[misc]
            assert (later.bearer(scope(given)) == me) == opens


def test_nobody_makes_a_pass_for_somebody_else(tmp_path: Path) -> None:
    with Ring(3, tmp_path) as ring:
        asked = Passes(lambda: ring[1], lambda: 0.0)
        text = Passes(lambda: ring[2], lambda: 0.0).headers("http://node1", PATH)[HEADER]
        name, when, signature = text.split(" ")
        assert asked.bearer(scope({HEADER: text})) == ring[2].identity.rid
        stranger = ring[0].identity.rid.id
        for forged in (
            f"{stranger} {when} {signature}",
            f"{'0' * 64} {when} {signature}",
            f"{name} 1 {signature}",
            f"{name} {when} {signature[:-4]}AAA=",
            f"{name} {when}",
            f"{name} -1 {signature}",
            f"{name} {'9' * 400} {signature}",
            f"{name} {when} {signature} more",
            "",
        ):
            assert asked.bearer(scope({HEADER: forged})) is None, forged


def test_a_node_that_has_not_started_gives_and_takes_no_pass() -> None:
    passes = Passes(lambda: None, lambda: 0.0)
    assert passes.headers("http://node1", PATH) == {}
    assert passes.bearer(scope({HEADER: "a 0 b"})) is None


def test_only_its_circle_is_asked_about_a_private_name(tmp_path: Path) -> None:
    with Ring(4, tmp_path) as ring:
        friends = frozenset({ring[2].identity.rid.id})
        circles = {"acme-tool": friends, "mine": frozenset[str]()}
        directory = GraphDirectory(lambda: ring[1], circle=circles.get)

        def near(project: str) -> list[str]:
            return sorted(directory.near(FileRecord("a", "a-1.tar.gz", project, "http://x/")))

        assert near("acme-tool") == ["http://node2"]
        assert near("mine") == []
        assert near("demo") == ["http://node0", "http://node2", "http://node3"]
