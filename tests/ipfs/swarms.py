"""Two Kubo daemons that know each other and nobody else: a private swarm, connected by hand."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from tests import peers
from tests.ipfs import kubo as scratch

from dpip.ipfs.kubo.rpc import Kubo

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

QUIET = {
    "DisableNatPortMap": True,
    "RelayClient": {"Enabled": False},
    "RelayService": {"Enabled": False},
    "EnableHolePunching": False,
    # A private swarm speaks TCP alone.
    "Transports": {
        "Network": dict.fromkeys(
            ("QUIC", "WebTransport", "WebRTCDirect", "Websocket", "Relay"), False
        )
    },
}


@contextlib.contextmanager
def pair(
    folder: Path,
    *,
    pubsub: bool,
    routing: str = "none",
    through: Callable[[str], str] = lambda address: address,
) -> Iterator[tuple[scratch.Kubo, scratch.Kubo]]:
    """Run two daemons; the second connects to the first at `through` of its address."""
    secret = f"/key/swarm/psk/1.0.0/\n/base16/\n{os.urandom(32).hex()}\n"
    daemons = []
    for name in ("first", "second"):
        daemon = scratch.create(
            peers.require("kubo"),
            folder / name,
            Routing={"Type": routing},
            Pubsub={"Enabled": pubsub},
            Ipns={"UsePubsub": pubsub, "DelegatedPublishers": []},
            Swarm=QUIET,
        )
        (folder / name / "swarm.key").write_text(secret)
        daemons.append(daemon)
    with contextlib.ExitStack() as running:
        for daemon in daemons:
            daemon.start()
            running.callback(daemon.stop)
        first, second = daemons
        with Kubo(first.api) as one, Kubo(second.api) as other:
            addresses = one.identity()["Addresses"]
            other.swarm_connect(through(next(text for text in addresses if "/tcp/" in text)))
        yield first, second
