"""The `dpip` command: a table of command names to modules, and the one error border.

`dpip --version` must cost little more than starting Python, and so must a resolve that was
done before (`warm.py`): this module imports only the standard library's cheap parts, not even
`typing`; a command's module is imported when it is named. A word that is not in the table is
pip's: `dpip install flask` runs the environment's own pip.
Each command module has `add_arguments(parser)` and `run(args) -> int`, where `args.words` is
the line as it was given; commands in `RAW_COMMANDS` get their words unparsed through
`run_raw(argv) -> int`.
"""

from __future__ import annotations

import os
import sys

from dpip import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import NoReturn

    from dpip.errors import DpipError

COMMANDS: dict[str, tuple[str, str]] = {
    "resolve": ("dpip.cli.resolve", "requirements in, the whole == closure out"),
    "pack": ("dpip.cli.pack", "a small executable zip that fetches what it needs"),
    "run": ("dpip.cli.run", "run a package tool (uv, pdm, …) through the node: dpip run -- CMD"),
    "node": ("dpip.cli.node", "run, start, stop or inspect the node"),
    "doctor": ("dpip.cli.doctor", "show what would bypass the node"),
    "mirror": ("dpip.cli.mirror", "follow an upstream, filtered or whole"),
    "verify": ("dpip.cli.verify", "compare store, index and upstream"),
    "pin": ("dpip.cli.pin", "say what garbage collection must keep"),
    "gc": ("dpip.cli.gc", "give back the room of what no pin keeps"),
    "fsck": ("dpip.cli.fsck", "check the content store, and repair it"),
    "route": ("dpip.cli.route", "list, set or remove which source a name has"),
    "index": ("dpip.cli.index", "publish an index under an IPNS name, or follow one"),
    "koi": ("dpip.cli.koi", "the network: peers, what is known, what comes in"),
    "private": ("dpip.cli.private", "upload tokens, and the files that were uploaded here"),
    "ipfs": ("dpip.cli.ipfs", "content by hand: add, cat, get, ls, car, key, name, …"),
    "config": ("dpip.cli.config", "list, get or set persistent settings"),
}
"""Command name to (module, one line of help)."""

RAW_COMMANDS: frozenset[str] = frozenset({"run"})
"""Commands that take the rest of the line as it is."""


def entry() -> NoReturn:
    """Run the command line of this process and exit with its code."""
    code = main(sys.argv[1:])
    if sys.argv[1:2] == ["resolve"]:
        _leave(code)
    sys.exit(code)


def _leave(code: int) -> NoReturn:
    """End at once: everything is written and closed.

    Taking the interpreter apart, module by module, costs a cold resolve a fifth of its time.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            code = code or 141
    os._exit(code)


def main(argv: Sequence[str]) -> int:
    """Run one command line and return its exit code; never lets a traceback out."""
    try:
        return _dispatch(list(argv))
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader went away (`dpip … | head`): not an error of ours.
        sys.stderr.close()
        return 141
    except Exception as error:
        from dpip.errors import DpipError

        if not isinstance(error, DpipError):
            raise
        _report(error, as_json="--json" in argv)
        return error.exit_code


def _dispatch(argv: list[str]) -> int:
    if not argv or argv[0] in {"-h", "--help", "help"}:
        sys.stdout.write(usage())
        return 0
    if argv[0] in {"-V", "--version"}:
        sys.stdout.write(f"dpip {__version__}\n")
        return 0
    if argv[0] == "resolve":
        from dpip.cli import warm

        if warm.answered(argv[1:]):
            return 0
        from dpip.cli import early

        early.begin(argv[1:], warm.facts_directory(argv[1:]))
    if argv[0] not in COMMANDS:
        from dpip.cli import pip

        return pip.run_raw(argv)
    return _run(argv[0], argv[1:])


def _run(name: str, argv: list[str]) -> int:
    import argparse
    import importlib

    module_name, summary = COMMANDS[name]
    module = importlib.import_module(module_name)
    if name in RAW_COMMANDS:
        return int(module.run_raw(argv))

    def formatter(prog: str) -> argparse.HelpFormatter:
        # With a width given, argparse does not import what it takes to find it out.
        return argparse.HelpFormatter(prog, width=_columns())

    parser = argparse.ArgumentParser(
        prog=f"dpip {name}", description=summary, formatter_class=formatter
    )
    module.add_arguments(parser)
    args = parser.parse_args(argv)
    args.words = argv
    return int(module.run(args))


def _columns() -> int:
    try:
        return os.get_terminal_size().columns - 2
    except OSError:
        return 78


def usage() -> str:
    """Return the text of `dpip --help`."""
    rows = "".join(f"  {name:<10} {summary}\n" for name, (_, summary) in COMMANDS.items())
    return f"usage: dpip COMMAND …\n\n{rows}\nAny other word is a pip command.\n"


def _report(error: DpipError, *, as_json: bool) -> None:
    if as_json:
        import json

        sys.stderr.write(json.dumps(error.as_dict()) + "\n")
        return
    sys.stderr.write(f"error: {error.message}\n")
    if error.hint:
        sys.stderr.write(f"hint: {error.hint}\n")
