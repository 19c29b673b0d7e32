"""Every public name, member and parameter of the plain releases is ours too, or said not to be."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from tests import peers
from tests.koi.interop.child import PLAIN

SCRIPT = Path(__file__).with_name("surface.py")

WITHOUT = {
    # Queues are rows of a database here, read by `flush_poll_queue` and the like.
    "network.interface.EventQueueModel",
    "network.interface.EventQueue",
    "NetworkInterface.poll_event_queue",
    "NetworkInterface.webhook_event_queue",
    # How the original reads its identity file, drives its worker and posts a body.
    "identity.NodeIdentityModel",
    "ProcessorInterface.kobj_processor_worker",
    "RequestHandler.make_request",
    "Event.Config",
}
CONFIGURED = {"NodeInterface", "NodeIdentity", "NetworkInterface", "ProcessorInterface"}


@lru_cache(maxsize=4)
def surface(release: str) -> dict[str, Any]:
    python, package = sys.executable, "dpip.koi"
    if release in PLAIN:
        python = str(peers.require("koi-net", f"koi-net-{release}/bin/python"))
        package = "koi_net"
    done = subprocess.run(
        [python, str(SCRIPT), package],
        capture_output=True,
        check=True,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def missing(theirs: dict[str, Any], ours: dict[str, Any]) -> set[str]:
    """Return what theirs has and ours has not, as dotted names."""
    found = set()
    for path, names in theirs.items():
        if path not in ours:
            found.add(path)
            continue
        for name, shown in names.items():
            mine = ours[path].get(name)
            if mine is None or mine["kind"] != shown["kind"]:
                found.add(f"{path}.{name}".lstrip("."))
            else:
                found |= {f"{name}{part}" for part in lacking(shown, mine)}
    return found


def lacking(theirs: dict[str, Any], ours: dict[str, Any]) -> set[str]:
    """Return the members and parameters that ours lacks, of one class or function."""
    found = set()
    members: Any = theirs.get("members", {})
    for member in members:
        if member not in ours["members"]:
            found.add(f".{member}")
        elif isinstance(members, dict) and members[member] is not None:
            mine = ours["members"][member]
            found |= {f".{member}({p})" for p in differing(members[member], mine)}
    return found | {f"({p})" for p in differing(theirs.get("parameters"), ours.get("parameters"))}


def differing(theirs: list[Any] | None, ours: list[Any] | None) -> list[str]:
    """Return the parameters that cannot be given to ours as they are given to theirs.

    By keyword all must be there; by position they must be at the same place. Ours may have
    more, and may do without some that theirs requires, but may not require more.
    """
    if theirs is None or ours is None:
        return [] if theirs is None else [name for name, _, _ in theirs]
    mine = {name: default for name, default, _ in ours}
    names = [name for name, _, keyword in theirs if not keyword]
    placed = [name for name, _, keyword in ours if not keyword][: len(names)]
    wrong = [name for name, _, _ in theirs if name not in mine]
    wrong += [name for name, place in zip(names, placed, strict=False) if name != place]
    wrong += [name for name, default, _ in theirs if default is not None and mine.get(name) is None]
    given = {name for name, _, _ in theirs}
    return wrong + [name for name, default, _ in ours if name not in given and default is None]


@pytest.mark.parametrize("release", PLAIN)
def test_nothing_public_of_a_release_is_missing(release: str) -> None:
    lost = missing(surface(release), surface("ours")) - WITHOUT
    if release == "1.0.0":
        lost = {name for name in lost if not configured(name)}
    assert not lost


def configured(name: str) -> bool:
    """Say whether a name is about the configuration object that 1.0.0 makes its parts from."""
    made, _, parameter = name.partition("(")
    return "config" in name.lower() or (bool(parameter) and made in CONFIGURED)


def test_constructors_take_what_the_document_shows() -> None:
    """The document's class stubs are those of 1.0.0b12: nothing was set aside there."""
    ours, theirs = surface("ours"), surface(PLAIN[0])
    for path, name in [
        ("core", "NodeInterface"),
        ("identity", "NodeIdentity"),
        ("network.interface", "NetworkInterface"),
        ("network.graph", "NetworkGraph"),
        ("network.request_handler", "RequestHandler"),
        ("network.response_handler", "ResponseHandler"),
        ("processor.interface", "ProcessorInterface"),
    ]:
        shown = theirs[path][name]["parameters"]
        mine = ours[path][name]["parameters"][: len(shown)]
        assert [one[0] for one in mine] == [one[0] for one in shown], name
        assert not any(keyword for _, _, keyword in mine), name
