"""The pages about KOI nodes: their programs run, and print what the pages say they print."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from tests.koi.interop.child import free_port
from tests.peers import ROOT

if TYPE_CHECKING:
    from pathlib import Path

PAGES = ROOT / "docs" / "koi"
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
PORT = re.compile(r"(?<=[:=])(80\d\d)\b")


def on_free_ports(text: str) -> str:
    """Return the text with each port that it names replaced by a free one."""
    ports = {port: str(free_port()) for port in sorted(set(PORT.findall(text)))}
    return PORT.sub(lambda found: ports[found[0]], text)


@pytest.mark.parametrize("page", ["tutorial.md", "how-to-sensor-node.md", "how-to-test.md"])
def test_the_programs_of_a_page_run(page: str, tmp_path: Path) -> None:
    blocks = BLOCK.findall((PAGES / page).read_text("utf-8"))
    program = on_free_ports("\n".join(code for kind, code in blocks if kind == "python"))
    expected = "".join(text for kind, text in blocks if kind == "text")
    (tmp_path / "program.py").write_text(program, "utf-8")
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == expected


def test_the_example_nodes_of_the_tutorial_meet(tmp_path: Path) -> None:
    """The commands as shown, but on a free port."""
    shown = re.findall(r"\$ python (-m examples\.\w+) --home (\w+)", _tutorial())
    assert len(shown) == 2
    port = str(free_port())
    extra = {
        "first": ["--port", port],
        "second": ["--first-contact", f"http://127.0.0.1:{port}/koi-net"],
    }
    nodes = []
    try:
        for module, home in shown:
            command = [*module.split(), "--home", str(tmp_path / home), *extra[home]]
            nodes.append(_started(command))
        printed = [nodes[1].stdout.readline() for _ in range(6)] if nodes[1].stdout else []
    finally:
        for node in reversed(nodes):
            node.terminate()
            node.wait(20)
            assert node.stdout is not None
            node.stdout.close()
    assert any("orn:koi-net.node:coordinator+" in line for line in printed), printed


def _started(command: list[str]) -> subprocess.Popen[str]:
    node = subprocess.Popen(
        [sys.executable, "-u", *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert node.stdout is not None
    url, rid = node.stdout.readline().split()
    assert rid.startswith("orn:koi-net.node:")
    assert url.endswith("/koi-net") or url == "-"
    return node


def _tutorial() -> str:
    return (PAGES / "tutorial.md").read_text("utf-8")


def generator() -> Any:
    spec = importlib.util.spec_from_file_location("koi_reference", PAGES / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_holds_every_public_name() -> None:
    page = (PAGES / "reference.md").read_text("utf-8")
    made = generator()
    missing = [
        f"{module}.{name}"
        for module in made.MODULES
        for name, _ in made.entries(importlib.import_module(module))
        if f"### `{name}" not in page.partition(f"## `{module}`")[2]
    ]
    assert not missing, f"run `make docs`: {missing}"
    assert not [name for name in importlib.import_module("dpip.koi").__all__ if name not in page]


def test_the_reference_says_what_the_code_says() -> None:
    page = (PAGES / "reference.md").read_text("utf-8")
    assert page == generator().page(), "run `make docs`"
