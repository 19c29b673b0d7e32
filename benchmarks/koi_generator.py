"""Sends requests that were made beforehand, from a process of its own, and says how long it took.

`python -m benchmarks.koi_generator HOST PORT CONNECTIONS` reads length-prefixed requests from
standard input until it ends, opens the connections, and prints one line of JSON: when the first
byte was sent and when the last answer had arrived (seconds, monotonic clock, the same for all
processes of a machine), and the processor time that it used. Each connection has one request
under way, as a KOI node has; every answer must be a 200 whose body is `null`.
"""

from __future__ import annotations

import json
import select
import socket
import struct
import sys
import time

_LENGTH = struct.Struct(">I")


def written(requests: list[bytes]) -> bytes:
    """Return requests as this program reads them."""
    return b"".join(_LENGTH.pack(len(request)) + request for request in requests)


def read(data: bytes) -> list[bytes]:
    """Return the requests that `written` wrote."""
    found, at = [], 0
    while at < len(data):
        (length,) = _LENGTH.unpack_from(data, at)
        at += _LENGTH.size + length
        found.append(data[at - length : at])
    return found


def send_all(
    address: tuple[str, int], requests: list[bytes], connections: int
) -> tuple[float, float]:
    """Send everything; return when the first was sent and when the last was answered."""
    sockets = [_connected(address) for _ in range(connections)]
    if connections == 1:
        return _one_by_one(sockets[0], requests)
    by_number = {one.fileno(): one for one in sockets}
    poll = select.epoll()
    waiting = iter(requests)
    started = time.monotonic()
    under_way = 0
    for one, request in zip(sockets, waiting, strict=False):
        poll.register(one, select.EPOLLIN)
        one.sendall(request)
        under_way += 1
    while under_way:
        for number, _ in poll.poll():
            one = by_number[number]
            _answered(one)
            request = next(waiting, b"")
            if request:
                one.sendall(request)
            else:
                under_way -= 1
    return started, time.monotonic()


def _one_by_one(one: socket.socket, requests: list[bytes]) -> tuple[float, float]:
    started = time.monotonic()
    for request in requests:
        one.sendall(request)
        _answered(one)
    return started, time.monotonic()


def _connected(address: tuple[str, int]) -> socket.socket:
    one = socket.create_connection(address, 120)
    one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return one


def _answered(one: socket.socket) -> None:
    data = one.recv(65536)
    while not data.endswith(b"\r\n\r\nnull"):
        more = one.recv(65536)
        if not more:
            raise ConnectionError(f"the node hung up: {data[:500]!r}")
        data += more
    if not data.startswith(b"HTTP/1.1 200 "):
        raise ConnectionError(f"not accepted: {data[:500]!r}")


def main() -> None:
    """Do what the module says."""
    host, port, connections = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    requests = read(sys.stdin.buffer.read())
    before = time.process_time()
    started, ended = send_all((host, port), requests, connections)
    spent = time.process_time() - before
    print(json.dumps({"started": started, "ended": ended, "processor": spent}))


if __name__ == "__main__":
    main()
