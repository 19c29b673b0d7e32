"""The warm path: a line that was answered before costs one read of one small file.

Next to the facts store lies a directory of lines, one file for each command line that led to
an answer, with all that it takes to give it again:

    line    what was asked: the words, the variables that matter, this Python, this machine
    plan    how it was understood:
            where the answer goes (empty: standard output), and flags ("q": no warnings)
            "text", a requirements file that the line names, and what it held
            "state", a configuration file that the answer depends on, and its size and times
    term    until when the answer may be given unasked, in seconds since the epoch
    talk    the warnings
    body    the answer

A line whose files are as they were, and whose term has not ended, means what it meant: it
needs neither argparse nor the store nor the resolver. Anything else, anything strange
included, is left to `resolve.py`, which has the answer in the store as well and revalidates it
there. That is why this module imports next to nothing, and spells out what `pathlib` and
`sqlite3` would do better: starting Python costs 10 ms, each of those another 3 to 8.
"""

import os
import sys
import time
from zlib import crc32

from dpip import __version__
from dpip.resolve.place import default_directory, replace, state

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FOLDER = "lines"
FILES = 4096
"""The most files that there can be: a newer line takes the place of an older one."""
_PART, _ROW, _FIELD = "\x1d", "\x1e", "\x1f"
_NAMED = frozenset(
    {"HOME", "USERPROFILE", "VIRTUAL_ENV", "CONDA_PREFIX", "XDG_CONFIG_HOME", "XDG_CONFIG_DIRS"}
)


def answered(words: "Sequence[str]") -> bool:
    """Give the answer to a line of `dpip resolve` if it is at hand and fresh."""
    line, directory = _line(words), facts_directory(words)
    found = _read(_place(directory, line)) if line and directory else None
    if found is None or found[0] != line:
        return False
    _, plan, term, talk, body = found
    rows = [row.split(_FIELD) for row in plan.split(_ROW)]
    if float(term) <= time.time() or not all(_holds(*row) for row in rows[1:]):
        return False
    output, flags = rows[0]
    give(body, talk, output, quiet="q" in flags)
    return True


def keep(  # noqa: PLR0917 - one call, beside the answer
    words: "Sequence[str]",
    directory: str,
    plan: str | None,
    term: float,
    talk: str,
    body: str,
) -> None:
    """Remember what a line led to. Failing to is no failure: the store has the answer."""
    line = _line(words)
    if line is None or plan is None or _PART in line + plan + talk:
        return
    data = _PART.join((line, plan, repr(term), talk, body)).encode("utf-8", "surrogateescape")
    place = _place(directory, line)
    try:
        os.makedirs(os.path.dirname(place), exist_ok=True)
        replace(place, b"%08x" % crc32(data) + data)
    except OSError:
        return


def forget(directory: str) -> None:
    """Drop all lines: somebody wants to hear what the index says now."""
    folder = os.path.join(directory, FOLDER)
    try:
        for name in os.listdir(folder):
            os.unlink(os.path.join(folder, name))
    except OSError:
        return


def plan(
    output: str | None, *, quiet: bool, texts: "Mapping[str, str]", states: "Iterable[str]"
) -> str | None:
    """Return how a line was understood; None where that cannot be written down."""
    rows: list[tuple[str, ...]] = [(output or "", "q" if quiet else "")]
    rows += [("text", path, text) for path, text in texts.items()]
    rows += [("state", path, state(path)) for path in states]
    if any(_FIELD in part or _ROW in part for row in rows for part in row):
        return None
    return _ROW.join(map(_FIELD.join, rows))


def give(body: str, talk: str, output: str | None, *, quiet: bool) -> None:
    """Write the answer to its place and the warnings to standard error."""
    if talk and not quiet:
        sys.stderr.write(talk)
    if not output:
        sys.stdout.write(body)
        return
    try:
        replace(output, body.encode())
    except OSError as error:
        from dpip.errors import UsageError

        raise UsageError(f"cannot write {output}: {error.strerror or error}") from None


def _line(words: "Sequence[str]") -> str | None:
    """Return what a line is known by; None for one that must not be kept.

    Secrets in words or variables are such a reason. What may stand anywhere in the line and
    says where the answer lies must be written out in full.
    """
    variables = [
        f"{name}={value}"
        for name, value in sorted(os.environ.items())
        if name.startswith(("DPIP_", "PIP_")) or name in _NAMED
    ]
    told = [*variables, *words]
    if any("@" in each or _FIELD in each for each in told):
        return None
    if "--" in words or any(_is_short_for_cache_dir(word) for word in words):
        return None
    machine = tuple(os.uname()) if hasattr(os, "uname") else (sys.platform,)
    return _FIELD.join((__version__, sys.version, sys.prefix, *machine, *told))


def _is_short_for_cache_dir(word: str) -> bool:
    """Say whether argparse takes the word for --cache-dir though it is not spelt so."""
    name = word.partition("=")[0]
    return name.startswith("--c") and "--cache-dir".startswith(name) and name != "--cache-dir"


def facts_directory(words: "Sequence[str]") -> str | None:
    """Return where a line keeps its facts; None where it is left without a value."""
    directory = None
    for at, word in enumerate(words):
        if word.startswith("--cache-dir="):
            directory = word.partition("=")[2]
        elif word == "--cache-dir":
            directory = words[at + 1] if at + 1 < len(words) else None
    return os.path.expanduser(directory) if directory else default_directory()


def _place(directory: str, line: str) -> str:
    number = crc32(line.encode("utf-8", "surrogateescape")) % FILES
    return os.path.join(directory, FOLDER, f"{number:03x}")


def _read(path: str) -> list[str] | None:
    """Return the parts of a kept line; None if there is none, or not all of it."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        return None
    if data[:8] != b"%08x" % crc32(memoryview(data)[8:]):
        return None
    return data[8:].decode("utf-8", "surrogateescape").split(_PART, 4)


def _holds(kind: str, path: str, before: str) -> bool:
    if kind == "state":
        return state(path) == before
    try:
        with open(path, "rb") as file:
            return file.read() == before.encode("utf-8", "surrogateescape")
    except OSError:
        return False
