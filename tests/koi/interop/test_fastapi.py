"""Real nodes of 1.0 talk to the FastAPI node of the original document, exactly as printed."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.koi import raw
from tests.koi.interop.child import PLAIN, Child, eventually, free_port
from tests.koi.nodes import serving
from tests.koi.test_original import DEPRECATED, FULL_NODE, run

from dpip.koi import RID, Bundle, Event, EventType, KoiNetNode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.slow, DEPRECATED]
NOTE = Bundle.generate(RID.from_string("orn:test.note:1"), {"text": "é", "none": None})


@contextmanager
def printed(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, str]]:
    """Run the document's program on a free port; yield its node and its URL."""
    monkeypatch.chdir(home)
    port = free_port()
    names = run(FULL_NODE.replace("8000", str(port)))
    with socket.create_server(("127.0.0.1", port)) as listener, serving(names["app"], listener):
        yield names["node"], f"http://127.0.0.1:{port}/koi-net"
    names["node"].store.close()


@pytest.mark.parametrize("release", PLAIN)
@pytest.mark.parametrize("kind", ["full", "partial"])
def test_a_plain_release_joins_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, release: str, kind: str
) -> None:
    (tmp_path / "ours").mkdir()
    with (
        printed(tmp_path / "ours", monkeypatch) as (node, url),
        Child(release, kind, tmp_path / "theirs", first_contact=url) as child,
    ):
        them = RID.from_string(child.rid)
        assert isinstance(them, KoiNetNode)
        eventually(lambda: node.cache.exists(them), "its handshake arrives")
        node.processor.handle(bundle=NOTE)
        node.processor.flush_kobj_queue()
        for call, request, part in (
            ("fetch_rids", {}, "rids"),
            ("fetch_manifests", {"rids": [str(NOTE.rid)]}, "manifests"),
            ("fetch_bundles", {"rids": [str(NOTE.rid)]}, "bundles"),
        ):
            answer = child.do("ask", call=call, url=url, request=request)
            assert answer[part], call
        theirs = raw.event("NEW", "orn:test.note:theirs", {"v": 1})
        child.do("ask", call="broadcast_events", url=url, request={"events": [theirs]})
        eventually(lambda: node.cache.exists(RID.from_string(theirs["rid"])), "its news arrives")
        node.network.push_event_to(Event.from_bundle(EventType.NEW, NOTE), them)
        eventually(lambda: child.holds(str(NOTE.rid)) == NOTE.contents, "our news arrives")
