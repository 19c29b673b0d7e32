"""The environment in which package tools use the node, and how a tool is run in it.

pip, uv, pdm and pipenv take their index from variables; so the tool's own words stay as they
are, and an index that the user names on the command line still wins. poetry has no such
variable: it needs a source in its project file.
"""

from __future__ import annotations

import signal
import subprocess
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dpip.errors import DpipError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import FrameType

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class CommandNotFound(DpipError):
    """The program to run does not exist."""

    slug = "command-not-found"
    exit_code = 127


def environment(node_url: str, environ: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of `environ` in which package tools use the node at `node_url`."""
    index = f"{node_url}/simple/"
    host = urlsplit(node_url).hostname or ""
    changed = {
        **environ,
        "PIP_INDEX_URL": index,
        # A second index would be asked for every name and could win with any version. The
        # same URL twice is one index to pip; an empty value would let pip.conf's come through.
        "PIP_EXTRA_INDEX_URL": index,
        # pip keeps answers of a plain http index in its cache only where the host is trusted.
        "PIP_TRUSTED_HOST": _joined(environ.get("PIP_TRUSTED_HOST", ""), [host], " "),
        "UV_DEFAULT_INDEX": index,
        "UV_INDEX_URL": index,
        "PDM_PYPI_URL": index,
        "PIPENV_PYPI_MIRROR": index,
    }
    for name in ("UV_EXTRA_INDEX_URL", "UV_INDEX", "PIP_NO_INDEX"):
        changed.pop(name, None)
    for name in ("NO_PROXY", "no_proxy"):
        changed[name] = _joined(environ.get(name, ""), [host, *_LOOPBACK], ",")
    return changed


def run(command: Sequence[str], environ: Mapping[str, str]) -> int:
    """Run a program on our own terminal and return its exit code, as a shell states it.

    Raises CommandNotFound. Signals that end a process are passed on; an interrupt from the
    terminal reaches the child by itself, and we wait for what it makes of it.
    """
    try:
        child = subprocess.Popen(command, env=dict(environ))
    except OSError as error:
        raise CommandNotFound(f"cannot run {command[0]}: {error.strerror}") from None

    def pass_on(number: int, frame: FrameType | None) -> None:
        del frame
        child.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in _passed_on()}
    before[signal.SIGINT] = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        code = child.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def _passed_on() -> list[int]:
    names = ("SIGTERM", "SIGHUP", "SIGQUIT")
    return [getattr(signal, name) for name in names if hasattr(signal, name)]


def _joined(have: str, wanted: Sequence[str], separator: str) -> str:
    words = [word for word in have.replace(",", " ").split() if word]
    words += [word for word in wanted if word not in words]
    return separator.join(words)
