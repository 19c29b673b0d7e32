"""The ASGI app: routing, limits, embedding."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from tests.koi.nodes import make

from dpip.koi import RID, Bundle, server

if TYPE_CHECKING:
    from pathlib import Path

    from dpip.koi import NodeInterface


async def ask(
    application: Any,
    path: str,
    parts: list[bytes | None],
    *,
    method: str = "POST",
    headers: Any = (),
) -> tuple[int, bytes]:
    """Send a request in parts; a part that is None never comes."""
    waiting = list(parts)
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        part = waiting.pop(0)
        if part is None:
            await asyncio.sleep(60)
        return {"type": "http.request", "body": part, "more_body": bool(waiting)}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "root_path": "", "query_string": b"",
             "headers": list(headers)}  # fmt: skip
    await application(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture
def node(tmp_path: Path) -> Any:
    made = make(
        tmp_path / "node", base_url="http://127.0.0.1:9/koi-net", use_kobj_processor_thread=True
    )
    yield made
    made.store.close()


def with_app(node: NodeInterface, *requests: Any) -> list[tuple[int, bytes]]:
    async def run() -> list[tuple[int, bytes]]:
        async with server.running(node) as application:
            return [await ask(application, *args, **options) for args, options in requests]

    return asyncio.run(run())


def request(*args: Any, **options: Any) -> Any:
    return args, options


def test_paths_work_with_and_without_the_prefix(node: NodeInterface) -> None:
    one = node.cache.write(Bundle.generate(RID.from_string("orn:test.thing:1"), {}))
    answers = with_app(
        node,
        request("/koi-net/bundles/fetch", [b'{"rids":["orn:test.thing:1"]}']),
        request("/bundles/fetch", [b'{"rids":', b'["orn:test.thing:1"]}']),
    )
    assert answers[0] == answers[1]
    assert (
        json.loads(answers[0][1])["bundles"][0]["manifest"]["sha256_hash"]
        == one.manifest.sha256_hash
    )


def test_what_is_not_served(node: NodeInterface) -> None:
    answers = with_app(
        node,
        request("/koi-net/other", [b""], method="GET"),
        request("/koi-net/other", [b""]),
        request("/koi-net/rids/fetch", [b""], method="GET"),
        request("/koi-net/rids/fetch", [b"{"]),
    )
    assert [status for status, _ in answers] == [404, 404, 405, 422]


def test_limits_on_size_and_time(node: NodeInterface, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "LARGEST_BODY", 1000)
    monkeypatch.setattr(server, "BODY_SECONDS", 0.05)
    answers = with_app(
        node,
        request("/rids/fetch", [None], headers=[(b"content-length", b"1001")]),
        request("/rids/fetch", [b"x" * 600, b"x" * 600, None]),
        request("/rids/fetch", [b"{", None]),
        request("/rids/fetch", [b"{}"]),
    )
    assert [status for status, _ in answers] == [413, 413, 408, 200]


def test_a_large_answer_is_streamed_and_whole(node: NodeInterface) -> None:
    text = "x" * 1000
    for number in range(200):
        node.cache.write(Bundle.generate(RID.from_string(f"orn:test.thing:{number}{text}"), {}))
    ((status, body),) = with_app(
        node, request("/rids/fetch", [b'{"rid_types":["orn:test.thing"]}'])
    )
    assert status == 200
    assert len(set(json.loads(body)["rids"])) == 200


def test_a_node_inside_another_program(node: NodeInterface) -> None:
    async def run() -> tuple[int, bytes]:
        async with server.running(node) as application:
            outer = Starlette(routes=[Mount("/some/where", application)])
            return await ask(outer, "/some/where/node", [b""], method="GET")

    status, body = asyncio.run(run())
    assert status == 200
    assert json.loads(body)["manifest"]["rid"] == str(node.identity.rid)
