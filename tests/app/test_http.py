"""The HTTP server on a real socket, with clients that behave and clients that do not."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from dpip.app import http
from dpip.app.http import serve
from dpip.app.limits import Limits
from dpip.errors import PortTaken, UsageError

Handler = Callable[[Any, Any, Any], Awaitable[None]]
HOST = b"host: x\r\n"
HELLO = b"hello"


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await whole(send, HELLO + scope["path"].encode())


async def whole(send: Any, body: bytes, **extra: Any) -> None:
    headers = [(b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers, **extra})
    await send({"type": "http.response.body", "body": body})


@contextlib.asynccontextmanager
async def running(
    application: Handler, limits: Limits | None = None, grace: float = 2.0
) -> AsyncIterator[int]:
    """Serve on a free port; stop gracefully at the end."""
    stop = asyncio.Event()
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(
        serve(
            application,
            host="127.0.0.1",
            port=0,
            ready=ready.set_result,
            stop=stop,
            limits=limits,
            grace=grace,
        )
    )
    url = await asyncio.wait_for(ready, 5)
    try:
        yield int(url.rpartition(":")[2])
    finally:
        stop.set()
        await task


@contextlib.asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Connect; leave without a word at the end."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def talk(port: int, request: bytes, *, eof: bool = False) -> bytes:
    """Send raw bytes; return everything until the server closes."""
    async with connected(port) as (reader, writer), asyncio.timeout(10):
        writer.write(request)
        if eof:
            writer.write_eof()
        return await reader.read()


def get(path: bytes = b"/", *headers: bytes, close: bool = True, version: bytes = b"1.1") -> bytes:
    lines = b"".join(line + b"\r\n" for line in headers)
    end = b"connection: close\r\n" if close else b""
    return b"GET %b HTTP/%b\r\n%b%b%b\r\n" % (path, version, HOST, lines, end)


def exchange(application: Handler, request: bytes, limits: Limits | None = None) -> bytes:
    async def main() -> bytes:
        async with running(application, limits) as port:
            return await talk(port, request)

    return asyncio.run(main())


def body_of(response: bytes) -> bytes:
    return response.partition(b"\r\n\r\n")[2]


def test_answers_with_a_date_and_closes_when_asked() -> None:
    response = exchange(hello, get(b"/a%20b"))
    assert response.startswith(b"HTTP/1.1 200 OK\r\ndate: ")
    assert b"connection: close" in response
    assert body_of(response) == b"hello/a b"


def test_pipelined_requests_are_answered_in_order() -> None:
    async def slow_first(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(0.05 if scope["path"] == "/0" else 0)
        await whole(send, scope["path"].encode())

    requests = b"".join(get(b"/%d" % n, close=n == 19) for n in range(20))
    response = exchange(slow_first, requests)
    assert [part.partition(b"\r\n\r\n")[2] for part in response.split(b"HTTP/1.1")[1:]] == [
        b"/%d" % n for n in range(20)
    ]


def test_a_request_in_pieces() -> None:
    async def main() -> bytes:
        async with running(hello) as port, connected(port) as (reader, writer):
            for byte in get(b"/piece"):
                writer.write(bytes([byte]))
                await asyncio.sleep(0)
            return await reader.read()

    assert body_of(asyncio.run(main())) == b"hello/piece"


def test_a_body_without_length_is_chunked_or_ends_with_the_connection() -> None:
    async def chunks(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for piece in (b"one", b"", b"two"):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body"})

    assert body_of(exchange(chunks, get())) == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    old = exchange(chunks, get(version=b"1.0", close=False))
    assert body_of(old) == b"onetwo"
    assert b"connection: close" in old


def test_http_1_0_keeps_alive_only_when_asked() -> None:
    request = get(b"/", b"connection: keep-alive", close=False, version=b"1.0")
    response = exchange(hello, request + get(b"/2", close=False, version=b"1.0"))
    assert response.count(b"HTTP/1.1 200") == 2
    assert b"connection: keep-alive" in response


def test_head_has_no_body() -> None:
    response = exchange(hello, get().replace(b"GET", b"HEAD"))
    assert b"content-length: 6" in response
    assert body_of(response) == b""


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: x\r\nbad header\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.1\r\nhost: x\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: -1\r\n\r\n", 400),
        (b"GET /" + b"a" * 2000 + b" HTTP/1.1\r\nhost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x: " + b"y" * 4000, 431),
        (b"GET / HTTP/1.1\r\nhost: x\r\n" + b"x: y\r\n" * 500 + b"\r\n", 431),
        (b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 5000\r\n\r\n", 413),
        (
            b"POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n"
            + (b"3e8\r\n" + b"a" * 1000 + b"\r\n") * 5,
            413,
        ),
    ],
)
def test_what_no_application_sees(request_bytes: bytes, status: int) -> None:
    async def never_answers(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def main() -> bytes:
        async with (
            running(never_answers, Limits(head=1000, body=2000), grace=0.1) as port,
            connected(port) as (reader, writer),
        ):
            for start in range(0, len(request_bytes), 500):
                writer.write(request_bytes[start : start + 500])
                await asyncio.sleep(0.002)
            with contextlib.suppress(ConnectionError):
                return await asyncio.wait_for(reader.read(), 5)
            return b""

    response = asyncio.run(main())
    if b"chunked" in request_bytes:
        # The application was already asked; nothing complete may come of it.
        assert response == b""
    else:
        assert response.startswith(b"HTTP/1.1 %d " % status)


def test_slow_and_silent_clients_are_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "PATROL", 0.02)

    async def main() -> None:
        limits = Limits(head_time=0.1, idle_time=0.1)
        async with running(hello, limits) as port:
            assert await talk(port, b"") == b""
            assert await talk(port, b"GET / HTTP/1.1\r\nhost:") == b""
            response = await talk(port, get(close=False))
            assert body_of(response) == b"hello/"

    asyncio.run(main())


def test_a_client_that_does_not_read_is_cut_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(http, "PATROL", 0.02)
    application, _ = file_application(tmp_path, 64 * 2**20)
    lost = asyncio.Event()

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        try:
            await application(scope, receive, send)
        except ConnectionError:
            lost.set()
            raise

    async def main() -> None:
        async with (
            running(noting, Limits(write_time=0.1)) as port,
            connected(port) as (_, writer),
        ):
            writer.write(get())
            await asyncio.wait_for(lost.wait(), 10)

    asyncio.run(main())


def test_request_bodies_stream_with_back_pressure() -> None:
    most = 0

    async def count(scope: Any, receive: Any, send: Any) -> None:
        nonlocal most
        total = 0
        while True:
            message = await receive()
            total += len(message["body"])
            most = max(most, len(message["body"]))
            await asyncio.sleep(0)
            if not message["more_body"]:
                break
        await whole(send, b"%d" % total)

    size = 3_000_000
    head = b"POST / HTTP/1.1\r\nconnection: close\r\n%bcontent-length: %d\r\n\r\n" % (HOST, size)
    assert body_of(exchange(count, head + b"a" * size)) == b"%d" % size
    assert most < 1_000_000


def test_100_continue_is_sent_when_the_body_is_wanted() -> None:
    async def read(scope: Any, receive: Any, send: Any) -> None:
        await whole(send, (await receive())["body"])

    head = b"POST / HTTP/1.1\r\nconnection: close\r\nexpect: 100-continue\r\ncontent-length: 2\r\n"

    async def main() -> bytes:
        async with running(read) as port, connected(port) as (reader, writer):
            writer.write(head + HOST + b"\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            writer.write(b"ok")
            return await reader.read()

    assert body_of(asyncio.run(main())) == b"ok"


def test_a_failing_application_answers_500_without_a_traceback() -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError("secret detail")

    response = exchange(fail, get(close=False))
    assert response.startswith(b"HTTP/1.1 500 ")
    assert b'"error":"internal-error"' in response
    assert b"secret" not in response


@pytest.mark.parametrize("length", [None, 10])
def test_a_failure_after_the_head_breaks_the_response_off(length: int | None) -> None:
    async def fail(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-length", b"%d" % length)] if length else []
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"part", "more_body": True})
        raise ZeroDivisionError

    body = body_of(exchange(fail, get(close=False)))
    assert body == (b"part" if length else b"4\r\npart\r\n")


def test_headers_cannot_be_split() -> None:
    async def split(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"location", b"/x\r\nset-cookie: a=b")]
        await send({"type": "http.response.start", "status": 301, "headers": headers})

    response = exchange(split, get())
    assert response.startswith(b"HTTP/1.1 500 ") or response == b""
    assert b"set-cookie" not in response


# Files


def file_application(folder: Path, size: int) -> tuple[Handler, bytes]:
    content = os.urandom(1024) * (size // 1024)
    path = folder / "file"
    path.write_bytes(content)

    async def application(scope: Any, receive: Any, send: Any) -> None:
        query = scope["query_string"].decode()
        start, end = (int(n) for n in query.split("-")) if query else (0, size)
        headers = [(b"content-length", b"%d" % (end - start))]
        with path.open("rb") as file:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send(
                {
                    "type": "http.response.zerocopysend",
                    "file": file,
                    "offset": start,
                    "count": end - start,
                }
            )

    return application, content


@pytest.mark.parametrize("sendfile", [True, False])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_files_arrive_whole_and_by_range(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sendfile: bool, loop: str
) -> None:
    monkeypatch.setattr("dpip.app.connection.AVAILABLE", sendfile)
    application, content = file_application(tmp_path, 8 * 2**20)

    async def main() -> None:
        # Without the extension an application must not use it; the fallback is below it.
        async with running(_always_offered(application)) as port:
            requests = get(b"/?5-1000", close=False) + get(b"/?0-0", close=False) + get()
            response = await talk(port, requests)
            bodies = [part.partition(b"\r\n\r\n")[2] for part in response.split(b"HTTP/1.1 200 OK")]
            assert bodies[1] == content[5:1000]
            assert bodies[2] == b""
            assert b"".join(bodies[3:]) == content

    runner = asyncio.Runner(loop_factory=_loop_factory(loop))
    with runner:
        runner.run(main())


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop]:
    if name == "asyncio":
        return asyncio.new_event_loop
    uvloop = pytest.importorskip("uvloop")
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _always_offered(application: Handler) -> Handler:
    async def offering(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"] = {"http.response.zerocopysend": {}}
        await application(scope, receive, send)

    return offering


def test_a_kernel_that_refuses_is_not_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, calls = os.sendfile, 0

    def refusing(out: int, source: int, offset: int, count: int) -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(22, "Invalid argument")
        return real(out, source, offset, min(count, 1000))

    monkeypatch.setattr(os, "sendfile", refusing)
    application, content = file_application(tmp_path, 2**20)
    assert body_of(exchange(application, get())) == content


def test_a_slow_reader_holds_up_nobody(tmp_path: Path) -> None:
    application, content = file_application(tmp_path, 32 * 2**20)

    async def main() -> None:
        async with (
            running(application) as port,
            connected(port) as (slow_reader, slow_writer),
        ):
            slow_writer.write(get())
            await slow_reader.readuntil(b"\r\n\r\n")
            async with asyncio.timeout(5):
                assert body_of(await talk(port, get(b"/?0-1000"))) == content[:1000]
            assert await slow_reader.read() == content

    asyncio.run(main())


def open_descriptors() -> int:
    folder = Path("/proc/self/fd")
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def test_clients_that_leave_cost_no_descriptors(tmp_path: Path) -> None:
    application, _ = file_application(tmp_path, 32 * 2**20)

    async def main() -> int:
        async with running(application) as port:
            before = open_descriptors()
            for _ in range(10):
                async with connected(port) as (reader, writer):
                    writer.write(get())
                    await reader.readexactly(1000)
            for _ in range(100):
                await asyncio.sleep(0.01)
                after = open_descriptors()
                if after <= before:
                    break
            return after - before

    assert asyncio.run(main()) <= 0


def test_the_application_hears_that_the_client_has_gone() -> None:
    heard = asyncio.Event()

    async def endless(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        try:
            while True:
                await send({"type": "http.response.body", "body": b"a" * 65536, "more_body": True})
        except ConnectionError:
            heard.set()
            raise

    async def main() -> None:
        async with running(endless) as port, connected(port) as (reader, writer):
            writer.write(get())
            await reader.readexactly(1000)
            writer.transport.abort()
            await asyncio.wait_for(heard.wait(), 5)

    asyncio.run(main())


# Answers that are given again


def test_equal_requests_are_answered_from_memory_while_that_is_right() -> None:
    asked: list[str] = []
    current = {"version": 1}

    async def remembering(scope: Any, receive: Any, send: Any) -> None:
        version = current["version"]
        asked.append(scope["path"])
        await whole(send, b"%d" % version, reusable=lambda: current["version"] == version)

    async def main() -> None:
        async with running(remembering) as port, connected(port) as (reader, writer):

            async def once(request: bytes) -> bytes:
                writer.write(request)
                await reader.readuntil(b"\r\n\r\n")
                return await reader.readexactly(1)

            plain, other = get(close=False), get(b"/", b"accept: x", close=False)
            assert [await once(plain) for _ in range(3)] == [b"1"] * 3
            assert len(asked) == 1
            assert await once(other) == b"1"
            assert len(asked) == 2
            current["version"] = 2
            assert [await once(plain) for _ in range(2)] == [b"2"] * 2
            assert len(asked) == 3

    asyncio.run(main())


def test_a_request_that_comes_with_others_is_not_remembered() -> None:
    asked: list[str] = []

    async def remembering(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        await whole(send, b"x", reusable=lambda: True)

    async def main() -> None:
        async with running(remembering) as port:
            both = get(b"/1", close=False) + get(b"/2", close=False)
            for expected in (2, 4):
                async with connected(port) as (reader, writer):
                    writer.write(both)
                    for _ in range(2):
                        await reader.readuntil(b"\r\n\r\n")
                        await reader.readexactly(1)
                    assert len(asked) == expected

    asyncio.run(main())


# Starting and stopping


def test_a_taken_port_is_said_so() -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            with pytest.raises(PortTaken, match=str(port)):
                await serve(hello, host="127.0.0.1", port=port, ready=print, stop=asyncio.Event())
            with pytest.raises(UsageError, match="cannot listen"):
                await serve(hello, host="192.0.2.1", port=0, ready=print, stop=asyncio.Event())

    asyncio.run(main())


def test_stopping_lets_responses_finish_and_refuses_new_clients() -> None:
    async def main() -> None:
        begun, finish = asyncio.Event(), asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            begun.set()
            await finish.wait()
            await whole(send, HELLO)

        manager = running(slow, grace=5)
        port = await manager.__aenter__()
        async with connected(port) as (idle_reader, _idle_writer):
            pending = asyncio.create_task(talk(port, get(close=False)))
            await begun.wait()
            stopping = asyncio.create_task(manager.__aexit__(None, None, None))
            assert await idle_reader.read() == b""
            with pytest.raises(OSError, match=r"refused|Connect call failed"):
                await asyncio.open_connection("127.0.0.1", port)
            finish.set()
            assert body_of(await pending) == HELLO
            await stopping

    asyncio.run(main())


def test_stopping_does_not_wait_for_ever() -> None:
    async def never(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        async with asyncio.timeout(5):
            async with (
                running(never, grace=0.1) as port,
                connected(port) as (_, writer),
            ):
                writer.write(get())
                await asyncio.sleep(0.05)
            writer.close()

    asyncio.run(main())
