"""`dpip resolve`: requirements in, the whole `==` closure out.

A question that was answered before, on pages that are still fresh, is answered from the store
without importing the resolver; so is one whose pages, asked for again, have not changed. A
line that was given before does not even come here: see `warm.py`.
"""

from __future__ import annotations

import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dpip.cli import warm
from dpip.resolve import answers
from dpip.resolve.place import state

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterable

    from dpip.cli.default_index import Whereabouts
    from dpip.resolve.answering import Answered
    from dpip.resolve.answers import Question
    from dpip.resolve.engine import Engine
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Impossible, Solution
    from dpip.resolve.store import Answer, Store

FORMATS = ("requirements", "pylock", "json")
_NO_PART_OF_THE_QUESTION = frozenset(
    {"output", "cache_dir", "no_cache", "refresh", "download", "quiet", "json", "words"}
)
_KEPT_FOR = 30 * 86400.0
"""Seconds that an answer is kept after its term: it may still be revalidated."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the words of `dpip resolve`."""
    add_question(parser)
    add = parser.add_argument
    add("-o", "--output", metavar="FILE", help="write the answer there instead")
    add("--format", choices=FORMATS, help="of the answer; by FILE's name, else requirements")
    add("--generate-hashes", action="store_true", help="list every file that may be installed")
    add("--download", metavar="DIR", help="then fetch and verify all files into DIR")
    add("--json", action="store_true", help="tell errors, and why there is no answer, in JSON")


def add_question(parser: argparse.ArgumentParser) -> None:
    """Declare what says what to resolve and where to look; `dpip pack` shares it."""
    add = parser.add_argument
    add("requirement", nargs="*", metavar="REQ", help="name, specifier, extras, URL or path")
    many: dict[str, Any] = {"action": "append", "default": []}
    add("-r", "--requirement", dest="requirements", metavar="FILE", **many)
    add("-c", "--constraint", metavar="FILE", help="bounds on what others ask for", **many)
    add("--override", metavar="FILE", help="in place of what anybody asks for", **many)
    add("--group", metavar="[PATH:]NAME", help="a dependency group of a pyproject.toml", **many)
    add("--requirements-from-script", metavar="FILE", help="what a script says it needs", **many)
    add("-e", "--editable", metavar="PATH", help="a local project", **many)
    add("-i", "--index-url", metavar="URL", help="the index (PEP 503 and 691)")
    add("--extra-index-url", metavar="URL", help="asked before the index", **many)
    add("-f", "--find-links", metavar="PLACE", help="a directory or page of files", **many)
    add("--no-index", action="store_true", help="only --find-links")
    add("--trusted-host", metavar="HOST", help="do not check its certificate", **many)
    add("--node", metavar="URL", help="a node that prefetches the closure")
    add("--python-version", metavar="V", help="resolve for this Python")
    add("--python-platform", metavar="P", help="linux, macos, windows, or a target triple")
    add("--platform", metavar="TAG", help="a wheel platform tag", **many)
    add("--universal", action="store_true", help="one answer for all environments")
    add("--required-environment", metavar="MARKER", help="must have files too", **many)
    add("--pre", action="store_true", help="take pre-releases like any other version")
    add("--all-releases", metavar="X", help="the same for some: names, or :all:", **many)
    add("--only-final", metavar="X", help="no pre-releases: names, or :all:", **many)
    add("--only-binary", metavar="X", help="no source archives: names, or :all:", **many)
    add("--no-binary", metavar="X", help="no wheels: names, or :all:", **many)
    choices = ("highest", "lowest", "lowest-direct")
    add("--resolution", choices=choices, default="highest", help="which versions to prefer")
    add("--exclude-newer", metavar="T", help="ignore files uploaded after T")
    add("--cache-dir", metavar="DIR", help="where facts and files are kept")
    add("--no-cache", action="store_true", help="keep nothing")
    add("--refresh", action="store_true", help="ask for all pages again")
    add("--offline", action="store_true", help="use only what is stored")
    add("-q", "--quiet", action="store_true", help="no progress, no warnings")


def run(args: argparse.Namespace) -> int:
    """Answer; 0 with an answer, 1 with an explanation why there is none."""
    from dpip.resolve.place import FILE_NAME, default_directory
    from dpip.resolve.store import Store

    args.format = args.format or _format_of(args.output)
    directory = Path(args.cache_dir or default_directory()).expanduser()
    now = time.time()
    where = whereabouts(args)
    watched = _watched(args, where)
    with closing(Store(None if args.no_cache else directory / FILE_NAME)) as store:
        asked = None if watched is None else _question(args, where, watched)
        held = store.answer(asked.key) if asked and not args.refresh else None
        kept = Kept(store, directory, now, where, watched or [], asked, held)
        if held is not None and not args.download and (args.offline or held.fresh_until > now):
            return _give(held, kept, args)
        return _resolve(args, kept)


def _question(
    args: argparse.Namespace, where: Whereabouts, watched: Iterable[str]
) -> Question | None:
    # What no index vouches for is not kept: it may change without anybody saying so.
    if any(answers.is_changeable(each) for each in (*args.requirement, *args.editable)):
        return None
    if args.group or args.requirements_from_script:
        return None
    options = [
        (name, value)
        for name, value in sorted(vars(args).items())
        if name not in _NO_PART_OF_THE_QUESTION and value
    ]
    if _asks_default_index(args):
        options.append(("where", where))
    options.append(("states", [(path, state(path)) for path in watched]))
    return answers.question(options, [*args.requirements, *args.constraint, *args.override])


def _watched(args: argparse.Namespace, where: Whereabouts) -> list[str] | None:
    """Return the files besides requirements that an answer depends on; None: it always may."""
    from dpip.cli import default_index

    listed = default_index.listed((*args.find_links, *where.find_links))
    if listed is None or args.node or not _asks_default_index(args):
        return listed
    return [*default_index.configuration_files(), *listed]


def _asks_default_index(args: argparse.Namespace) -> bool:
    return not args.index_url and not args.no_index


class Kept(NamedTuple):
    """What earlier runs left: facts, files, and perhaps the answer (to be revalidated)."""

    store: Store
    directory: Path
    now: float
    where: Whereabouts
    watched: list[str]
    """Files whose change may change the answer."""
    asked: Question | None
    held: Answer | None


def _resolve(args: argparse.Namespace, kept: Kept) -> int:
    _load_msgspec()
    from dpip.cli import early, question
    from dpip.cli.progress import Progress
    from dpip.resolve import answering
    from dpip.resolve.engine import Engine

    where = kept.where
    words = question.read(args, where)
    progress = Progress("resolving", quiet=args.quiet)
    engine = Engine(
        words.places, kept.store, kept.directory, kept.now, progress.show, begun=early.begun
    )
    try:
        if kept.held is None and where.node is None:
            engine.facts.expect(words.names())
        request = question.request(words, args)
        if kept.asked and kept.held is not None and not args.download:
            again = answering.renewed(engine, kept.held, request, where.node)
            if again is not None:
                kept.store.put_answer(kept.asked.key, again)
                return _give(again, kept, args)
        answered = answering.answer(
            engine, request, where.node, words.names(), say=partial(_warn, args)
        )
        progress.clear()
        return _tell(answered, request, engine, kept, args)
    finally:
        progress.clear()
        engine.close()


def _load_msgspec() -> None:
    """Import msgspec without typing_extensions, which a tenth of the imports would go to.

    It takes three names from there that typing has as well, since Python 3.11.
    """
    if "typing_extensions" not in sys.modules:
        sys.modules["typing_extensions"] = None  # type: ignore[assignment]
        try:
            import msgspec
        finally:
            del sys.modules["typing_extensions"]
        assert msgspec


def whereabouts(args: argparse.Namespace) -> Whereabouts:
    """Return where the words say to ask, else where this machine is set up to."""
    from dpip.cli import default_index

    if args.index_url or args.no_index:
        return default_index.Whereabouts(args.index_url, args.node)
    return default_index.find(args.node)


def _warn(args: argparse.Namespace, line: str) -> None:
    if not args.quiet:
        sys.stderr.write(f"warning: {line}\n")


def _tell(
    answered: Answered,
    request: Request,
    engine: Engine,
    kept: Kept,
    args: argparse.Namespace,
) -> int:
    from dpip.resolve.resolution import Impossible
    from dpip.resolve.store import Answer

    outcome = answered.outcome
    if isinstance(outcome, Impossible):
        return _explain(outcome, args)
    body = rendered(outcome, request, args)
    talk = "".join(f"warning: {line}\n" for line in outcome.warnings)
    answer = Answer(answered.fresh_until, answered.reads, body, talk)
    if kept.asked:
        kept.store.put_answer(kept.asked.key, answer)
        kept.store.forget_before(kept.now - _KEPT_FOR)
    if args.download:
        from dpip.cli.progress import Progress
        from dpip.resolve import hydrate

        progress = Progress("downloading", unit="MB", quiet=args.quiet)
        hydrate.hydrate(outcome.pins, Path(args.download), engine.downloads, progress.show)
        progress.clear()
    return _give(answer, kept, args)


def rendered(solution: Solution, request: Request, args: argparse.Namespace) -> str:
    """Return the answer in the format that was asked for."""
    everything = args.generate_hashes or args.universal
    if args.format == "pylock":
        from dpip.resolve import pylock

        python = ".".join(request.target.python.split(".")[:2])
        wanted = request.requires_python or f">={python}"
        return pylock.render(solution, requires_python=wanted, all_files=everything)
    from dpip.resolve import lockfile

    if args.format == "json":
        return lockfile.as_json(solution, all_hashes=everything)
    return lockfile.requirements(solution, all_hashes=everything)


def _format_of(output: str | None) -> str:
    suffix = Path(output).suffix if output else ""
    return {".toml": "pylock", ".json": "json"}.get(suffix, "requirements")


def _explain(outcome: Impossible, args: argparse.Namespace) -> int:
    if args.json or args.format == "json":
        import json

        sys.stdout.write(json.dumps(outcome.explanation.as_dict(), indent=2) + "\n")
    else:
        sys.stderr.write(outcome.explanation.text())
    return 1


def _give(answer: Answer, kept: Kept, args: argparse.Namespace) -> int:
    warm.give(answer.body, answer.talk, args.output, quiet=args.quiet)
    if args.refresh and not args.no_cache:
        warm.forget(str(kept.directory))
    elif kept.asked and not args.no_cache and not args.download:
        term = float("inf") if args.offline else answer.fresh_until
        texts = kept.asked.files
        plan = warm.plan(args.output, quiet=args.quiet, texts=texts, states=kept.watched)
        warm.keep(args.words, str(kept.directory), plan, term, answer.talk, answer.body)
    return 0
