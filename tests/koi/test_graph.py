from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dpip.koi import Bundle, KoiNetNode, RIDType
from dpip.koi.model import to_plain
from dpip.koi.network.graph import NetworkGraph
from dpip.koi.protocol.edge import EdgeProfile, EdgeStatus, EdgeType, generate_edge_bundle
from dpip.koi.protocol.node import NodeProfile, NodeType
from dpip.koi.rid import KoiNetEdge
from dpip.koi.testing import MemoryCache

ME, ONE, TWO = (KoiNetNode(name, "1") for name in ("me", "one", "two"))
NOTE = RIDType.from_string("orn:test.note")
NODE = NodeProfile(node_type=NodeType.PARTIAL).contents()


@dataclass
class Identity:
    rid: KoiNetNode = ME


def edge(source: KoiNetNode, target: KoiNetNode, *types: RIDType) -> Bundle:
    return generate_edge_bundle(source, target, list(types), EdgeType.POLL)


def graph(*bundles: Bundle) -> NetworkGraph:
    cache = MemoryCache()
    for bundle in bundles:
        cache.write(bundle)
    found = NetworkGraph(cache, Identity())
    found.generate()
    return found


def test_directions_and_types() -> None:
    out, into = edge(ME, ONE, NOTE), edge(TWO, ME)
    found = graph(out, into, edge(ONE, TWO))
    assert found.get_edges("out") == [out.rid]
    assert found.get_edges("in") == [into.rid]
    assert set(found.get_edges()) == {out.rid, into.rid}
    assert found.get_neighbors("out") == [ONE]
    assert set(found.get_neighbors()) == {ONE, TWO}
    assert found.get_neighbors(allowed_type=NOTE) == [ONE]
    assert found.get_neighbors(status=EdgeStatus.APPROVED) == []
    profile = found.get_edge_profile(source=ME, target=ONE)
    assert profile is found.get_edge_profile(out.rid)  # type: ignore[arg-type]
    assert profile == EdgeProfile(ME, ONE, EdgeType.POLL, EdgeStatus.PROPOSED, [NOTE])
    assert found.get_edge_profile(source=ONE, target=ME) is None


def test_the_view_reads_like_networkx() -> None:
    found = graph(Bundle.generate(ME, NODE), edge(ME, ONE))
    assert ME in found.dg
    assert ONE in found.dg
    assert TWO not in found.dg
    assert len(found.dg) == 2
    assert list(found.dg.successors(ME)) == [ONE]
    assert list(found.dg.predecessors(ONE)) == [ME]
    assert found.dg.has_edge(ME, ONE)
    assert found.dg.has_node(ONE)
    assert set(found.dg.edges[ME, ONE]) == {"rid"}


def test_contents_that_are_no_profile_are_no_part_of_it() -> None:
    found = graph(Bundle.generate(ONE, {"node_type": 5}), Bundle.generate(KoiNetEdge("x"), {}))
    assert len(found.dg) == 0
    assert found.get_node_profile(ONE) is None


ENDS = st.sampled_from([ME, ONE, TWO])
CHANGES = st.lists(st.tuples(st.sampled_from("xyz"), ENDS, ENDS, st.booleans()), max_size=12)


@given(CHANGES)
def test_updates_in_place_give_what_a_rebuild_gives(changes: list[Any]) -> None:
    cache = MemoryCache()
    live = NetworkGraph(cache, Identity())
    for name, source, target, present in changes:
        rid = KoiNetEdge(name)
        if not present:
            cache.delete(rid)
            live.apply(rid, None)
            continue
        profile = EdgeProfile(source, target, EdgeType.POLL, EdgeStatus.PROPOSED, [])
        cache.write(Bundle.generate(rid, to_plain(profile)))
        live.apply(rid, to_plain(profile))
    rebuilt = NetworkGraph(cache, Identity())
    rebuilt.generate()
    assert set(live.dg.edges) == set(rebuilt.dg.edges)
    assert {rid for rid in map(KoiNetEdge, "xyz") if live.get_edge_profile(rid)} == set(
        cache.list_rids([KoiNetEdge])
    )
