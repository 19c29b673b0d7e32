"""What pip said, remembered: starting pip takes half a second, and it mostly says the same.

One small file a question lies in the cache directory. It holds what pip's answer depends on:

    question    the words, which Python's pip, and the variables that pip reads
    states      size, time and inode of pip itself and of every file that may configure it

and the answer. If any of that is otherwise now, pip is asked again. An answer that may hold a
secret (anything with an "@") is not written down.
"""

from __future__ import annotations

import json
import os
import sys
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from dpip.resolve.place import default_directory, replace, state

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

FOLDER = "pip"
_PLACES = frozenset({"HOME", "USERPROFILE", "APPDATA", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"})


def remembered(
    python: Path, words: Sequence[str], environ: Mapping[str, str], ask: Callable[[], str]
) -> str:
    """Return what `ask` returns, from the file if nothing that it depends on has changed."""
    installed = _pip_of(python)
    if installed is None:
        return ask()
    variables = sorted(
        (name, value)
        for name, value in environ.items()
        if name.startswith("PIP_") or name in _PLACES
    )
    question = json.dumps([str(python), *words, variables])
    # Variables may hold secrets: the file holds the digest of what was asked.
    digest = blake2b(question.encode("utf-8", "surrogateescape"), digest_size=20).hexdigest()
    states = [state(str(path)) for path in (python, installed, *configuration(python, environ))]
    place = Path(default_directory()) / FOLDER / digest
    held = _read(place)
    if held is not None and held.get("states") == states:
        return str(held["answer"])
    answer = ask()
    if "@" not in answer:
        _keep(place, json.dumps({"states": states, "answer": answer}))
    return answer


def configuration(python: Path | None, environ: Mapping[str, str]) -> list[Path]:
    """Return where pip's configuration may lie (its own documentation, "Configuration")."""
    home = Path.home()
    base = Path(environ.get("XDG_CONFIG_HOME") or home / ".config")
    shared = (environ.get("XDG_CONFIG_DIRS") or "/etc/xdg").split(os.pathsep)
    places = [Path(folder) / "pip/pip.conf" for folder in shared if folder]
    places += [Path("/etc/pip.conf"), base / "pip/pip.conf", home / ".pip/pip.conf"]
    places += [home / "Library/Application Support/pip/pip.conf"]
    places += [home / "pip/pip.ini", Path(environ.get("APPDATA") or home) / "pip/pip.ini"]
    sites: Iterable[str | None] = (environ.get("VIRTUAL_ENV"), environ.get("CONDA_PREFIX"))
    roots = [Path(site) for site in (*sites, sys.prefix) if site]
    if python is not None:
        roots.append(python.parent.parent)
    places += [root / name for root in roots for name in ("pip.conf", "pip.ini")]
    if named := environ.get("PIP_CONFIG_FILE"):
        places.append(Path(named))
    return places


def _pip_of(python: Path) -> Path | None:
    """Return a directory that changes when a Python's pip does; None if it is not plain."""
    root = python.parent.parent
    patterns = ("lib/python*/*-packages/pip", "Lib/site-packages/pip")
    found = [path for pattern in patterns for path in root.glob(pattern)]
    return found[0] if len(found) == 1 else None


def _read(place: Path) -> dict[str, object] | None:
    try:
        held = json.loads(place.read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return held if isinstance(held, dict) and isinstance(held.get("answer"), str) else None


def _keep(place: Path, text: str) -> None:
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        replace(str(place), text.encode())
    except OSError:
        return
