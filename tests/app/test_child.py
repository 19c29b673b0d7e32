from __future__ import annotations

import signal
import subprocess
import sys
import time

import pytest

from dpip.app.child import CommandNotFound, environment, run

NODE = "http://127.0.0.1:4747"
SIMPLE = f"{NODE}/simple/"


def test_package_tools_are_pointed_at_the_node() -> None:
    changed = environment(NODE, {"PATH": "/bin"})
    assert changed["PATH"] == "/bin"
    for name in ("PIP_INDEX_URL", "UV_DEFAULT_INDEX", "PDM_PYPI_URL", "PIPENV_PYPI_MIRROR"):
        assert changed[name] == SIMPLE
    assert changed["PIP_TRUSTED_HOST"] == "127.0.0.1"
    assert "127.0.0.1" in changed["NO_PROXY"].split(",")


def test_no_other_index_leaks_through() -> None:
    before = {
        "PIP_EXTRA_INDEX_URL": "http://other.invalid/",
        "PIP_NO_INDEX": "1",
        "UV_INDEX": "http://other.invalid/",
        "UV_EXTRA_INDEX_URL": "http://other.invalid/",
    }
    assert "other.invalid" not in " ".join(environment(NODE, before).values())
    assert "PIP_NO_INDEX" not in environment(NODE, before)


def test_what_was_trusted_and_unproxied_stays_so() -> None:
    before = {"PIP_TRUSTED_HOST": "a.invalid b.invalid", "NO_PROXY": "c.invalid, d.invalid"}
    changed = environment(NODE, before)
    assert changed["PIP_TRUSTED_HOST"].split() == ["a.invalid", "b.invalid", "127.0.0.1"]
    assert changed["NO_PROXY"].split(",")[:2] == ["c.invalid", "d.invalid"]


@pytest.mark.parametrize("code", [0, 1, 23])
def test_exit_codes_come_through(code: int) -> None:
    assert run([sys.executable, "-c", f"raise SystemExit({code})"], {}) == code


def test_a_child_that_a_signal_ends_is_told_as_a_shell_does() -> None:
    kill = "import os; os.kill(os.getpid(), 9)"
    assert run([sys.executable, "-c", kill], {}) == 137


def test_a_program_that_is_not_there() -> None:
    with pytest.raises(CommandNotFound):
        run(["/no/such/program"], {})


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 33), (signal.SIGINT, 44)], ids=["term", "interrupt"]
)
def test_signals_reach_the_child_and_its_answer_comes_back(number: int, code: int) -> None:
    child = (
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(33))\n"
        "signal.signal(signal.SIGINT, lambda *_: sys.exit(44))\n"
        "print('here', flush=True)\n"
        "time.sleep(20)\n"
    )
    code_of_parent = (
        f"import os, sys; from dpip.app.child import run; "
        f"sys.exit(run([sys.executable, '-c', {child!r}], os.environ))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code_of_parent],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    with process.stdout:
        assert process.stdout.readline() == "here\n"
        time.sleep(0.1)
        import os

        # A terminal sends an interrupt to the whole group; others send to the parent alone.
        if number == signal.SIGINT:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        assert process.wait(10) == code
