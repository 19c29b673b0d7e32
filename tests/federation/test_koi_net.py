"""Real koi-net nodes hear a running node's package news and read its bundles."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.app.nodes import NodeProcess, node
from tests.federation.processes import fetch, filenames, rid, until
from tests.koi.interop.child import EDGE, NODE, SIGNED, Child
from tests.simple.fixture_index import Archive, FixtureIndex, wheel

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

FILE, PROJECT = "orn:pypi.file", "orn:pypi.project"
DEMO = f"{FILE}:demo/demo-1.0-py3-none-any.whl"


def subscriber(release: str, kind: str, home: Path, mirror: NodeProcess) -> Child:
    """Return a node of a release that joins the mirror and is interested in packages."""
    contact = f"{mirror.url}/koi-net"
    if release in SIGNED:
        contact = f"{rid(mirror.url)}@{contact}"
    interest = [NODE, FILE, PROJECT]
    return Child(release, kind, home, first_contact=contact, interest=interest)


def subscribe(child: Child, source: str) -> None:
    """Wait until the child's subscription to package news is approved.

    Releases of the plain wire ask by themselves for news of nodes only, and then for more.
    """

    def edges() -> dict[str, dict[str, Any]]:
        held = {one: child.holds(one) or {} for one in child.rids() if one.startswith(EDGE)}
        return {one: edge for one, edge in held.items() if edge.get("source") == source}

    def approved(edge: dict[str, Any]) -> bool:
        return bool(edge["status"] == "APPROVED")

    until(lambda: any(map(approved, edges().values())))
    name, profile = next(iter(edges().items()))
    wanted = {**profile, "rid_types": [NODE, FILE, PROJECT]}
    if child.release not in SIGNED:
        child.do("know", rid=name, contents={**wanted, "status": "PROPOSED"})
    until(lambda: approved(edges()[name]) and FILE in edges()[name]["rid_types"])


def known(child: Child, name: str) -> dict[str, Any]:
    """Return what the child holds of a RID, once it holds something."""
    until(lambda: child.holds(name))
    return child.holds(name) or {}


def hears(child: Child, index: FixtureIndex, mirror: NodeProcess) -> Archive:
    """A release, then the next one; the child holds what the mirror said of both."""
    first, second = wheel("demo", "1.0"), wheel("demo", "2.0")
    index.add("demo", first)
    assert filenames(mirror.url, "demo")
    assert known(child, DEMO)["hashes"]["sha256"] == first.sha256
    assert known(child, f"{PROJECT}:demo")["versions"] == 1
    index.add("demo", second)
    assert len(filenames(mirror.url, "demo")) == 2
    assert known(child, DEMO.replace("1.0", "2.0"))["hashes"]["sha256"] == second.sha256
    until(lambda: known(child, f"{PROJECT}:demo")["versions"] == 2)
    return first


def forgets(child: Child, index: FixtureIndex, mirror: NodeProcess) -> None:
    del index.projects["demo"]
    assert filenames(mirror.url, "demo") == []
    until(lambda: child.holds(DEMO) is None)


@pytest.mark.parametrize(
    ("release", "kind"),
    [("2.1.2", "full"), ("1.3.2", "full"), ("1.0.0", "full"), ("1.0.0", "partial")],
)
def test_a_real_node_subscribes_to_packages(tmp_path: Path, release: str, kind: str) -> None:
    plain = release not in SIGNED
    with (
        FixtureIndex() as index,
        node(
            tmp_path / "mirror",
            "--index-url",
            index.url,
            DPIP_PAGE_MAX_AGE="0",
            DPIP_ALLOW_UNSIGNED=str(plain).lower(),
        ) as mirror,
        subscriber(release, kind, tmp_path / "peer", mirror) as child,
    ):
        us = rid(mirror.url)
        until(lambda: us in child.rids())
        subscribe(child, us)
        first = hears(child, index, mirror)
        answer = child.do("ask", call="fetch_bundles", node=us, request={"rids": [DEMO]})
        (bundle,) = answer.get("payload", answer)["bundles"]
        assert bundle["contents"]["hashes"] == {"sha256": first.sha256}
        forgets(child, index, mirror)


@pytest.mark.parametrize("release", ["2.1.2", "1.0.0"])
def test_what_was_there_before_is_caught_up_with(tmp_path: Path, release: str) -> None:
    """A node that comes later reads the types that it wants by listing and fetching."""
    plain = str(release not in SIGNED).lower()
    with FixtureIndex() as index:
        index.add("demo", wheel("demo", "1.0"))
        with node(
            tmp_path / "mirror", "--index-url", index.url, DPIP_ALLOW_UNSIGNED=plain
        ) as mirror:
            us = rid(mirror.url)
            assert filenames(mirror.url, "demo")
            with subscriber(release, "full", tmp_path / "peer", mirror) as child:
                until(lambda: us in child.rids())
                answer = child.do("ask", call="fetch_rids", node=us, request={"rid_types": [FILE]})
                assert answer.get("payload", answer)["rids"] == [DEMO]
                if release in SIGNED:
                    until(lambda: child.holds(DEMO))


def test_a_node_answers_plain_messages_only_where_that_is_allowed(tmp_path: Path) -> None:
    with node(tmp_path / "strict", "--offline") as strict:
        rid(strict.url)
        with subscriber("1.0.0", "full", tmp_path / "peer", strict) as child:
            with pytest.raises(AssertionError):
                child.do("ask", call="fetch_rids", url=f"{strict.url}/koi-net", request={})
            assert child.rids() == {child.rid}
        assert json.loads(fetch(f"{strict.url}/healthz"))["peers"] == 0
