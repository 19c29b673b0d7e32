"""The life of a network of real processes, told in one go: joining is what takes time."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from random import Random

import pytest
from tests.federation.processes import Network, fetch, filenames, network, page, until
from tests.simple.fixture_index import FixtureIndex, wheel


@pytest.mark.parametrize(
    "count", [3, pytest.param(20, marks=[pytest.mark.slow, pytest.mark.timeout(600)])]
)
def test_a_network(tmp_path: Path, count: int) -> None:
    first = wheel("demo", "1.0", size=100_000)
    with network(tmp_path, count) as net:
        net.index.add("demo", first)
        _news_reaches_all(net)
        _a_file_comes_from_peers(net, first.content)
        _a_liar_is_not_believed(net)
        _a_stopped_and_a_killed_node_catch_up(net)
        _a_quarantine_hides_everywhere(net)


def _news_reaches_all(net: Network) -> None:
    assert len(filenames(net.nodes[0].url, "demo")) == 1
    net.spread(lambda url: len(filenames(url, "demo")) == 1)


def _a_file_comes_from_peers(net: Network, content: bytes) -> None:
    found = page(net.nodes[0].url, "demo")
    assert found is not None
    path = found["files"][0]["url"].removeprefix("../../")
    assert fetch(f"{net.nodes[0].url}/{path}") == content
    net.index.switches.status = 503
    for one in net.nodes[1:]:
        assert fetch(f"{one.url}/{path}") == content
    net.index.switches.status = None


def _a_liar_is_not_believed(net: Network) -> None:
    with FixtureIndex() as other:
        other.add("demo", wheel("demo", "1.0", size=50), wheel("demo", "9.9"))
        other.add("only-liars-know", wheel("only-liars-know", "1.0"))
        liar = net.join("liar", "--index-url", other.url, trusted="")
        assert len(filenames(liar.url, "demo")) == 2
        assert len(filenames(liar.url, "only-liars-know")) == 1
        net.index.add("honest", wheel("honest", "1.0"))
        assert filenames(net.nodes[0].url, "honest")
        net.spread(lambda url: bool(filenames(url, "honest")))
        for one in net.nodes:
            assert filenames(one.url, "demo") == ["demo-1.0-py3-none-any.whl"]
            assert filenames(one.url, "only-liars-know") == []
        liar.kill()


def _a_stopped_and_a_killed_node_catch_up(net: Network) -> None:
    stopped, killed = net.nodes[1], net.nodes[-1]
    stopped.process.send_signal(signal.SIGSTOP)
    net.index.add("demo", wheel("demo", "2.0"))
    assert len(filenames(net.nodes[0].url, "demo")) == 2
    killed.kill()
    net.index.add("demo", wheel("demo", "3.0"))
    assert len(filenames(net.nodes[0].url, "demo")) == 3
    stopped.process.send_signal(signal.SIGCONT)
    net.nodes[-1] = net.join(killed.home.name, "--offline")
    net.spread(lambda url: len(filenames(url, "demo")) == 3)


def _a_quarantine_hides_everywhere(net: Network) -> None:
    net.index.status["demo"] = ("quarantined", "it stole keys")
    assert filenames(net.nodes[0].url, "demo") == []
    net.spread(lambda url: filenames(url, "demo") == [])
    for one in net.nodes:
        found = page(one.url, "demo")
        assert found is not None
        assert found["project-status"]["status"] == "quarantined"
    del net.index.projects["honest"]
    assert page(net.nodes[0].url, "honest") is None
    until(lambda: page(net.nodes[-1].url, "honest") is None)


@pytest.mark.parametrize(
    ("count", "kills", "seed"),
    [
        (3, 2, 1),
        *(
            pytest.param(6, 15, seed, marks=[pytest.mark.slow, pytest.mark.timeout(600)])
            for seed in (2, 3, 4)
        ),
    ],
)
def test_nodes_killed_at_any_time_lose_nothing(
    tmp_path: Path, count: int, kills: int, seed: int
) -> None:
    random = Random(seed)
    with network(tmp_path, count) as net:
        for turn in range(kills):
            net.index.add("demo", wheel("demo", f"{turn}.0"))
            _ask(net.nodes[0].url, "demo")
            victim = random.randrange(count)
            time.sleep(random.uniform(0, 0.4))  # wherever in its work that finds it
            net.nodes[victim].kill()
            net.index.add(f"extra-{turn}", wheel(f"extra_{turn}", "1.0"))
            if victim:
                _ask(net.nodes[0].url, f"extra-{turn}")
            net.again(victim)
            _ask(net.nodes[0].url, f"extra-{turn}")
        net.spread(lambda url: len(filenames(url, "demo")) == kills)
        for turn in range(kills):
            _one_file_everywhere(net, f"extra-{turn}")


def _one_file_everywhere(net: Network, name: str) -> None:
    net.spread(lambda url: len(filenames(url, name)) == 1)


def _ask(url: str, name: str) -> None:
    until(lambda: filenames(url, name))
