"""TCP relays in front of node processes, which can cut a network into sides.

Each node is reached by others through a relay only, and says so (`public_url`). A connection
does not tell who made it; the kernel does: a socket of /proc/net/tcp belongs to the process that
has it open (/proc/PID/fd). So while the network is cut, whoever connects across is refused, and
connections that were kept alive are broken off.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Collection, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
Address = tuple[str, int]
PIECE = 2**16


@dataclass
class Relay:
    """One node's address for others. `port` is where it listens, `pid` the process behind."""

    name: str
    address: Address
    port: int = 0
    pid: int = 0

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"


@dataclass(eq=False)
class Link:
    """A connection of some process to a relay's node."""

    relay: Relay
    caller: asyncio.StreamWriter
    node: asyncio.StreamWriter | None = None

    def cut(self) -> None:
        for end in (self.caller, self.node):
            if end is not None:
                end.transport.abort()


@dataclass
class Relays:
    """All relays of a network, in an event loop of their own. Call from any other thread."""

    loop: asyncio.AbstractEventLoop
    _relays: dict[str, Relay] = field(default_factory=dict)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _links: set[Link] = field(default_factory=set)
    _sides: dict[str, int] | None = None
    refused: int = 0
    """Connections that were refused because they went from one side to another."""
    cut: int = 0
    """Connections that were there when the network was cut, and were broken off."""

    def open(self, name: str) -> Relay:
        """Return a relay that leads nowhere yet."""

        async def opened() -> Relay:
            server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
            self._servers.append(server)
            relay = Relay(name, server.sockets[0].getsockname())
            self._relays[name] = relay
            return relay

        return self._run(opened())

    def part(self, *sides: Collection[str]) -> None:
        """Cut the nodes of each side off from those of all others."""

        async def parted() -> None:
            self._sides = {name: number for number, side in enumerate(sides) for name in side}
            for link in self._crossing(self._links):
                self.cut += 1
                link.cut()

        self._run(parted())

    def heal(self) -> None:
        """Let everybody reach everybody again."""

        async def healed() -> None:
            self._sides = None

        self._run(healed())

    def close(self) -> None:
        async def closed() -> None:
            for server in self._servers:
                server.close()
            for link in list(self._links):
                link.cut()
            for server in self._servers:
                await server.wait_closed()

        self._run(closed())

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(30)

    def _crossing(self, links: Collection[Link]) -> list[Link]:
        """Return the connections from one side to another, and those whose owner is unknown."""
        if self._sides is None or not links:
            return []
        table = Path("/proc/net/tcp").read_text("ascii")
        made = {
            link: socket_inode(table, link.caller.get_extra_info("peername"), link.relay.address)
            for link in links
        }
        owners = self._owners({inode for inode in made.values() if inode is not None})
        sides = {inode: self._sides.get(name) for inode, name in owners.items()}
        return [
            link
            for link, inode in made.items()
            if inode not in sides or sides[inode] != self._sides.get(link.relay.name)
        ]

    def _owners(self, inodes: set[str]) -> dict[str, str]:
        """Return which node has which of these sockets open."""
        found: dict[str, str] = {}
        for relay in self._relays.values():
            if relay.pid and len(found) < len(inodes):
                found.update((inode, relay.name) for inode in sockets(relay.pid) if inode in inodes)
        return found

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("sockname")
        relay = next(one for one in self._relays.values() if one.address == address)
        link = Link(relay, writer)
        self._links.add(link)
        try:
            if self._crossing([link]):
                self.refused += 1
                return
            if relay.port:
                await self._join(link, reader)
        except OSError:
            pass
        finally:
            self._links.discard(link)
            link.cut()

    async def _join(self, link: Link, reader: asyncio.StreamReader) -> None:
        back, link.node = await asyncio.open_connection("127.0.0.1", link.relay.port)
        async with asyncio.TaskGroup() as both:
            both.create_task(_pour(reader, link.node))
            both.create_task(_pour(back, link.caller))


async def _pour(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await source.read(PIECE):
            target.write(data)
            await target.drain()
        target.write_eof()


def socket_inode(table: str, local: Address, remote: Address) -> str | None:
    """Return the inode of the socket from one address to another, in the kernel's table."""
    at = table.find(f" {_spelled(local)} {_spelled(remote)} ")
    return None if at < 0 else table[at : table.find("\n", at)].split()[8]


def sockets(pid: int) -> Iterator[str]:
    """Yield the inodes of the sockets that a process has open, the newest first."""
    folder = f"/proc/{pid}/fd"
    with suppress(OSError):
        for number in sorted(map(int, os.listdir(folder)), reverse=True):  # noqa: PTH208 - ten times quicker
            with suppress(OSError):
                kind, _, inode = os.readlink(f"{folder}/{number}").partition(":[")  # noqa: PTH115
                if kind == "socket":
                    yield inode.rstrip("]")


def _spelled(address: Address) -> str:
    """Return an address as /proc/net/tcp spells it: the host's bytes from the last to the first."""
    host = "".join(f"{int(part):02X}" for part in reversed(address[0].split(".")))
    return f"{host}:{address[1]:04X}"


@contextmanager
def relays() -> Iterator[Relays]:
    """Run relays until the end."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    found = Relays(loop)
    try:
        yield found
    finally:
        found.close()
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()
