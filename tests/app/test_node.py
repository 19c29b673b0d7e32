from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from http.client import IncompleteRead
from pathlib import Path

import pytest
from tests.app.nodes import dpip, node
from tests.simple.fixture_index import FixtureIndex, wheel

PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=20) as response:
        return bytes(response.read())


def failed(url: str) -> tuple[int, str]:
    """Return the status and the slug of an error response."""
    with pytest.raises(urllib.error.HTTPError) as caught:
        get(url)
    with caught.value as error:
        return error.code, json.loads(error.read())["error"]


def page_or_slug(url: str) -> tuple[bytes, str]:
    """Return a page, or the slug of why there is none."""
    try:
        return get(url), ""
    except urllib.error.HTTPError as error:
        with error:
            return b"", json.loads(error.read())["error"]


def test_stdout_holds_the_ready_line_and_nothing_else(tmp_path: Path) -> None:
    with node(tmp_path / "home", "--offline") as running:
        assert json.loads(get(f"{running.url}/healthz"))["status"] == "ok"
        assert b"<h1>" in get(f"{running.url}/")
        assert b"dpip_archives 0.0" in get(f"{running.url}/metrics")
        assert failed(f"{running.url}/nothing") == (404, "file-not-found")
        running.process.send_signal(signal.SIGTERM)
        out, err = running.process.communicate(timeout=15)
    assert (out, err, running.process.returncode) == ("", "", 0)
    assert not (tmp_path / "home" / "node.json").exists()


def test_an_interrupt_stops_it_gracefully_too(tmp_path: Path) -> None:
    with node(tmp_path / "home", "--offline") as running:
        running.process.send_signal(signal.SIGINT)
        assert running.process.wait(15) == 0


def test_one_home_holds_one_node(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with node(home, "--offline") as running:
        second = dpip("node", "run", "--home", str(home), "--port", "0")
    assert second.returncode == 5
    assert running.url in second.stderr
    assert "Traceback" not in second.stderr


def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = dpip("node", "run", "--home", str(tmp_path / "h"), "--port", str(port), "--offline")
        started = dpip("node", "start", "--home", str(tmp_path / "h"), "--port", str(port))
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith(f"error: another process listens on 127.0.0.1:{port}\nhint: ")
    assert (started.returncode, started.stderr) == (4, done.stderr)


def without_rights_over_files() -> None:
    """Be bound by modes as other users are, also as root, in a child about to be made."""
    library = ctypes.CDLL(None, use_errno=True)
    for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
        if library.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
            raise OSError(ctypes.get_errno(), "prctl")


@pytest.mark.skipif(
    os.geteuid() == 0 and not sys.platform.startswith("linux"), reason="root may write everywhere"
)
def test_a_read_only_home_is_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o555)
    done = subprocess.run(
        [sys.executable, "-m", "dpip", "node", "run", "--home", str(home), "--port", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
        preexec_fn=without_rights_over_files if os.geteuid() == 0 else None,
    )
    assert done.returncode == 3
    assert "DPIP_HOME" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_home_that_cannot_be_a_directory_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = dpip("node", "run", "--home", str(tmp_path / "file" / "home"), "--port", "0")
    assert done.returncode == 3
    assert done.stderr.startswith("error: cannot write")
    assert "Traceback" not in done.stderr


def test_start_status_stop(tmp_path: Path) -> None:
    home = ("--home", str(tmp_path / "home"))
    assert dpip("node", "status", *home).returncode == 6
    started = dpip("node", "start", *home, "--port", "0", "--offline", "--name", "thing")
    try:
        assert started.returncode == 0, started.stderr
        status = json.loads(dpip("node", "status", *home, "--json").stdout)
        assert started.stdout == f"ready {status['url']}\n"
        assert (status["name"], status["offline"], status["status"]) == ("thing", True, "ok")
        assert dpip("node", "start", *home).returncode == 5
    finally:
        stopped = dpip("node", "stop", *home)
    assert stopped.returncode == 0
    assert dpip("node", "stop", *home).returncode == 6


def test_a_killed_node_starts_again_with_nothing_lost(tmp_path: Path) -> None:
    home = tmp_path / "home"
    archive = wheel("demo", "1.0", size=100_000)
    with FixtureIndex() as index:
        index.add("demo", archive)
        with node(home, "--index-url", index.url) as running:
            page = get(f"{running.simple}demo/")
            path = f"/files/{archive.sha256}/{archive.filename}"
            assert get(running.url + path) == archive.content
            running.kill()
    with node(home, "--index-url", index.url, "--offline") as running:
        assert get(f"{running.simple}demo/") == page
        assert get(running.url + path) == archive.content
        assert get(f"{running.url}{path}.metadata") == archive.metadata


def test_a_stale_record_of_a_process_is_not_believed(tmp_path: Path) -> None:
    record = {"pid": os.getpid(), "started": "yesterday", "url": "http://127.0.0.1:9"}
    (tmp_path / "node.json").write_text(json.dumps(record))
    done = dpip("node", "stop", "--home", str(tmp_path))
    assert done.returncode == 6


@pytest.mark.parametrize("damage", ["header", "middle", "empty-page"])
def test_a_damaged_catalog_is_rebuilt_from_the_disk(tmp_path: Path, damage: str) -> None:
    home = tmp_path / "home"
    archive = wheel("demo", "1.0", size=50_000)
    path = f"/files/{archive.sha256}/{archive.filename}"
    with FixtureIndex() as index:
        index.add("demo", archive)
        with node(home, "--index-url", index.url) as running:
            get(f"{running.simple}demo/")
            get(running.url + path)
            running.stop()
    database = home / "catalog.sqlite3"
    data = bytearray(database.read_bytes())
    start = {"header": 0, "middle": 4096, "empty-page": len(data) // 2}[damage]
    data[start : start + 4096] = b"\xa5" * 4096
    database.write_bytes(data)
    with node(home, "--offline", "--index-url", index.url) as running:
        # Damage below the first pages shows when it is met; the next start repairs it.
        page, slug = page_or_slug(f"{running.simple}demo/")
        assert slug in {"", "catalog-damaged"}
        running.stop()
    with node(home, "--offline", "--index-url", index.url) as running:
        page = page or get(f"{running.simple}demo/")
    assert archive.sha256.encode() in page
    with node(home, "--offline", "--index-url", index.url) as running:
        assert get(running.url + path) == archive.content
    with sqlite3.connect(home / "catalog.sqlite3") as rebuilt:
        assert rebuilt.execute("SELECT count(*) FROM archives").fetchone() == (1,)
    rebuilt.close()
    log = (home / "node.log").read_text()
    assert "Traceback" not in log


def test_a_disk_that_fills_up_is_named_and_nothing_half_is_seen(tmp_path: Path) -> None:
    archive = wheel("demo", "1.0", size=3_000_000)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, 2_000_000));"
        "from dpip.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    with FixtureIndex() as index:
        index.add("demo", archive)
        home, flags = str(tmp_path / "home"), ("--port", "0", "--index-url", index.url)
        command = [sys.executable, "-c", code, "node", "run", "--home", home, *flags]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            url = process.stdout.readline().split()[1]
            get(f"{url}/simple/demo/")
            path = f"/files/{archive.sha256}/{archive.filename}"
            try:
                with pytest.raises((urllib.error.HTTPError, OSError, IncompleteRead)):
                    get(url + path)
                assert json.loads(get(f"{url}/healthz"))["status"] == "ok"
            finally:
                process.terminate()
                process.wait(15)
        with node(tmp_path / "home", "--index-url", index.url) as running:
            assert get(running.url + path) == archive.content
    assert "no room left" in (tmp_path / "home" / "node.log").read_text()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", "two words+"),
        ("public_url", "office"),
        ("first_contact", "office"),
        ("first_contact", "orn:koi-net.node:office"),
        ("peer_networks", "10.0.0.0/99"),
        ("trusted_nodes", "office"),
        ("private_nodes", "orn:koi-net.node:office+9c1e"),
        ("index", "k51bogus"),
        ("port", "70000"),
    ],
)
def test_a_setting_that_would_be_ignored_in_silence_is_refused(
    tmp_path: Path, name: str, value: str
) -> None:
    done = dpip("node", "run", DPIP_HOME=str(tmp_path), **{f"DPIP_{name.upper()}": value})
    assert (done.returncode, done.stdout) == (2, "")
    assert f"setting {name}" in done.stderr or value in done.stderr
    assert "Traceback" not in done.stderr
