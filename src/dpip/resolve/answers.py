"""Whole answers, kept: the same question on the same state of the index costs one read.

The key is everything that was asked: the words of the command, the text of every file that it
names, the environment that it is for. What the answer stands on, the pages that were read,
is kept beside it. While all of them are fresh the answer is printed as it is; after that
`answering.py` asks whether anything has changed. A question that points at things which can
change without an index saying so (local directories, repositories, hashless URLs) is never
kept.

This module is on the path of every warm run: it imports next to nothing.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dpip import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable

_NESTED = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)(?:\s*=\s*|\s*)(\S+)", re.MULTILINE)
_CHANGEABLE = re.compile(r"://|^\s*(?:[./~]|-e\b|--editable)|\$\{", re.MULTILINE)
_INDEX_LINE = re.compile(r"^\s*(?:-i|--index-url|--extra-index-url)\b.*$", re.MULTILINE)
_SEPARATOR = "\x1f"


def key(options: Iterable[tuple[str, object]], files: Iterable[str]) -> str | None:
    """Return the key of a question, or None if its answer must not be kept.

    `options` are names with values; `files` the requirement files that the command names.
    """
    parts = [__version__, sys.version, *_machine()]
    for name, value in options:
        parts += [name, repr(value)]
    for path in files:
        text = _text(path, set())
        if text is None:
            return None
        parts += [path, text]
    return _SEPARATOR.join(parts)


def is_changeable(requirement: str) -> bool:
    """Say whether a requirement points at something that no index vouches for."""
    return (
        _CHANGEABLE.search(requirement) is not None
        or " @ " in requirement
        or "/" in requirement.partition(";")[0]
    )


def _machine() -> list[str]:
    return list(os.uname()) if hasattr(os, "uname") else [sys.platform]


def _text(path: str, seen: set[str]) -> str | None:
    """Return a requirements file with all that it includes, or None."""
    if "://" in path or path in seen:
        return None
    seen.add(path)
    try:
        text = Path(path).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    if _CHANGEABLE.search(_INDEX_LINE.sub("", text)) or " @ " in text:
        return None
    parts = [text]
    for nested in _NESTED.findall(text):
        more = _text(str(Path(path).parent / nested), seen)
        if more is None:
            return None
        parts.append(more)
    return _SEPARATOR.join(parts)
