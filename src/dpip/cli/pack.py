"""`dpip pack`: a small executable zip that fetches what it needs at its first start."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec.structs import replace

from dpip.cli import resolve
from dpip.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from dpip.resolve.engine import Engine
    from dpip.resolve.pack import Start
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Impossible, Solution


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words of `dpip pack`."""
    resolve.add_question(parser)
    add = parser.add_argument
    add("-o", "--output", metavar="FILE", required=True, help="the archive, such as app.pyz")
    add("-m", "--entry-point", metavar="M[:F]", help="a module, or module:function, to start")
    add("--script", metavar="NAME", help="a console script to start; else the first REQ's")
    add("--include", action="store_true", help="put the wheels inside")


def run(args: argparse.Namespace) -> int:
    """Write the archive; 0, or 1 with an explanation why there is no answer."""
    from dpip.cli import question
    from dpip.cli.progress import Progress
    from dpip.resolve import pack
    from dpip.resolve.engine import Engine
    from dpip.resolve.errors import CannotWrite
    from dpip.resolve.place import FILE_NAME, default_directory
    from dpip.resolve.store import Store

    where = resolve.whereabouts(args)
    words = question.read(args, where)
    start = _start(args, words.names())
    directory = Path(args.cache_dir or default_directory()).expanduser()
    progress = Progress("resolving", quiet=args.quiet)
    store = Store(None if args.no_cache else directory / FILE_NAME)
    engine = Engine(words.places, store, directory, time.time(), progress.show)
    try:
        engine.facts.expect(words.names())
        solutions, failure = _solve(engine, question.request(words, args), args)
        progress.clear()
        if not solutions and failure is not None:
            sys.stderr.write(failure.explanation.text())
            return 1
        body = pack.pack(engine, solutions, start, include=args.include)
    except OSError as error:
        raise CannotWrite.because(error) from None
    finally:
        progress.clear()
        engine.close()
    _write(Path(args.output), body)
    if not args.quiet:
        sys.stderr.write(f"{args.output}: {len(body):,} bytes, Python {', '.join(solutions)}\n")
    return 0


def _start(args: argparse.Namespace, names: list[str]) -> Start:
    from dpip.resolve.pack import Start

    if args.entry_point:
        module, _, function = args.entry_point.partition(":")
        return Start(module=module, function=function)
    script = args.script or (names[0] if names else "")
    if not script:
        raise UsageError("what is to be started?", hint="say it with -m MODULE or --script NAME")
    return Start(script=script)


def _solve(
    engine: Engine, request: Request, args: argparse.Namespace
) -> tuple[dict[str, Solution], Impossible | None]:
    """Return an answer for each Python version that has one, and why the last has none."""
    from dpip.resolve.environment import target
    from dpip.resolve.pack import PYTHONS
    from dpip.resolve.resolution import Solution

    here = ".".join(map(str, sys.version_info[:2]))
    named = [args.python_version] if args.python_version else sorted({*PYTHONS, here}, key=_key)
    found: dict[str, Solution] = {}
    failure: Impossible | None = None
    for python in named:
        asked = replace(request, target=target(python, args.python_platform, args.platform))
        outcome = engine.solve(asked)
        if isinstance(outcome, Solution):
            found[".".join(python.split(".")[:2])] = outcome
        else:
            failure = outcome
    return found, failure


def _key(python: str) -> tuple[int, ...]:
    return tuple(map(int, python.split(".")))


def _write(path: Path, body: bytes) -> None:
    temporary = path.with_name(f".{path.name}.part")
    try:
        temporary.write_bytes(body)
        temporary.chmod(0o755)
        temporary.replace(path)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror or error}") from None
