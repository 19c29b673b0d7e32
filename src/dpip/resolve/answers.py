"""Whole answers, kept: the same question on the same state of the index costs one read.

The key is everything that was asked: the words of the command, the text of every file that it
names, the environment that it is for. What the answer stands on, the pages that were read,
is kept beside it. While all of them are fresh the answer is printed as it is; after that
`answering.py` asks whether anything has changed. A question that points at things which can
change without an index saying so (local directories, repositories, hashless URLs) is never
kept.

A line of the command that was given before is recognized without any of this: see
`cli/warm.py`.
"""

from __future__ import annotations

import os
import re
import sys
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dpip import __version__

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_NESTED = re.compile(r"^\s*(?:-r|-c|--requirement|--constraint)(?:\s*=\s*|\s*)(\S+)")
_INDEX_LINE = re.compile(r"^\s*(?:-i|--index-url|--extra-index-url)\b")
_CHANGEABLE = re.compile(r"/| @ |^\s*(?:[.~]|-e|--editable|-f|--find-links)|\.(?:whl|zip|tar|tgz)")
_COMMENT = re.compile(r"(?:^|\s)#.*$")
_SEPARATOR = "\x1f"


class Question(NamedTuple):
    """A question that may be kept: its key, and the requirements files that it was read from."""

    key: str
    files: Mapping[str, str]
    """Text by path, everything that they include with them."""


def question(options: Iterable[tuple[str, object]], files: Iterable[str]) -> Question | None:
    """Return what a question is known by, or None if its answer must not be kept.

    `options` are names with values; `files` the requirement files that the command names.
    """
    parts = [__version__, sys.version, *_machine()]
    for name, value in options:
        parts += [name, repr(value)]
    read: dict[str, str] = {}
    for path in files:
        if not _read(path, read):
            return None
        parts.append(path)
    parts += [part for each in read.items() for part in each]
    # What is asked may hold names that are nobody's business: the store keeps their digest.
    digest = blake2b(_SEPARATOR.join(parts).encode("utf-8", "surrogateescape"), digest_size=20)
    return Question(digest.hexdigest(), read)


def is_changeable(requirement: str) -> bool:
    """Say whether a requirement points at something that no index vouches for."""
    return _CHANGEABLE.search(requirement.partition(";")[0]) is not None


def _machine() -> list[str]:
    return list(os.uname()) if hasattr(os, "uname") else [sys.platform]


def _read(path: str, into: dict[str, str]) -> bool:
    """Add a requirements file and all that it includes; say whether all of it may be kept."""
    if "://" in path:
        return False
    if path in into:
        return True
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    into[path] = text
    return all(_may_be_kept(line, path, into) for line in text.splitlines())


def _may_be_kept(line: str, path: str, into: dict[str, str]) -> bool:
    line = _COMMENT.sub("", line)
    if nested := _NESTED.match(line):
        return _read(str(Path(path).parent / nested[1]), into)
    if "${" in line:
        return False
    return _INDEX_LINE.match(line) is not None or not is_changeable(line)
