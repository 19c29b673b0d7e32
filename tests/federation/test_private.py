"""Private packages in a network: who may hear of them has them, nobody else hears a word."""

from __future__ import annotations

import contextlib
import json
import random
import sqlite3
import subprocess
import sys
import time
import urllib.error
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.app.nodes import NodeProcess, dpip, node
from tests.federation.processes import fetch, filenames, page, rid, until
from tests.peers import require
from tests.simple.fixture_index import Archive, FixtureIndex, wheel

from dpip.federation.guarded import Guarded
from dpip.federation.ledger import Ledger
from dpip.federation.told import NETWORK, with_told
from dpip.koi import KoiNetNode
from dpip.mirror.store import opened

A, B = KoiNetNode("a", "a" * 64), KoiNetNode("b", "b" * 64)


def test_a_guarded_name_is_remembered_with_its_guardians(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "koi" / "ledger.sqlite3")
    guarded = Guarded(ledger)
    assert guarded.add("tool", A)
    assert not guarded.add("tool", A)
    assert not guarded.add("tool", B)
    ledger.close()
    again = Guarded(Ledger(tmp_path / "koi" / "ledger.sqlite3"))
    assert again.names == {"tool"}
    assert again.by("tool", A)
    assert again.by("tool", B)
    assert not again.by("other", A)
    assert not again.by("tool", None)


def test_a_guarded_name_has_the_network_for_its_source_unless_it_is_routed() -> None:
    table = {"acme-*": "private", "pinned": "upstream"}
    routed = with_told(table, ["tool", "acme-tool", "pinned"])
    assert routed == {**table, "tool": NETWORK}


def upload(running: NodeProcess, name: str, version: str, made: Archive | None = None) -> None:
    token = dpip("private", "token", "add", "ci", DPIP_HOME=str(running.home)).stdout.strip()
    made = made or wheel(name.replace("-", "_"), version)
    path = running.home / made.filename
    path.write_bytes(made.content)
    command = [str(require("twine")), "upload", "--disable-progress-bar", "-u", "__token__"]
    subprocess.run(
        [*command, "-p", token, "--repository-url", f"{running.url}/legacy/", str(path)],
        check=True, capture_output=True, timeout=60,
    )  # fmt: skip
    path.unlink()


def spoken_of(home: Path, word: str) -> list[str]:
    """Return whatever a node's KOI database holds of a word."""
    found = []
    with sqlite3.connect(f"file:{home}/koi/koi.sqlite3?mode=ro", uri=True) as database:
        for table in ("bundle", "journal", "tombstone", "inbox", "outbox"):
            rows = database.execute(f"SELECT * FROM {table}")
            found += [f"{table}: {row}" for row in rows if any(word in str(cell) for cell in row)]
    database.close()
    return found


@contextlib.contextmanager
def pair(home: Path, *flags: str, **environ: Any) -> Iterator[tuple[NodeProcess, NodeProcess]]:
    """Run a node with private packages, and one that may hear of them and believes it."""
    with node(home / "b", *flags) as unknown:
        allowed = rid(unknown.url)
    with node(home / "a", *flags, **environ, DPIP_PRIVATE_NODES=allowed) as a:
        contact = ("--first-contact", a.url)
        with node(home / "b", *flags, *contact, DPIP_TRUSTED_NODES=rid(a.url)) as b:
            yield a, b


def test_the_allowed_node_installs_and_the_other_hears_nothing(tmp_path: Path) -> None:
    with FixtureIndex() as index:
        # Somebody has taken the name on the public index, with a higher version.
        index.add("acme-tool", wheel("acme_tool", "99"))
        index.add("demo", wheel("demo", "1.0"))
        flags = ("--index-url", index.url)
        with pair(tmp_path, *flags, DPIP_PAGE_MAX_AGE="0") as (a, b):
            trust: dict[str, Any] = {"DPIP_TRUSTED_NODES": rid(a.url)}
            with node(tmp_path / "c", *flags, "--first-contact", a.url, **trust) as c:
                upload(a, "acme-tool", "1.0")
                assert filenames(a.url, "demo")
                for one in (b, c):
                    until(lambda one=one: spoken_of(one.home, "pypi.project:demo"))  # type: ignore[misc]
                until(lambda: filenames(b.url, "acme-tool") == ["acme_tool-1.0-py3-none-any.whl"])
                assert spoken_of(c.home, "acme") == []
                done = pip(b, "acme-tool", tmp_path / "into")
                assert done.returncode == 0, done.stderr
                assert (tmp_path / "into" / "acme_tool-1.0.dist-info").is_dir()
                upload(a, "acme-tool", "1.1")
                until(lambda: len(filenames(b.url, "acme-tool")) == 2)
                a.kill()
                assert len(filenames(b.url, "acme-tool")) == 2
                assert pip(b, "acme-tool==1.0", tmp_path / "again").returncode == 0
                assert spoken_of(c.home, "acme") == []
                assert filenames(c.url, "acme-tool") == ["acme_tool-99-py3-none-any.whl"]


def test_a_yank_by_another_process_is_heard_by_the_allowed_node(tmp_path: Path) -> None:
    with FixtureIndex() as index, pair(tmp_path, "--index-url", index.url) as (a, b):
        upload(a, "acme-tool", "1.0")
        until(lambda: filenames(b.url, "acme-tool"))
        made = wheel("acme_tool", "1.0")
        done = dpip("private", "yank", made.filename, "--reason", "no", DPIP_HOME=str(a.home))
        assert done.returncode == 0, done.stderr

        def yanked() -> bool:
            found = page(b.url, "acme-tool")
            return found is not None and found["files"][0].get("yanked") == "no"

        until(yanked)
        assert fetch(f"{b.url}/files/{made.sha256}/{made.filename}") == made.content


def test_a_node_that_is_allowed_later_is_told_what_there_is(tmp_path: Path) -> None:
    with FixtureIndex() as index, node(tmp_path / "a", "--index-url", index.url) as a:
        index.add("demo", wheel("demo", "1.0"))
        upload(a, "acme-tool", "1.0")
        assert filenames(a.url, "demo")
        trusted: dict[str, Any] = {"DPIP_TRUSTED_NODES": rid(a.url)}
        with node(tmp_path / "b", "--offline", "--first-contact", a.url, **trusted) as b:
            until(lambda: filenames(b.url, "demo"))
            assert filenames(b.url, "acme-tool") == []
            port, allowed = int(a.url.rpartition(":")[2]), rid(b.url)
            a.stop()
        again = node(tmp_path / "a", "--offline", port=port, DPIP_PRIVATE_NODES=allowed)
        with again, node(tmp_path / "b", "--offline", **trusted) as b:
            until(lambda: filenames(b.url, "acme-tool"))


def test_the_bytes_go_to_allowed_nodes_whoever_else_knows_the_hash(tmp_path: Path) -> None:
    """Whole, and by recipe: the allowed node signs what it asks; for others there is no file."""
    text = {f"acme/part{n}.py": random.Random(n).randbytes(40_000).hex().encode() for n in range(9)}
    more = {**text, "acme/part3.py": random.Random(99).randbytes(40_000).hex().encode()}
    releases = [wheel("acme_tool", f"1.{n}", files=files) for n, files in enumerate((text, more))]
    with FixtureIndex() as index:
        flags = ("--index-url", index.url)
        with pair(tmp_path, *flags, DPIP_PRIVATE_READERS="10.9.9.0/24") as (a, b):
            for made in releases:
                address = f"files/{made.sha256}/{made.filename}"
                upload(a, "acme-tool", made.version, made)
                take_apart(a.home, made)
                until(lambda: spoken_of(b.home, made.filename))  # noqa: B023
                until(lambda: made.filename in filenames(b.url, "acme-tool"))  # noqa: B023
                for header in ({}, {"dpip-pass": f"{'0' * 64} {int(time.time())} AAAA"}):
                    assert refused(f"{a.url}/{address}", **header) == 404
                assert fetch(f"{b.url}/{address}") == made.content
                take_apart(b.home, made)
            health = json.loads(fetch(f"{b.url}/healthz"))
    assert health["files_from_peers"] == 2
    assert health["bytes_from_recipes"] == len(releases[1].content)
    assert health["bytes_moved_for_them"] < 1.4 * len(releases[0].content)


def refused(url: str, **headers: str) -> int:
    try:
        fetch(url, **headers)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    return 200


def take_apart(home: Path, archive: Archive) -> None:
    with opened(home) as archives:
        place = archives.place(archive.sha256, archive.filename)
        archives.add(place, archive.sha256, archive.filename)


def pip(running: NodeProcess, what: str, into: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pip", "install", "--no-cache-dir", "--target", str(into)]
    return subprocess.run(
        [*command, "--index-url", running.simple, what],
        capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
