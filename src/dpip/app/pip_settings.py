"""What the user's own pip is configured with, asked of pip itself through its command line.

pip has no stable Python interface, so it is always a child process. No index host is written
anywhere in dpip: where nothing is configured, pip's own default is read from pip's help.
"""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from dpip.app.pip_memory import remembered
from dpip.errors import DpipError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_DEFAULT = re.compile(r"--index-url.*?\(default\s+(\S+?)\)", re.DOTALL)
_SECTIONS = (":env:", "install", "download", "global")


class PipMissing(DpipError):
    """No Python environment with pip was found."""

    slug = "pip-missing"
    exit_code = 7
    default_hint = "activate an environment that has pip, or run `python -m ensurepip`"


@dataclass(frozen=True, slots=True)
class PipSettings:
    """pip's settings by section, as `pip config list` prints them; the order is pip's."""

    values: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    def get(self, key: str) -> str | None:
        """Return the value that an install would use: environment, command, global."""
        for section in _SECTIONS:
            if value := self.values.get(section, {}).get(key):
                return value
        return None


def environment_python(environ: Mapping[str, str] | None = None) -> Path:
    """Return the Python whose pip the user means.

    That is the active environment's (venv, then conda), else the one that dpip is installed
    in, else the first on PATH; the first of these that has pip.
    """
    environ = os.environ if environ is None else environ
    folders = [environ.get("VIRTUAL_ENV"), environ.get("CONDA_PREFIX")]
    pythons = [Path(folder, *_PYTHON) for folder in folders if folder]
    pythons.append(Path(sys.executable))
    pythons += [Path(found) for name in ("python3", "python") if (found := shutil.which(name))]
    for python in pythons:
        if python.is_file() and has_pip(python):
            return python
    raise PipMissing("no Python environment with pip was found")


_PYTHON = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")


def has_pip(python: Path) -> bool:
    """Say whether a Python has pip, without starting it where its folders tell."""
    if python.samefile(sys.executable) and python.parent == Path(sys.executable).parent:
        import importlib.util

        return importlib.util.find_spec("pip") is not None
    if any((python.parent.parent / "lib").glob("python*/site-packages/pip/__main__.py")):
        return True
    code = "import sys, importlib.util as u; sys.exit(u.find_spec('pip') is None)"
    return subprocess.run([python, "-c", code], check=False).returncode == 0


def ask_pip(python: Path, environ: Mapping[str, str] | None = None) -> PipSettings:
    """Return what `pip config list` says."""
    values: dict[str, dict[str, str]] = {}
    for line in _pip(python, "config", "list", environ=environ).splitlines():
        name, equals, text = line.partition("=")
        section, dot, key = name.rpartition(".")
        if equals and dot:
            values.setdefault(section, {})[key] = _literal(text)
    return PipSettings(values)


def default_index(python: Path) -> str:
    """Return the index that pip uses where nothing is configured, as its help says."""
    match = _DEFAULT.search(_pip(python, "download", "--help"))
    if match is None:
        raise PipMissing(
            "pip does not say which index it uses", hint="name one: --index-url or DPIP_INDEX_URL"
        )
    return match[1]


@dataclass(frozen=True, slots=True)
class PipPlaces:
    """Where the user's pip looks for files, and how it connects."""

    index_url: str
    extra_index_urls: tuple[str, ...] = ()
    find_links: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    """What pip's settings say on connections, as the variables that would say the same."""


def index_url(own_url: str, environ: Mapping[str, str] | None = None) -> str:
    """Return the index that the user's pip would use without dpip.

    `own_url` is this node's: a pip that already points here must not become its own upstream.
    """
    return places(own_url, environ).index_url


def places(own_url: str, environ: Mapping[str, str] | None = None) -> PipPlaces:
    """Return where the user's pip would look without dpip; `own_url` as in `index_url`."""
    environ = dict(os.environ if environ is None else environ)
    python = environment_python(environ)
    told = ask_pip(python, environ)
    configured = told.get("index-url")
    if configured is not None and configured.startswith(own_url):
        environ.pop("PIP_INDEX_URL", None)
        told = ask_pip(python, environ)
        configured = told.get("index-url")
    if configured is None or configured.startswith(own_url):
        configured = default_index(python)
    named = {name: told.get(name) for name in ("cert", "client-cert", "proxy")}
    return PipPlaces(
        configured,
        tuple(url for url in _words(told, "extra-index-url") if not url.startswith(own_url)),
        _words(told, "find-links"),
        _words(told, "trusted-host"),
        tuple((f"PIP_{k.upper().replace('-', '_')}", v) for k, v in named.items() if v),
    )


def _words(told: PipSettings, key: str) -> tuple[str, ...]:
    return tuple((told.get(key) or "").split())


def run_pip(python: Path, *words: str) -> str:
    """Return what a pip command prints. Raises PipMissing, also where the command fails."""
    return _pip(python, *words)


def _pip(python: Path, *words: str, environ: Mapping[str, str] | None = None) -> str:
    """Return what pip prints, without starting it where it would only say the same again."""
    variables = {**(os.environ if environ is None else environ), "COLUMNS": "400"}
    return remembered(python, words, variables, lambda: _run_pip(python, words, variables))


def _run_pip(python: Path, words: Sequence[str], variables: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            [python, "-m", "pip", "--disable-pip-version-check", *words],
            capture_output=True, text=True, check=False, env=variables, timeout=60,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PipMissing(f"cannot run {python} -m pip: {error}") from None
    if done.returncode != 0:
        raise PipMissing(f"{python} -m pip {words[0]} failed: {done.stderr.strip()[-300:]}")
    return done.stdout


def _literal(text: str) -> str:
    try:
        return str(ast.literal_eval(text))
    except (ValueError, SyntaxError):
        return text
