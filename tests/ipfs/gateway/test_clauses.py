"""The table of `clauses.py` put to our gateway, and to a real Kubo to show that it is right."""

from __future__ import annotations

import functools
import http.client
import time
import urllib.parse
from typing import TYPE_CHECKING

import pytest
from tests.ipfs.gateway import fixtures as made
from tests.ipfs.gateway.asking import Reply, World
from tests.ipfs.gateway.checking import check
from tests.ipfs.gateway.clauses import EVERY

from dpip.ipfs.errors import InvalidRecord
from dpip.ipfs.gateway.server import Gateway
from dpip.ipfs.keys import parse_name

if TYPE_CHECKING:
    from tests.ipfs.gateway.clauses import Clause
    from tests.ipfs.kubo import Kubo


@pytest.fixture(scope="module")
def fixtures() -> made.Fixtures:
    return made.load()


@pytest.fixture(scope="module")
def ours(fixtures: made.Fixtures) -> World:
    """Our gateway over the fixtures; the records that nobody may accept are refused."""
    world = World(store=fixtures.store)
    for name, raw in fixtures.records.items():
        world.records.put(parse_name(name), raw, time.time_ns())
    for name, raw in fixtures.refused.items():
        with pytest.raises(InvalidRecord):
            world.records.put(parse_name(name), raw, time.time_ns())
    world.app = Gateway(world.store, world.records)
    return world


@pytest.mark.parametrize("clause", EVERY, ids=str)
def test_ours(fixtures: made.Fixtures, ours: World, clause: Clause) -> None:
    def ask(method: str, path: str, headers: dict[str, str]) -> Reply:
        return ours.send(path, headers, method)

    check(fixtures, clause, ask)


@pytest.fixture(scope="module")
def theirs(fixtures: made.Fixtures, kubo: Kubo) -> Kubo:
    for data in fixtures.cars:
        kubo.rpc("dag/import", body=data, pin_roots=False)
    for name, raw in fixtures.records.items():
        kubo.rpc("name/put", name, body=raw, allow_offline=True, force=True)
    return kubo


def over_http(url: str, method: str, path: str, headers: dict[str, str]) -> Reply:
    """Ask a server."""
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc, timeout=30)
    connection.request(method, path, headers=headers)
    response = connection.getresponse()
    found: dict[str, str] = {}
    for name, value in response.getheaders():
        text = value.encode("latin-1").decode()
        found[name.lower()] = ", ".join(filter(None, (found.get(name.lower()), text)))
    reply = Reply(response.status, found, response.read(), complete=True)
    connection.close()
    return reply


@pytest.mark.parametrize("clause", EVERY, ids=str)
def test_kubo(fixtures: made.Fixtures, theirs: Kubo, clause: Clause) -> None:
    check(fixtures, clause, functools.partial(over_http, theirs.gateway))
