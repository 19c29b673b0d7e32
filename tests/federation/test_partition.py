"""A network of real processes that is cut in two, at the level of TCP, and healed.

Each half has a node with an upstream of its own, as each side of a cut cable has. Both upstreams
show the same packages, and each half learns only of what its own node is asked for.
"""

from __future__ import annotations

import os
import sys
import urllib.error
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.app.nodes import NodeProcess, node
from tests.federation.processes import fetch, filenames, rid, until
from tests.federation.relays import Relay, Relays, relays
from tests.simple.fixture_index import Archive, FixtureIndex, wheel

from dpip.federation.inspection import Inspection

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc says whose a socket is")
SIZE = 100_000


@dataclass
class Member:
    """A node, and the relay by which all others reach it."""

    relay: Relay
    flags: tuple[str, ...]
    environ: dict[str, str]
    process: NodeProcess

    @property
    def url(self) -> str:
        return self.process.url


@dataclass
class Halves:
    """A network of which every other node is of the second half. The first of each has an index."""

    home: Path
    relays: Relays
    indexes: tuple[FixtureIndex, FixtureIndex]
    stack: ExitStack
    members: list[Member] = field(default_factory=list)
    trusted: list[str] = field(default_factory=list)

    @property
    def one(self) -> list[Member]:
        return self.members[::2]

    @property
    def other(self) -> list[Member]:
        return self.members[1::2]

    @property
    def offline(self) -> list[Member]:
        """The nodes that have no index: what they know they have from others."""
        return self.members[2:]

    @property
    def packages(self) -> dict[str, list[Archive]]:
        return self.indexes[0].projects

    def release(self, *archives: Archive) -> None:
        for archive in archives:
            self.indexes[0].add(archive.filename.split("-")[0], archive)

    def ask(self, half: list[Member], *names: str) -> None:
        """Have the node of a half that has an index look there."""
        for name in names:
            filenames(half[0].url, name)

    def upstream(self, status: int | None) -> None:
        """Have both indexes answer with a status; None: as they should."""
        for index in self.indexes:
            index.switches.status = status

    def join(self, *flags: str) -> Member:
        """Start one more node."""
        name = f"node-{len(self.members)}"
        relay = self.relays.open(name)
        contacts = ("--first-contact", self.members[0].relay.url) if self.members else ()
        environ = {
            "DPIP_PUBLIC_URL": relay.url,
            "DPIP_TRUSTED_NODES": ",".join(self.trusted),
            "DPIP_PAGE_MAX_AGE": "0",
        }
        words = (*contacts, *flags, "--name", name)
        return Member(relay, words, environ, self._started(relay, words, environ))

    def again(self, member: Member) -> None:
        """Kill a node and start it again."""
        member.process.kill()
        member.process = self._started(member.relay, member.flags, member.environ)

    def _started(self, relay: Relay, flags: Sequence[str], environ: dict[str, str]) -> NodeProcess:
        running = self.stack.enter_context(
            node(self.home / relay.name, *flags, port=relay.port, **environ)
        )
        relay.port, relay.pid = int(running.url.rpartition(":")[2]), running.process.pid
        return running

    def part(self) -> None:
        """Cut the halves off from each other."""
        self.relays.part(*({m.relay.name for m in half} for half in (self.one, self.other)))


@contextmanager
def halves(home: Path, count: int) -> Iterator[Halves]:
    """Run a network of `count` nodes that knows of no project yet."""
    with ExitStack() as stack:
        cable = stack.enter_context(relays())
        index = stack.enter_context(FixtureIndex())
        same = stack.enter_context(FixtureIndex(projects=index.projects))
        found = Halves(home, cable, (index, same), stack)
        for number in range(count):
            source = found.indexes[number] if number < 2 else None
            member = found.join(*(("--index-url", source.url) if source else ("--offline",)))
            found.members.append(member)
            known = rid(member.url)
            if source:
                found.trusted.append(known)
        for member in found.members:
            until(lambda member=member: hears_all(member, count), 120)  # type: ignore[misc]
        yield found


def hears_all(member: Member, count: int) -> bool:
    """Say whether all others tell a node of what they hear: who has just come knows only some."""
    peers = Inspection(member.process.home / "koi").peers()
    return [peer["tells_us"] for peer in peers] == ["approved"] * (count - 1)


def see(members: Sequence[Member], name: str, *versions: str) -> None:
    """Wait until all of them show these versions of a project, and no others."""
    wanted = [f"{name}-{version}-py3-none-any.whl" for version in versions]

    def seen(member: Member) -> bool:
        return sorted(filenames(member.url, name)) == wanted

    for member in members:
        until(lambda member=member: seen(member), 100)  # type: ignore[misc]


def get(member: Member, archive: Archive) -> bytes | None:
    """Return a file as a node gives it; None where it has none."""
    try:
        return fetch(f"{member.url}/files/{archive.sha256}/{archive.filename}")
    except urllib.error.HTTPError as error:
        error.close()
        return None


def made(name: str, version: str = "1.0") -> Archive:
    return wheel(name, version, files={"data.bin": os.urandom(SIZE)})


@pytest.mark.parametrize(
    "count",
    [
        pytest.param(4, marks=pytest.mark.timeout(300)),
        pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    ],
)
def test_two_halves_of_a_network_live_on_and_find_together(tmp_path: Path, count: int) -> None:
    kept, north, south = made("kept"), made("north"), made("south")
    both = [made("both", version) for version in ("1.0", "2.0", "3.0")]
    with halves(tmp_path, count) as net, FixtureIndex() as forged:
        net.release(kept, both[0], made("left"), made("gone"))
        net.ask(net.one, "kept", "both", "left", "gone")
        for name in ("kept", "both", "left", "gone"):
            see(net.members, name, "1.0")
        assert get(net.one[0], kept) == kept.content

        net.part()
        assert net.relays.cut > 0, "connections that were kept alive"
        net.release(north, both[1])
        del net.packages["left"]
        net.ask(net.one, "north", "both", "left")
        net.release(south, both[2])
        del net.packages["gone"]
        net.ask(net.other, "south", "both", "gone")
        _each_half_lives_on(net, north, south)
        assert get(net.other[-1], kept) is None, "only the other half has it"
        assert net.relays.refused > 0
        for half in (net.one, net.other):
            net.again(half[-1])

        net.relays.heal()
        forged.add("kept", made("kept"), made("kept", "6.6"))
        forged.add("gone", made("gone"))
        liar = net.join("--index-url", forged.url)
        net.ask([liar], "kept", "gone")
        for name in ("north", "south", "kept"):
            see(net.offline, name, "1.0")
        for name in ("left", "gone"):
            see(net.offline, name)
        see(net.offline, "both", "1.0", "2.0", "3.0")
        for archive in (north, south, kept):
            for member in net.offline:
                assert get(member, archive) == archive.content
        net.upstream(None)
        for name in ("left", "gone"):
            see(net.members, name)
        see(net.members, "both", "1.0", "2.0", "3.0")
        see(net.members, "kept", "1.0")


def _each_half_lives_on(net: Halves, north: Archive, south: Archive) -> None:
    """Each half hears its own news, deletions included, and has its own bytes; not the other's."""
    for half, archive in (net.one, north), (net.other, south):
        assert get(half[0], archive) == archive.content
    net.upstream(503)
    see(net.one, "north", "1.0")
    see(net.one, "south")
    see(net.one, "both", "1.0", "2.0")
    see(net.one, "left")
    see(net.one, "gone", "1.0")
    see(net.other, "north")
    see(net.other, "south", "1.0")
    see(net.other, "both", "1.0", "2.0", "3.0")
    see(net.other, "left", "1.0")
    see(net.other, "gone")
    for half, archive in (net.one, north), (net.other, south):
        for member in half:
            assert get(member, archive) == archive.content
