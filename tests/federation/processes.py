"""Nodes of one network as real processes, and questions to them."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


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
