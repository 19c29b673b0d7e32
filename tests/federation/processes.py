"""Nodes of one network as real processes, and questions to them."""

from __future__ import annotations

import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tests.app.nodes import NodeProcess, node
from tests.simple.fixture_index import FixtureIndex


def fetch(url: str, **headers: str) -> bytes:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as answer:
        return bytes(answer.read())


def page(node_url: str, name: str) -> dict[str, Any] | None:
    """Return a project page as a node serves it, or None where it has none."""
    accept = "application/vnd.pypi.simple.v1+json"
    try:
        found: dict[str, Any] = json.loads(fetch(f"{node_url}/simple/{name}/", Accept=accept))
    except urllib.error.HTTPError as error:
        with error:
            error.read()
        return None
    return found


def filenames(node_url: str, name: str) -> list[str]:
    found = page(node_url, name)
    return [] if found is None else [file["filename"] for file in found["files"]]


def rid(node_url: str) -> str:
    """Return a node's RID, once it has one."""

    def ask() -> str:
        try:
            return str(json.loads(fetch(f"{node_url}/koi-net/node"))["manifest"]["rid"])
        except urllib.error.HTTPError as error:
            error.close()
            return ""

    return until(ask)


T = TypeVar("T")


def until(look: Callable[[], T], seconds: float = 30.0) -> T:
    """Look until there is something, or time is up; return what there is."""
    deadline = time.monotonic() + seconds
    while not (found := look()) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert found, "it did not come to be"
    return found


@dataclass
class Network:
    """Nodes that know of each other through the first, which alone has an upstream."""

    home: Path
    index: FixtureIndex
    nodes: list[NodeProcess]
    stack: ExitStack
    trusted: str = ""

    def join(self, name: str, *flags: str, trusted: str | None = None) -> NodeProcess:
        """Start a node, or one that was there before, and return it."""
        contact = ("--first-contact", self.nodes[0].url) if self.nodes else ()
        believed = self.trusted if trusted is None else trusted
        return self.stack.enter_context(
            node(self.home / name, *contact, *flags, "--name", name, DPIP_TRUSTED_NODES=believed)
        )

    def again(self, number: int) -> None:
        """Start a node that was killed again, at the address that it had."""
        was = self.nodes[number]
        port = int(was.url.rpartition(":")[2])
        flags = ("--offline",) if number else ("--index-url", self.index.url)
        contact = ("--first-contact", self.nodes[0].url) if number else ()
        environ: dict[str, Any] = {
            "DPIP_TRUSTED_NODES": self.trusted if number else "",
            "DPIP_PAGE_MAX_AGE": "300" if number else "0",
        }
        self.nodes[number] = self.stack.enter_context(
            node(was.home, *contact, *flags, "--name", was.home.name, port=port, **environ)
        )

    def spread(self, seen: Callable[[str], bool], seconds: float = 60.0) -> float:
        """Return after how many seconds all nodes show something."""
        begun = time.monotonic()
        for one in self.nodes:
            until(lambda one=one: seen(one.url), seconds)  # type: ignore[misc]
        return time.monotonic() - begun


@contextmanager
def network(home: Path, count: int) -> Iterator[Network]:
    """Run a network of `count` nodes: the first follows an index, the others trust it."""
    with ExitStack() as stack:
        index = stack.enter_context(FixtureIndex())
        found = Network(home, index, [], stack)
        os.environ["DPIP_PAGE_MAX_AGE"] = "0"
        try:
            found.nodes.append(found.join("node-0", "--index-url", index.url))
        finally:
            del os.environ["DPIP_PAGE_MAX_AGE"]
        found.trusted = rid(found.nodes[0].url)
        for number in range(1, count):
            found.nodes.append(found.join(f"node-{number}", "--offline"))
        for one in found.nodes:
            rid(one.url)
        yield found
