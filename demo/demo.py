"""Install a real package through a node of its own, then again with upstream cut off.

    make demo                    flask and its dependencies
    python demo/demo.py NAME…    others

Everything happens in one scratch directory, which is removed at the end, also when the demo
is interrupted; so is the node. The package comes from the index that your pip is configured
with. What is printed names no path and no host, so that it can be shown to anybody.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from dpip.app import background
from dpip.app.child import environment
from dpip.errors import DpipError, NotRunning, PortTaken
from dpip.mirror.catalog import Catalog
from dpip.settings import DEFAULT_PORT, Settings

if TYPE_CHECKING:
    from types import FrameType

    from dpip.app.process import Running


class Demo:
    """One run in one scratch directory."""

    def __init__(self, scratch: Path, packages: list[str]) -> None:
        self.scratch = scratch
        self.packages = packages
        self.home = scratch / "home"

    def run(self) -> None:
        """Tell the story from the first start to the comparison."""
        say("1. A node starts, and plain pip installs through it.")
        node = self.start()
        first = self.install("first", node)
        rows = self.files()
        self.stop(node)
        table(rows)
        say("\n2. Upstream is cut off: the node starts again, told to work offline.")
        node = self.start(offline=True)
        second = self.install("second", node)
        asked = self.asked(node)
        self.stop(node)
        say(f"   questions to upstream: {asked}")
        if first != second or asked:
            sys.exit("error: the second environment is not the first")
        say(f"\nBoth environments hold the same {len(first)} packages:")
        say("   " + " ".join(f"{name}-{version}" for name, version in first))

    def start(self, *, offline: bool = False) -> Running:
        """Start the node on its usual port, or on a free one if that is taken."""
        began = time.monotonic()
        flags = ["--offline"] if offline else []
        try:
            node = self.start_on(DEFAULT_PORT, flags)
        except PortTaken:
            node = self.start_on(0, flags)
        say(f"   ready {node.url} in {time.monotonic() - began:.2f} s")
        return node

    def start_on(self, port: int, flags: list[str]) -> Running:
        """Start the node on a port."""
        settings = Settings(home=self.home, port=port)
        return background.start(settings, ["--port", str(port), *flags])

    def stop(self, node: Running) -> None:
        """Stop the node."""
        background.stop(self.home)
        say(f"   stopped {node.url}")

    def install(self, name: str, node: Running) -> list[tuple[str, str]]:
        """Install into a fresh environment with its own pip; return what is in it."""
        folder = self.scratch / name
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
        python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-cache-dir"]
        environ = {
            **environment(node.url, {k: v for k, v in os.environ.items() if not pips(k)}),
            "PIP_CONFIG_FILE": os.devnull,
        }
        began = time.monotonic()
        say(f"   $ pip install {' '.join(self.packages)}")
        subprocess.run([*pip, "install", "--quiet", *self.packages], env=environ, check=True)
        say(f"   installed in {time.monotonic() - began:.2f} s")
        listed = subprocess.run(
            [*pip, "list", "--format", "json"], env=environ, check=True, capture_output=True
        )
        found = [(row["name"], row["version"]) for row in json.loads(listed.stdout)]
        return sorted(row for row in found if row[0] not in {"pip", "setuptools"})

    def files(self) -> list[list[str]]:
        """Return a row for each stored file."""
        catalog = Catalog(self.home / "catalog.sqlite3")
        try:
            rows = [
                [shortened(a.filename), f"{a.size:,}", a.sha256, a.cid or "", a.origin]
                for a in sorted(catalog.archives(), key=lambda a: a.filename)
            ]
        finally:
            catalog.close()
        return rows

    def asked(self, node: Running) -> int:
        """Return how many questions and transfers the node made since its start."""
        import urllib.request

        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{node.url}/metrics", timeout=10) as response:
            text = response.read().decode()
        lines = [line for line in text.splitlines() if line.startswith("dpip_upstream_")]
        return sum(int(float(line.split()[1])) for line in lines)

    def clean(self) -> None:
        """Stop the node if it runs, and remove the scratch directory."""
        with contextlib.suppress(NotRunning):
            background.stop(self.home)
        shutil.rmtree(self.scratch, ignore_errors=True)


def pips(name: str) -> bool:
    """Say whether a variable would change what pip does, and perhaps lead it past the node."""
    return name.startswith("PIP_") and name != "PIP_DEFAULT_TIMEOUT"


def table(rows: list[list[str]]) -> None:
    """Print the stored files."""
    head = ["file", "bytes", "sha256", "CID", "came from"]
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    say("")
    for row in (head, *rows):
        say("   " + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())


def shortened(filename: str, width: int = 44) -> str:
    """Leave out the middle of a long file name."""
    return filename if len(filename) <= width else f"{filename[: width - 13]}…{filename[-12:]}"


def say(text: str) -> None:
    """Print at once, so that a log of the demo reads in order."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def interrupted(number: int, frame: FrameType | None) -> NoReturn:
    """End as if by Ctrl-C, so that the scratch directory is removed."""
    del number, frame
    raise KeyboardInterrupt


def main() -> int:
    """Run the demo and clean up after it."""
    for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)):
        signal.signal(number, interrupted)
    demo = Demo(Path(tempfile.mkdtemp(prefix="dpip-demo-")), sys.argv[1:] or ["flask"])
    try:
        demo.run()
    except DpipError as error:
        sys.stderr.write(f"error: {error.message}\nhint: {error.hint}\n")
        return error.exit_code
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"error: pip ended with {error.returncode}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; cleaning up\n")
        return 130
    finally:
        demo.clean()
    return 0


if __name__ == "__main__":
    sys.exit(main())
