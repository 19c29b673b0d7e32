from __future__ import annotations

import json
import random
from pathlib import Path

from tests.app.nodes import dpip, node
from tests.federation.processes import fetch, filenames, page, rid, until
from tests.simple.fixture_index import Archive, FixtureIndex, wheel

from dpip.mirror.store import opened


def test_a_node_without_upstream_serves_what_a_trusted_node_hears(tmp_path: Path) -> None:
    with (
        FixtureIndex() as index,
        node(tmp_path / "a", "--index-url", index.url, DPIP_PAGE_MAX_AGE="0") as a,
    ):
        index.add("demo", wheel("demo", "1.0"))
        flags = ("--offline", "--first-contact", a.url)
        with node(tmp_path / "b", *flags, DPIP_TRUSTED_NODES=rid(a.url)) as b:
            assert filenames(a.url, "demo") == ["demo-1.0-py3-none-any.whl"]
            until(lambda: filenames(b.url, "demo") == ["demo-1.0-py3-none-any.whl"])
            index.add("demo", wheel("demo", "2.0"))
            assert len(filenames(a.url, "demo")) == 2
            until(lambda: len(filenames(b.url, "demo")) == 2)
            b.kill()
        del index.projects["demo"]
        assert filenames(a.url, "demo") == []
        with node(tmp_path / "b", *flags, DPIP_TRUSTED_NODES=rid(a.url)) as b:
            until(lambda: filenames(b.url, "demo") == [])


def test_a_stranger_changes_nothing(tmp_path: Path) -> None:
    with (
        FixtureIndex() as index,
        node(tmp_path / "a", "--index-url", index.url) as a,
        node(tmp_path / "b", "--offline", "--first-contact", a.url) as b,
        node(
            tmp_path / "c", "--offline", "--first-contact", a.url, DPIP_TRUSTED_NODES=rid(a.url)
        ) as c,
    ):
        index.add("demo", wheel("demo", "1.0"))
        assert filenames(a.url, "demo")
        until(lambda: filenames(c.url, "demo"))
        assert filenames(b.url, "demo") == []


def test_a_node_that_is_listed_later_is_believed_on_all_that_it_said(tmp_path: Path) -> None:
    with FixtureIndex() as index, node(tmp_path / "a", "--index-url", index.url) as a:
        index.add("demo", wheel("demo", "1.0"))
        assert filenames(a.url, "demo")
        flags = ("--offline", "--first-contact", a.url)
        with node(tmp_path / "b", *flags) as b:
            until(lambda: json.loads(fetch(f"{b.url}/healthz"))["peers"])
            assert filenames(b.url, "demo") == []
        with node(tmp_path / "b", *flags, DPIP_TRUSTED_NODES=rid(a.url)) as b:
            until(lambda: filenames(b.url, "demo"))


def test_an_install_comes_from_peers_when_upstream_is_gone(tmp_path: Path) -> None:
    archive = wheel("demo", "1.0", size=300_000)
    with FixtureIndex() as index:
        index.add("demo", archive)
        with node(tmp_path / "a", "--index-url", index.url) as a:
            link = page(a.url, "demo")
            assert link is not None
            path = link["files"][0]["url"].removeprefix("../../")
            assert fetch(f"{a.url}/{path}") == archive.content
            index.stop()
            flags = ("--offline", "--first-contact", a.url)
            with node(tmp_path / "b", *flags, DPIP_TRUSTED_NODES=rid(a.url)) as b:
                until(lambda: filenames(b.url, "demo"))
                assert fetch(f"{b.url}/{path}.metadata") == archive.metadata
                health = json.loads(fetch(f"{b.url}/healthz"))
                assert health["files_from_peers"] == 0, "for its metadata no wheel is fetched"
                assert fetch(f"{b.url}/{path}") == archive.content
                health = json.loads(fetch(f"{b.url}/healthz"))
                assert health["files_from_peers"] == 1
                assert health["bytes_from_peers"] == len(archive.content)


def test_a_node_whose_upstream_is_cut_off_asks_its_peers_and_remembers_what_they_gave(
    tmp_path: Path,
) -> None:
    archive = wheel("demo", "1.0", size=300_000)
    with FixtureIndex() as index:
        index.add("demo", archive)
        with node(tmp_path / "a", "--index-url", index.url) as a:
            assert _get(a.url, archive) == archive.content
            flags = ("--index-url", index.url, "--first-contact", a.url)
            with node(tmp_path / "b", *flags) as b:
                until(lambda: json.loads(fetch(f"{b.url}/healthz"))["peers"])
                assert filenames(b.url, "demo")
                index.stop()
                assert _get(b.url, archive) == archive.content
            with node(tmp_path / "b", *flags) as b:
                health = json.loads(fetch(f"{b.url}/healthz"))
                metrics = fetch(f"{b.url}/metrics").decode()
                said = dpip("node", "status", "--json", "--home", str(tmp_path / "b"))
                text = dpip("node", "status", "--home", str(tmp_path / "b")).stdout
    assert health["bytes_from_peers"] == len(archive.content)
    assert health["bytes_from_peers_since_start"] == 0
    assert f"dpip_peer_bytes {float(len(archive.content))}" in metrics
    assert json.loads(said.stdout)["bytes_from_peers"] == len(archive.content)
    assert f"from peers: 1 files of {len(archive.content):,} bytes, for which" in text


def test_the_next_release_costs_what_has_changed(tmp_path: Path) -> None:
    words = random.Random(7)
    text = {f"demo/part{n}.py": _prose(words, 60_000) for n in range(12)}
    releases = [
        wheel("demo", "1.0", files=text),
        wheel("demo", "2.0", files={**text, "demo/part3.py": _prose(words, 60_000)}),
    ]
    with FixtureIndex() as index:
        index.add("demo", *releases)
        with node(tmp_path / "a", "--index-url", index.url) as a:
            for archive in releases:
                assert _get(a.url, archive) == archive.content
                _take_apart(tmp_path / "a", archive)
            with node(tmp_path / "b", "--index-url", index.url) as b:
                assert filenames(b.url, "demo")
                assert _get(b.url, releases[0]) == releases[0].content
                _take_apart(tmp_path / "b", releases[0])
            flags = ("--offline", "--first-contact", a.url)
            with node(tmp_path / "b", *flags, DPIP_TRUSTED_NODES=rid(a.url)) as b:
                until(lambda: json.loads(fetch(f"{b.url}/healthz"))["peers"])
                assert _get(b.url, releases[1]) == releases[1].content
                health = json.loads(fetch(f"{b.url}/healthz"))
    assert health["bytes_from_peers"] == len(releases[1].content)
    assert health["bytes_moved_for_them"] < 0.35 * len(releases[1].content)
    assert health["bytes_from_recipes"] == len(releases[1].content)
    assert health["bytes_saved"] > 0.65 * len(releases[1].content)


def _prose(words: random.Random, size: int) -> bytes:
    return " ".join(f"{words.getrandbits(24):x}" for _ in range(size // 7)).encode()


def _get(url: str, archive: Archive) -> bytes:
    page(url, "demo")
    return fetch(f"{url}/files/{archive.sha256}/{archive.filename}")


def _take_apart(home: Path, archive: Archive) -> None:
    with opened(home) as archives:
        place = archives.place(archive.sha256, archive.filename)
        archives.add(place, archive.sha256, archive.filename)
