"""A name is looked up once, and what it meant then is what is called."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from dpip.koi.errors import UnreachablePeer
from dpip.koi.network.address import AddressPolicy
from dpip.koi.network.dial import Dial, dialer
from dpip.koi.network.transport import HttpTransport

HERE = AddressPolicy.for_node("https://node.example", allowed=("127.0.0.1/32",))
METADATA = "169.254.169.254"


class Names:
    """A table of names whose answers change: each look-up gives the next, the last for good."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def next(self, host: str) -> list[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def look_up(self, host: str, port: int) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (at, port)) for at in self.next(host)]

    async def look_up_async(self, host: str, port: int) -> list[str]:
        return self.next(host)


@contextmanager
def listening(host: str = "127.0.0.1", port: int = 0) -> Iterator[socket.socket]:
    with socket.create_server((host, port)) as server:
        server.settimeout(0.2)
        yield server


def greeted(dial: Dial, port: int) -> str:
    with dial("peer.example", port, 2.0) as found:
        return str(found.getpeername()[0])


def test_the_address_that_was_checked_is_the_one_that_is_called() -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    with listening() as right:
        port = right.getsockname()[1]
        with listening("127.0.0.2", port) as wrong:
            dial = dialer(HERE, names.look_up)
            assert greeted(dial, port) == "127.0.0.1"
            assert names.asked == ["peer.example"]
            with pytest.raises(PermissionError, match="own network"):
                greeted(dial, port)
            with pytest.raises(TimeoutError):
                wrong.accept()


@pytest.mark.parametrize("answer", [[METADATA], ["127.0.0.1", METADATA], ["::1"], ["nonsense"]])
def test_one_address_that_is_not_allowed_is_enough(answer: list[str]) -> None:
    with listening() as server:
        with pytest.raises(PermissionError):
            greeted(dialer(HERE, Names(answer).look_up), server.getsockname()[1])
        with pytest.raises(TimeoutError):
            server.accept()


def test_the_first_address_that_answers_is_taken() -> None:
    both = AddressPolicy.for_node("https://node.example", allowed=("127.0.0.0/8",))
    with listening() as server:
        port = server.getsockname()[1]
        names = Names(["127.0.0.3", "127.0.0.1"])
        assert greeted(dialer(both, names.look_up), port) == "127.0.0.1"
        with pytest.raises(ConnectionRefusedError):
            greeted(dialer(both, Names(["127.0.0.3"]).look_up), port)


def test_a_name_without_addresses_is_an_error_of_the_network() -> None:
    with pytest.raises(OSError, match=r"peer\.example has no address"):
        greeted(dialer(HERE, Names([]).look_up), 1)


def test_the_http_client_of_a_node_does_not_look_a_name_up_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(host: object, *_: object, **__: object) -> None:
        raise AssertionError(f"{host!r} was looked up again")

    async def call(port: int) -> None:
        names = Names(["127.0.0.1"], ["127.0.0.2"])
        transport = HttpTransport(HERE, names.look_up_async)
        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", forbidden)
        try:
            answer = await transport.send(f"http://peer.example:{port}/koi-net", b"{}", {}, 5)
            assert answer.body.splitlines()[0] == b"POST /koi-net HTTP/1.1"
            assert f"Host: peer.example:{port}".encode() in answer.body
            await transport.close()
            with pytest.raises(UnreachablePeer, match="own network"):
                await transport.send(f"http://peer.example:{port}/koi-net", b"{}", {}, 5)
            assert names.asked == ["peer.example"] * 2
        finally:
            await transport.close()

    async def main() -> None:
        server = await asyncio.start_server(_echo, "127.0.0.1", 0)
        async with server:
            await call(server.sockets[0].getsockname()[1])

    monkeypatch.setattr(socket, "getaddrinfo", forbidden)
    asyncio.run(main())


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    await reader.readexactly(2)
    length = f"HTTP/1.1 200 OK\r\nContent-Length: {len(head)}\r\nConnection: close\r\n\r\n"
    writer.write(length.encode() + head)
    await writer.drain()
    writer.close()
