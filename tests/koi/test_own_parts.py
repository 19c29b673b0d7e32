"""Parts that a program makes itself, by position and by keyword, as the original document does."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest
from tests.koi.nodes import full_node, until

from dpip.koi import (
    RID,
    STOP_CHAIN,
    Bundle,
    Cache,
    EventType,
    HandlerType,
    KnowledgeHandler,
    KnowledgeObject,
    KoiNetNode,
    NodeInterface,
)
from dpip.koi.identity import NodeIdentity
from dpip.koi.network import NetworkInterface
from dpip.koi.network.graph import NetworkGraph
from dpip.koi.network.request_handler import RequestHandler
from dpip.koi.network.response_handler import ResponseHandler
from dpip.koi.processor import ProcessorInterface
from dpip.koi.processor.default_handlers import default_handlers
from dpip.koi.protocol.api_models import FetchRids
from dpip.koi.protocol.node import NodeProfile, NodeType

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROFILE = NodeProfile(node_type=NodeType.PARTIAL)
NOTE = Bundle.generate(RID.from_string("orn:test.note:1"), {"v": 1})


class Parts:
    """A cache, an identity, a network and a processor, each made by its own constructor."""

    def __init__(self, home: Path, handlers: list[KnowledgeHandler], *, thread: bool) -> None:
        self.cache = Cache(home / "rid_cache")
        self.identity = NodeIdentity(
            name="own", profile=PROFILE, cache=self.cache, file_path=str(home / "identity.json")
        )
        self.network = NetworkInterface(
            file_path=str(home / "event_queues.json"),
            first_contact=None,
            cache=self.cache,
            identity=self.identity,
        )
        self.processor = ProcessorInterface(
            cache=self.cache,
            network=self.network,
            identity=self.identity,
            use_kobj_processor_thread=thread,
            default_handlers=handlers,
        )

    def node(self) -> NodeInterface:
        return NodeInterface(
            name="own",
            profile=PROFILE,
            cache=self.cache,
            network=self.network,
            processor=self.processor,
        )


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NodeInterface]:
    with full_node(tmp_path_factory.mktemp("hub") / "hub", state=[type(NOTE.rid)]) as node:
        node.processor.handle(bundle=NOTE)
        node.processor.flush_kobj_queue()
        yield node


@pytest.mark.parametrize("thread", [False, True])
def test_a_node_of_own_parts_is_those_parts(home: Path, thread: bool) -> None:
    parts = Parts(home, list(default_handlers), thread=thread)
    node = parts.node()
    assert node.cache is parts.cache
    assert node.network is parts.network
    assert node.processor is parts.processor
    assert node.identity.rid == parts.identity.rid
    assert sorted(path.name for path in home.iterdir()) == [
        "identity.json",
        "identity.pem",
        "rid_cache",
    ], "no second identity and no second cache"
    node.start()
    node.processor.handle(bundle=NOTE)
    node.processor.flush_kobj_queue()
    assert parts.cache.read(NOTE.rid) == NOTE
    node.close()


def test_positions_are_those_of_the_document(home: Path) -> None:
    cache = Cache("rid_cache")
    identity = NodeIdentity("own", PROFILE, cache, "identity.json")
    network = NetworkInterface("event_queues.json", None, cache, identity)
    assert NetworkGraph(cache, identity).get_edges() == []
    assert ResponseHandler(cache).fetch_rids(FetchRids()).rids == []
    processor = ProcessorInterface(cache, network, identity, False, [])
    processor.process_kobj(KnowledgeObject.from_bundle(NOTE))
    assert cache.list_rids() == [], "without handlers nothing decides to keep it"
    cache.store.close()


def test_a_network_of_ones_own_makes_first_contact(home: Path, hub: NodeInterface) -> None:
    parts = Parts(home, list(default_handlers), thread=False)
    node = NodeInterface(
        "own",
        PROFILE,
        first_contact=hub.identity.profile.base_url,
        network=parts.network,
        processor=parts.processor,
    )
    node.start()
    until(lambda: hub.cache.exists(node.identity.rid))
    node.close()


def test_a_request_handler_of_its_own_asks_other_nodes(home: Path, hub: NodeInterface) -> None:
    cache = Cache(home / "rid_cache")
    identity = NodeIdentity("asking", PROFILE, cache, home / "identity.json")
    asking = RequestHandler(cache, NetworkGraph(cache, identity))
    url = hub.identity.profile.base_url
    answer = asking.fetch_bundles(url=url, rids=[str(NOTE.rid)])
    assert answer.bundles == [NOTE]
    assert asking.fetch_rids(url=url, req=FetchRids([type(NOTE.rid)])).rids == [NOTE.rid]
    assert asking.fetch_rids(url=url, rid_types=["orn:test.note"]).rids == [NOTE.rid]
    assert asking.get_url(None, url) == url
    with pytest.raises(ValueError, match="no types"):
        asking.fetch_rids(url=url, types=[])
    with pytest.raises(ValueError, match="rids"):
        asking.fetch_bundles(url=url)
    cache.store.close()


def test_the_array_of_handlers_is_one_list_in_order(home: Path) -> None:
    seen: list[str] = []

    def noting(name: str, phase: HandlerType) -> KnowledgeHandler:
        return KnowledgeHandler(lambda *_: seen.append(name), phase)

    first = noting("bundle", HandlerType.Bundle)
    parts = Parts(home, [*default_handlers, first], thread=False)
    last = noting("rid", HandlerType.RID)
    parts.processor.add_handler(last)
    assert parts.processor.handlers == [*default_handlers, first, last]
    parts.processor.process_kobj(KnowledgeObject.from_bundle(NOTE))
    assert seen == ["rid", "bundle"]
    parts.processor.handlers.remove(last)
    parts.processor.process_kobj(KnowledgeObject.from_bundle(Bundle.generate(NOTE.rid, {"v": 2})))
    assert seen == ["rid", "bundle", "bundle"]
    parts.cache.store.close()


def test_a_change_that_is_not_returned_is_not_passed_on(home: Path) -> None:
    parts = Parts(home, list(default_handlers), thread=False)
    seen: list[Any] = []

    @parts.processor.register_handler(HandlerType.Bundle)
    def changes_and_returns_nothing(_: object, kobj: KnowledgeObject) -> None:
        kobj.normalized_event_type = EventType.FORGET

    @parts.processor.register_handler(HandlerType.Bundle)
    def looks(_: object, kobj: KnowledgeObject) -> KnowledgeObject:
        seen.append(kobj.normalized_event_type)
        kobj.contents = {"v": 3}
        return kobj

    @parts.processor.register_handler(HandlerType.Final)
    def looks_again(_: object, kobj: KnowledgeObject) -> None:
        seen.append(kobj.contents)

    parts.processor.process_kobj(KnowledgeObject.from_bundle(NOTE))
    assert seen == [EventType.NEW, {"v": 3}]
    parts.cache.store.close()


def test_one_chain_alone(home: Path) -> None:
    parts = Parts(home, list(default_handlers), thread=False)
    new = parts.processor.call_handler_chain(
        HandlerType.Manifest, KnowledgeObject.from_bundle(NOTE)
    )
    assert isinstance(new, KnowledgeObject)
    assert new.normalized_event_type == EventType.NEW
    parts.cache.write(NOTE)
    again = parts.processor.call_handler_chain(
        HandlerType.Manifest, KnowledgeObject.from_bundle(NOTE)
    )
    assert again is STOP_CHAIN
    parts.cache.store.close()


def test_the_queue_and_the_worker_thread(home: Path) -> None:
    parts = Parts(home, list(default_handlers), thread=True)
    processor = parts.processor
    assert isinstance(processor.worker_thread, threading.Thread)
    assert not processor.worker_thread.is_alive()
    processor.handle(bundle=NOTE)
    processor.kobj_queue.put(KnowledgeObject.from_rid(NOTE.rid))
    assert processor.kobj_queue.qsize() == processor.kobj_queue.unfinished_tasks == 2
    processor.start()
    processor.kobj_queue.join()
    assert processor.kobj_queue.empty()
    assert parts.cache.exists(NOTE.rid)
    processor.stop()
    processor.start()
    processor.handle(rid=NOTE.rid, event_type=EventType.FORGET)
    processor.kobj_queue.join()
    assert not parts.cache.exists(NOTE.rid)
    processor.stop()
    parts.cache.store.close()


def test_profiles_can_be_changed_and_dumped_as_those_of_pydantic() -> None:
    profile = NodeProfile(node_type=NodeType.FULL)
    profile.base_url = "http://127.0.0.1:8000/koi-net"
    profile.provides.event.append(KoiNetNode)
    plain = profile.model_dump(exclude_none=True)
    assert plain == {
        "base_url": "http://127.0.0.1:8000/koi-net",
        "node_type": "FULL",
        "provides": {"event": ["orn:koi-net.node"], "state": []},
    }
    assert NodeProfile.model_validate(plain) == profile
    assert NodeProfile.model_validate_json(profile.model_dump_json(indent=2)) == profile
    copy = profile.model_copy(update={"base_url": None})
    assert (copy.base_url, profile.base_url) == (None, "http://127.0.0.1:8000/koi-net")
    event = NOTE.model_dump(mode="json")
    assert event["contents"] == {"v": 1}


@pytest.mark.parametrize("own_cache", [False, True])
def test_a_node_can_be_made_to_survive_power_cuts(home: Path, own_cache: bool) -> None:
    from dpip.koi.testing import MemoryCache

    def made(*, sync: bool, name: str) -> NodeInterface:
        return NodeInterface(
            name,
            PROFILE,
            f"{name}.json",
            f"{name}-queues.json",
            f"{name}-cache",
            cache=MemoryCache() if own_cache else None,
            sync=sync,
        )

    careful, quick = made(sync=True, name="careful"), made(sync=False, name="quick")
    full, normal = 2, 1
    assert careful.store.row("PRAGMA synchronous")[0] == full
    assert quick.store.row("PRAGMA synchronous")[0] == normal
    careful.close()
    quick.close()
