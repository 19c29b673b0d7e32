"""What a node costs: start to first answer, idle memory, CPU of `dpip --version`.

    make bench-node

The bare interpreter stands beside each number as the peer.
"""

from __future__ import annotations

import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 7
BUDGET_START = 0.5
BUDGET_MEMORY = 80.0
BUDGET_VERSION = 30.0


def cpu(*words: str) -> float:
    """Return the CPU milliseconds of one run of a program."""
    before = os.times()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user + after.children_system
    return (used - before.children_user - before.children_system) * 1000


def bare() -> float:
    """Return the seconds that the interpreter takes to start and say something."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "print()"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def start() -> tuple[float, float]:
    """Return seconds to the ready line, and MiB resident one second later."""
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        command = [sys.executable, "-m", "dpip", "node", "run", "--offline", "--port", "0"]
        with subprocess.Popen([*command, "--home", home], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            process.stdout.readline()
            taken = time.perf_counter() - began
            time.sleep(1)
            memory = resident(process.pid)
            process.send_signal(signal.SIGTERM)
            process.wait(15)
    return taken, memory


def resident(pid: int) -> float:
    """Return a process's resident memory in MiB, as /proc tells it."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def own_memory() -> float:
    """Return the resident MiB of an interpreter that has imported nothing of note."""
    code = "import sys; sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        time.sleep(0.3)
        memory = resident(process.pid)
        process.communicate(b"")
    return memory


def main() -> int:
    """Measure in turn, print medians."""
    dpip = str(Path(sys.executable).with_name("dpip"))
    starts, bares, memories, versions, pythons = [], [], [], [], []
    for _ in range(ROUNDS):
        taken, memory = start()
        starts.append(taken)
        memories.append(memory)
        bares.append(bare())
        versions.append(cpu(dpip, "--version"))
        pythons.append(cpu(sys.executable, "-c", "print()"))
    middle = statistics.median
    over = middle(versions) - middle(pythons)
    rows = (
        ("node start to ready, s", middle(starts), middle(bares), middle(starts), BUDGET_START),
        ("node idle, MiB", middle(memories), own_memory(), middle(memories), BUDGET_MEMORY),
        ("dpip --version, CPU ms", middle(versions), middle(pythons), over, BUDGET_VERSION),
    )
    print("| what | ours | bare interpreter | counted | budget | |")
    print("|---|---|---|---|---|---|")
    for what, ours, peer, counted, budget in rows:
        verdict = "met" if counted <= budget else "missed"
        print(f"| {what} | {ours:.3g} | {peer:.3g} | {counted:.3g} | ≤ {budget:g} | {verdict} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
