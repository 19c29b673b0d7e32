"""Isolated builds (PEP 517, 518, 660): source tree in, metadata or wheel out.

Each build sees the standard library and what `[build-system]` asks for, unpacked into a
directory of its own, and nothing else; those requirements are resolved and fetched by this
very resolver. The hooks run in a child process without site-packages (`-I -S`), so a backend
can crash, print or exit as it likes, and nothing that happens to be installed leaks in.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, NoReturn

from dpip.resolve import wheel_install
from dpip.resolve.children import Children
from dpip.resolve.errors import BadMetadata, BuildFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

FALLBACK_REQUIRES = ("setuptools>=40.8.0",)
FALLBACK_BACKEND = "setuptools.build_meta:__legacy__"
MOST_READ = 1 << 16
"""Bytes of what a backend says that are looked at, from the end."""
MOST_SAID = 300
"""Characters of its last line that go into an error."""
_AT_ONCE = threading.BoundedSemaphore(os.cpu_count() or 2)
"""Backends use a processor each, and memory: more of them at once are no faster."""

_HOOKS = """
import importlib, json, os, site, sys, threading, time
task = json.load(sys.stdin)
def watch():
    while os.getppid() == task["parent"]:
        time.sleep(1)
    os._exit(1)
threading.Thread(target=watch, daemon=True).start()
site.addsitedir(task["site"])
sys.path[:0] = [os.path.join(task["source"], p) for p in task["backend_path"]]
module, _, path = task["backend"].partition(":")
backend = importlib.import_module(module)
for part in filter(None, path.split(".")):
    backend = getattr(backend, part)
os.chdir(task["source"])
hook = getattr(backend, task["hook"], None)
result = {"missing": True} if hook is None else {"value": hook(*task["arguments"])}
with open(task["result"], "w") as out:
    json.dump(result, out)
"""


@dataclass(frozen=True, slots=True)
class BuildSystem:
    """The `[build-system]` table, with the defaults of PEP 517 for what it leaves out."""

    requires: tuple[str, ...] = FALLBACK_REQUIRES
    backend: str = FALLBACK_BACKEND
    backend_path: tuple[str, ...] = ()

    @classmethod
    def of(cls, pyproject: dict[str, Any], where: str) -> BuildSystem:
        """Read it from a parsed pyproject.toml; raises BadMetadata for a malformed table."""
        table = pyproject.get("build-system")
        if table is None:
            return cls()
        requires = table.get("requires") if isinstance(table, dict) else None
        if not isinstance(requires, list) or not all(isinstance(r, str) for r in requires):
            raise BadMetadata(f"{where}: [build-system] has no list `requires`")
        backend = table.get("build-backend", FALLBACK_BACKEND)
        return cls(tuple(requires), str(backend), tuple(table.get("backend-path", ())))


class Isolation:
    """Unpacks what a build needs and runs its hooks; thread-safe.

    `provide` resolves and fetches requirements: it gets requirement strings and the name of
    what needs them, and returns the paths of wheels. `python` is the interpreter that builds.
    """

    def __init__(
        self,
        provide: Callable[[Sequence[str], str], Sequence[Path]],
        children: Children | None = None,
        python: str = sys.executable,
    ) -> None:
        self.children = children or Children()
        self._provide = provide
        self._python = python

    def metadata(self, source: Path, system: BuildSystem, where: str) -> bytes:
        """Return the METADATA that a wheel built from `source` would have."""
        with self.children.room("dpip-build-") as made:
            out = made / "out"
            out.mkdir()
            build = self._prepared(source, system, made, where)
            prepared = build.call("prepare_metadata_for_build_wheel", str(out), None)
            if "missing" not in prepared:
                return _text(out / str(prepared["value"]) / "METADATA", where)
            from dpip.resolve.metadata import wheel_metadata

            wheel = str(build.call("build_wheel", str(out), None, None).get("value"))
            try:
                return wheel_metadata(out / wheel, wheel)
            except BadMetadata as error:
                raise BuildFailed(f"{where}: {error.message}") from None

    def wheel(self, source: Path, system: BuildSystem, target: Path, where: str) -> Path:
        """Build a wheel from `source` into `target` and return its path."""
        target.mkdir(parents=True, exist_ok=True)
        with self.children.room("dpip-build-") as made:
            build = self._prepared(source, system, made, where)
            return target / str(build.call("build_wheel", str(target), None, None).get("value"))

    def _prepared(self, source: Path, system: BuildSystem, room: Path, where: str) -> _Build:
        build = _Build(self._python, source, system, room / "tree", where, self.children)
        (room / "tree" / wheel_install.SITE).mkdir(parents=True)
        self._install(build, system.requires)
        more = build.call("get_requires_for_build_wheel", None).get("value") or []
        self._install(build, [str(requirement) for requirement in more])
        return build

    def _install(self, build: _Build, requires: Sequence[str]) -> None:
        for wheel in self._provide(requires, build.where) if requires else ():
            try:
                wheel_install.install(str(wheel), str(build.tree), build.python)
            except wheel_install.BadWheel as error:
                raise BuildFailed(f"{build.where}: {error}") from None


@dataclass(frozen=True, slots=True)
class _Build:
    """One source tree with its environment unpacked in `tree`."""

    python: str
    source: Path
    system: BuildSystem
    tree: Path
    where: str
    children: Children

    def call(self, hook: str, *arguments: Any) -> dict[str, Any]:
        """Return {"value": …}, or {"missing": True} for a hook that the backend lacks."""
        site, result = str(self.tree / wheel_install.SITE), self.tree / "result.json"
        result.unlink(missing_ok=True)
        task = {
            "source": str(self.source),
            "site": site,
            "backend": self.system.backend,
            "backend_path": self.system.backend_path,
            "hook": hook,
            "arguments": arguments,
            "result": str(result),
            "parent": os.getpid(),
        }
        path = [str(self.tree / "bin"), os.environ.get("PATH", "")]
        # A backend may say any number of bytes, of any kind: they go to a file.
        with _AT_ONCE, tempfile.TemporaryFile() as said:
            code = self.children.run(
                [self.python, "-I", "-S", "-c", _HOOKS],
                json.dumps(task).encode(),
                stdout=said,
                stderr=subprocess.STDOUT,
                # Programs that a backend starts find what it has; it itself ignores PYTHONPATH.
                env={
                    "SOURCE_DATE_EPOCH": "315532800",  # the same source builds to the same bytes
                    **os.environ,
                    "PYTHONPATH": site,
                    "PATH": os.pathsep.join(path),
                },
            )
            where = f"{self.where}: {hook}"
            return _result(result) if result.exists() else _failed(where, code, said)


def _result(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def _failed(where: str, code: int, said: IO[bytes]) -> NoReturn:
    """Raise BuildFailed with the last that a backend said."""
    size = said.seek(0, os.SEEK_END)
    said.seek(max(0, size - MOST_READ))
    lines = said.read().decode("utf-8", "replace").strip().splitlines()
    last = lines[-1][:MOST_SAID] if lines else f"exit code {code}"
    raise BuildFailed(f"{where} failed: {last}", output="\n".join(lines[-40:]))


def _text(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise BuildFailed(f"{where}: the backend wrote no METADATA: {error}") from None
