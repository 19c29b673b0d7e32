"""The gateway's clauses put to a real node that was filled by the command and over HTTP.

Once the node runs while the content comes in, once it starts afterwards.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import pytest
from tests.app.nodes import dpip, node
from tests.app.test_content import RECORD, ask
from tests.ipfs.gateway import fixtures as made
from tests.ipfs.gateway.checking import check
from tests.ipfs.gateway.clauses import EVERY
from tests.ipfs.gateway.test_clauses import over_http

if TYPE_CHECKING:
    from pathlib import Path

    from tests.app.nodes import NodeProcess


@pytest.fixture(scope="module")
def fixtures() -> made.Fixtures:
    return made.load()


def fill_by_command(fixtures: made.Fixtures, home: Path, scratch: Path) -> None:
    """Import the CARs in one go, and put each record."""
    files = []
    for number, data in enumerate(fixtures.cars):
        files.append(scratch / f"{number}.car")
        files[-1].write_bytes(data)
    done = dpip("ipfs", "car", "import", *map(str, files), DPIP_HOME=str(home))
    assert done.returncode == 0, done.stderr
    assert str(fixtures.cid("hamt")) in done.stdout
    for name, raw in fixtures.records.items():
        path = scratch / "record"
        path.write_bytes(raw)
        done = dpip("ipfs", "name", "put", name, str(path), DPIP_HOME=str(home))
        assert done.returncode == 0, done.stderr
    for name, raw in fixtures.refused.items():
        path.write_bytes(raw)
        assert dpip("ipfs", "name", "put", name, str(path), DPIP_HOME=str(home)).returncode != 0


def put_records(fixtures: made.Fixtures, running: NodeProcess) -> None:
    """Hand the records to the node by delegated routing."""
    for name, raw in fixtures.records.items():
        path = f"/routing/v1/ipns/{name}"
        assert ask(running.url, path, "PUT", raw, Content_Type=RECORD)[0] == 200
    for name, raw in fixtures.refused.items():
        path = f"/routing/v1/ipns/{name}"
        assert ask(running.url, path, "PUT", raw, Content_Type=RECORD)[0] == 400


def check_all(fixtures: made.Fixtures, running: NodeProcess) -> None:
    failed = []
    for clause in EVERY:
        try:
            check(fixtures, clause, functools.partial(over_http, running.url))
        except AssertionError as error:
            failed.append(f"{clause}: {error}")
    assert not failed, "\n".join(failed)


def test_content_that_comes_to_a_running_node(fixtures: made.Fixtures, tmp_path: Path) -> None:
    home = tmp_path / "home"
    with node(home, "--offline") as running:
        path = f"/ipfs/{fixtures.cid('two')}/subdir/"
        assert ask(running.url, path)[0] == 404
        fill_by_command(fixtures, home, tmp_path)
        assert ask(running.url, path)[0] == 200
        put_records(fixtures, running)
        check_all(fixtures, running)


def test_content_that_was_there_before_the_node(fixtures: made.Fixtures, tmp_path: Path) -> None:
    home = tmp_path / "home"
    fill_by_command(fixtures, home, tmp_path)
    with node(home, "--offline") as running:
        check_all(fixtures, running)
