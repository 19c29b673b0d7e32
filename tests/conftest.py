"""What every test gets: no way out of this machine, a private home, named peers.

Four rules are enforced here. Sockets reach loopback only (an audit hook, and a dead proxy
for child processes). Nothing reads the developer's own configuration. A peer program that
is missing skips its tests *by name* and is listed at the end, unless DPIP_REQUIRE_PEERS is
set: then it fails. No property fails because a machine is busy.
"""

from __future__ import annotations

import ipaddress
import os
import sys
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import HealthCheck, settings
from tests import peers

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

# A machine under load is slow at everything, and that is no property of the code.
settings.register_profile("load", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("load")

DEAD_PROXY = "http://127.0.0.1:9"
hypothesis.settings.register_profile("patient", deadline=None)
hypothesis.settings.load_profile("patient")
_outside_allowed = False


def _is_loopback(host: Any) -> bool:
    if not isinstance(host, str | bytes) or host in {"", "localhost", b"localhost"}:
        return True
    text = host.decode() if isinstance(host, bytes) else host
    try:
        return ipaddress.ip_address(text.split("%")[0]).is_loopback or text in {"0.0.0.0", "::"}
    except ValueError:
        return text.endswith(".localhost")


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if _outside_allowed:
        return
    if event == "socket.connect" and isinstance(args[1], tuple) and not _is_loopback(args[1][0]):
        raise PermissionError(f"tests may only reach loopback, not {args[1]!r}")
    if event == "socket.getaddrinfo" and not _is_loopback(args[0]):
        raise PermissionError(f"tests may only look up loopback, not {args[0]!r}")


sys.addaudithook(_audit)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Open the way out for the tests that are marked for it, and for no others."""
    global _outside_allowed
    _outside_allowed = item.get_closest_marker("outside") is not None


@pytest.fixture(autouse=True)
def private_environment(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hide the developer's configuration and give each test a home of its own."""
    for name in list(os.environ):
        if name.startswith(("DPIP_", "PIP_", "UV_", "PDM_", "POETRY_")) and name not in KEPT:
            monkeypatch.delenv(name)
    monkeypatch.setenv("DPIP_HOME", str(tmp_path / "dpip-home"))
    if request.node.get_closest_marker("outside") is not None:
        return
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, DEAD_PROXY)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(name, "127.0.0.1,localhost,::1")


KEPT = frozenset({"DPIP_REQUIRE_PEERS", "DPIP_PEERS", "DPIP_BENCH_DATA", "PIP_CERT"})


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, Any, Any]:
    """Remember which peers were missing, so that the end of the run can name them."""
    report: Any = yield
    if report.skipped and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2]
        if peers.SKIP_PREFIX in reason:
            report.user_properties.append(("missing", reason.split(peers.SKIP_PREFIX)[1]))
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """List what was not there, by name."""
    missing: dict[str, int] = {}
    for report in terminalreporter.stats.get("skipped", []):
        for key, name in getattr(report, "user_properties", []):
            if key == "missing":
                missing[name] = missing.get(name, 0) + 1
    for name, count in sorted(missing.items()):
        terminalreporter.write_line(f"not tested here, missing: {name} ({count} tests)")
