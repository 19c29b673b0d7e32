"""`dpip resolve` beside uv, pip and nab on a recorded index: time, requests, bytes, memory.

    python -m benchmarks.resolve [--cases trio,jupyter] [--rtts 0,20,100] [--rounds 3]
                                 [--tools uv,pip,nab] [--no-node] [--no-ranges]

The index is a replay of recorded pages and metadata (part "resolve" of the benchmark data)
that waits one round trip before each answer. All tools are run in turn, each with a cache of
its own: cold with an empty one, warm with the one that the cold run left. The last rows go
through a node that has answered the question before, behind a proxy that delays what passes.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import queue
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.report import Row, print_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("DPIP_BENCH_DATA") or ROOT.parent / "shared" / "bench") / "resolve"
PEERS = Path(os.environ.get("DPIP_PEERS") or ROOT / ".peers")
CASES = ("trio", "boto3", "tensorflow", "jupyter", "airflow")
INTERPRETER = os.environ.get("DPIP_BENCH_PYTHON") or sys.executable
PYTHON = "3.12"
"""The recording is of CPython 3.12 on Linux."""


@dataclass(frozen=True)
class Run:
    """One run: wall and processor seconds, largest resident set, requests and MB on the wire."""

    seconds: float
    processor: float
    memory: float
    requests: int
    megabytes: float


@dataclass(frozen=True)
class Tool:
    """`command` has the fields {index}, {host}, {req}, {cache}, {out}."""

    name: str
    command: tuple[str, ...]


def dpip(*more: str) -> Tool:
    program = str(Path(sys.executable).parent / "dpip")
    words = ("resolve", "-q", "-r", "{req}", "--cache-dir", "{cache}", "-o", "{out}/pins.txt")
    return Tool("dpip", (program, *words, "--python-version", PYTHON, *more))


def peers(names: list[str]) -> list[Tool]:
    known = {
        "uv": (
            f"{PEERS}/uv/bin/uv", "pip", "compile", "-q", "--no-config", "--no-python-downloads",
            # An interpreter that is there: without one uv searches, which takes half a second.
            "--python", INTERPRETER, "--python-version", PYTHON, "--cache-dir", "{cache}",
            "--index-url", "{index}", "{req}", "-o", "{out}/pins.txt",
        ),
        "pip": (
            f"{PEERS}/pip/bin/pip", "lock", "-q", "--trusted-host", "{host}",
            "--cache-dir", "{cache}", "--index-url", "{index}", "-r", "{req}",
            "-o", "{out}/pylock.toml",
        ),
        "nab": (
            f"{PEERS}/nab/bin/nab", "lock", "{out}/pyproject.toml", "--cache-dir", "{cache}",
            "--output", "{out}/pylock.toml",
        ),
    }  # fmt: skip
    return [Tool(name, known[name]) for name in names if Path(known[name][0]).exists()]


def nab_project(case: str, index: Index) -> str:
    """Return the case as a project: nab takes no requirements file."""
    lines = (DATA / "inputs" / f"{case}.in").read_text().split("\n")
    wanted = [line for line in lines if line.strip()]
    return (
        f'[project]\nname = "case"\nversion = "0"\nrequires-python = ">={PYTHON}"\n'
        f"dependencies = {json.dumps(wanted)}\n"
        f'[[tool.nab.indexes]]\nname = "replay"\nurl = "{index.url}/"\n'
        f'[tool.nab.environment]\npython = "{PYTHON}"\n'
    )


class Index:
    """The replay server as a process."""

    def __init__(self) -> None:
        script = [sys.executable, str(DATA / "replay_index.py"), "--port", "0"]
        self.process = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.host = self.process.stdout.readline().split()[2]
        self.url = f"http://{self.host}/simple"

    def ask(self, path: str) -> Any:
        with urllib.request.urlopen(f"http://{self.host}{path}") as answer:
            return json.load(answer)

    def close(self) -> None:
        self.process.terminate()
        self.process.wait()


class Failed(Exception):
    """A tool has no answer, for example because it only resolves for its own Python."""


def run(tool: Tool, index: Index, case: str, cache: Path, room: Path) -> Run:
    out = room / "out"
    # An answer of before would be read as preferences: uv then knows all pins beforehand.
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    fields = {
        "index": index.url,
        "host": index.host,
        "req": str(DATA / "inputs" / f"{case}.in"),
        "cache": str(cache),
        "out": str(out),
    }
    (out / "pyproject.toml").write_text(nab_project(case, index))
    words = [word.format(**fields) for word in tool.command]
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PIP_", "UV_"))}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    index.ask("/_reset")
    log = room / "log"
    started = time.perf_counter()
    with log.open("w") as said:
        process = subprocess.Popen(words, stdout=said, stderr=said, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed(f"{tool.name} failed on {case}: {log.read_text()[-300:]}")
    stats = index.ask("/_stats")
    processor = usage.ru_utime + usage.ru_stime
    size = usage.ru_maxrss / 1024
    return Run(seconds, processor, size, stats["requests"], stats["bytes_out"] / 1e6)


def measure(
    tools: list[Tool], index: Index, case: str, rounds: int, room: Path
) -> dict[tuple[str, str], Run]:
    """Return medians by (tool, "cold" or "warm"); tools take turns."""
    runs: dict[tuple[str, str], list[Run]] = {}
    left = list(tools)
    for _ in range(rounds):
        for tool in list(left):
            cache = room / f"cache-{tool.name}"
            shutil.rmtree(cache, ignore_errors=True)
            try:
                for mode in ("cold", "warm"):
                    found = run(tool, index, case, cache, room)
                    runs.setdefault((tool.name, mode), []).append(found)
            except Failed as failure:
                print(failure, file=sys.stderr)
                left.remove(tool)
    complete = {key: each for key, each in runs.items() if len(each) == rounds}
    return {key: median(each) for key, each in complete.items()}


def median(runs: list[Run]) -> Run:
    return Run(
        statistics.median(each.seconds for each in runs),
        statistics.median(each.processor for each in runs),
        statistics.median(each.memory for each in runs),
        runs[-1].requests,
        runs[-1].megabytes,
    )


def compare(
    args: argparse.Namespace, index: Index, room: Path, *, ranges: bool
) -> tuple[list[Row], list[Row]]:
    """Return rows of times, and rows of requests, bytes and memory."""
    tools = [dpip("--index-url", "{index}"), *peers(args.tools.split(","))]
    times: list[Row] = []
    others: list[Row] = []
    how = "ranges" if ranges else "metadata files"
    for case in args.cases.split(","):
        for rtt in args.rtts.split(","):
            index.ask(f"/_config?rtt_ms={rtt}&pep658={int(not ranges)}")
            found = measure(tools, index, case, args.rounds, room)
            for tool in (each for each in tools[1:] if (each.name, "warm") in found):
                for mode in ("cold", "warm"):
                    ours, peer = found["dpip", mode], found[tool.name, mode]
                    what = f"{case}, {how}, {mode}, {rtt} ms"
                    budget = _budget(tool.name, mode, rtt, ranges=ranges)
                    times.append(Row(what, ours.seconds, peer.seconds, "s", tool.name, budget))
                    if rtt == args.rtts.split(",")[0]:
                        told = f"{case}, {how}, {mode}"
                        others.append(
                            Row(told, ours.processor, peer.processor, "s processor", tool.name)
                        )
                ours, peer = found["dpip", "cold"], found[tool.name, "cold"]
                if rtt == args.rtts.split(",")[0]:
                    what = f"{case}, {how}, cold"
                    others += [
                        Row(what, ours.requests, peer.requests, "requests", tool.name),
                        Row(what, ours.megabytes, peer.megabytes, "MB", tool.name),
                        Row(what, ours.memory, peer.memory, "MB resident", tool.name),
                    ]
    return times, others


def _budget(peer: str, mode: str, rtt: str, *, ranges: bool) -> str:
    if peer != "uv":
        return ""
    if mode == "warm":
        return "≤ 1.0"
    return ("≤ 1.0" if ranges else "≤ 1.2") if float(rtt) >= 100 else ""


def through_node(args: argparse.Namespace, index: Index, room: Path) -> tuple[list[Row], list[Row]]:
    """Return rows against the budget of two round trips and 0.3 s, and of processor time."""
    index.ask("/_config?rtt_ms=0&pep658=1")
    rows: list[Row] = []
    others: list[Row] = []
    with running_node(index, room) as node:
        for case in args.cases.split(","):
            tool = dpip("--node", node)
            run(tool, index, case, room / "cache-first", room)
            for rtt in args.rtts.split(","):
                with delayed(node, float(rtt) / 1000) as slow:
                    runs = [_once(slow, index, case, room) for _ in range(args.rounds)]
                bound = 2 * float(rtt) / 1000 + 0.3
                what = f"{case}, through a node, cold, {rtt} ms"
                name = "2 round trips + 0.3 s"
                found = median(runs)
                rows.append(Row(what, found.seconds, bound, "s", name, "≤ 1.0"))
                if rtt == args.rtts.split(",")[0]:
                    told = f"{case}, through a node, cold"
                    others.append(Row(told, found.processor, 0.3, "s processor", "0.3 s"))
    return rows, others


def _once(node: str, index: Index, case: str, room: Path) -> Run:
    shutil.rmtree(room / "cache-node", ignore_errors=True)
    return run(dpip("--node", node), index, case, room / "cache-node", room)


@contextlib.contextmanager
def running_node(index: Index, room: Path) -> Iterator[str]:
    program = str(Path(sys.executable).parent / "dpip")
    words = ["node", "run", "--port", "0", "--home", str(room / "home"), "--index-url", index.url]
    process = subprocess.Popen([program, *words], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().split()[1]
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def delayed(url: str, seconds: float) -> Iterator[str]:
    """Pass connections on as over a line with a round trip of `seconds`.

    What the client sends arrives `seconds` later, however many pieces it comes in, and a new
    connection carries nothing for another round trip: its handshake.
    """
    host, port = url.removeprefix("http://").split(":")
    listening = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = listening.accept()
                opened = time.monotonic()
                server = socket.create_connection((host, int(port)))
                pieces: queue.SimpleQueue[tuple[float, bytes]] = queue.SimpleQueue()
                for target, words in (
                    (take, (client, pieces, opened, seconds)),
                    (deliver, (server, pieces)),
                    (pump, (server, client)),
                ):
                    threading.Thread(target=target, args=words, daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        listening.close()


def take(
    source: socket.socket,
    pieces: queue.SimpleQueue[tuple[float, bytes]],
    opened: float,
    seconds: float,
) -> None:
    """Note when each piece would have arrived: sent after the handshake, one trip under way."""
    data = b"-"
    with contextlib.suppress(OSError):
        while data:
            data = source.recv(1 << 16)
            sent = max(time.monotonic(), opened + seconds)
            pieces.put((sent + seconds, data))


def deliver(target: socket.socket, pieces: queue.SimpleQueue[tuple[float, bytes]]) -> None:
    with contextlib.suppress(OSError), target:
        while True:
            moment, data = pieces.get()
            time.sleep(max(0.0, moment - time.monotonic()))
            if not data:
                return
            target.sendall(data)


def pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError), source, target:
        while data := source.recv(1 << 16):
            target.sendall(data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--rtts", default="0,20,100")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tools", default="uv,pip,nab")
    parser.add_argument("--no-node", action="store_true")
    parser.add_argument("--no-ranges", action="store_true")
    args = parser.parse_args()
    if not DATA.is_dir():
        raise SystemExit("the recorded index is not here: set DPIP_BENCH_DATA")
    for case in args.cases.split(","):
        if not (DATA / "inputs" / f"{case}.in").is_file():
            raise SystemExit(f"no input {case!r} was recorded")
    index = Index()
    try:
        with tempfile.TemporaryDirectory(prefix="dpip-bench-") as made:
            room = Path(made)
            times, others = compare(args, index, room, ranges=False)
            if not args.no_ranges:
                more_times, more_others = compare(args, index, room, ranges=True)
                times, others = times + more_times, others + more_others
            if not args.no_node:
                more_times, more_others = through_node(args, index, room)
                times, others = times + more_times, others + more_others
    finally:
        index.close()
    print_rows(times)
    print()
    print_rows(others)


if __name__ == "__main__":
    main()
