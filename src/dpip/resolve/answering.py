"""Answering a question, and knowing later whether the answer still holds.

There are two ways to an answer. Through a node it is one round trip, and what it stands on is
the state that the node names. Otherwise the engine reads pages, and it stands on those. What
it stands on is kept with the answer as lines of text:

    node <state> <url>
    page <digest> <project> <index>

After the term of an answer, a node is asked one question, or all pages are asked for again at
once with their validators; the answer gets a new term if nothing has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from dpip.errors import DpipError
from dpip.resolve import closure
from dpip.resolve.transport import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dpip.resolve.closure_client import Resolved
    from dpip.resolve.engine import Engine
    from dpip.resolve.index import Read
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Impossible, Solution
    from dpip.resolve.store import Answer


class Answered(NamedTuple):
    """An outcome, what it stands on, and until when it may be given unasked."""

    outcome: Solution | Impossible
    reads: bytes
    fresh_until: float


def answer(
    engine: Engine,
    request: Request,
    node: str | None = None,
    names: Iterable[str] = (),
    *,
    say: Callable[[str], Any] = lambda _line: None,
) -> Answered:
    """Solve, through the node if that works. `names` are pages to ask for without a node.

    A node knows nothing of further indexes and of --find-links: with those it is not asked.
    `say` is told, in one line, why a node was of no help. That there is no answer is not
    believed on a node's facts alone: what it lacks, an index may have.
    """
    alone = len(engine.places.indexes) == 1 and not engine.places.find_links
    if node is not None and alone and closure.can_ask(request):
        from dpip.resolve import closure_client
        from dpip.resolve.resolution import Solution

        try:
            found = closure_client.resolve(engine, node, request)
        except DpipError as error:
            say(f"the node does not help, going on without it: {error.message}")
        else:
            if isinstance(found.outcome, Solution):
                return _through(node, found, engine)
    engine.facts.expect(names)
    outcome = engine.solve(request)
    return Answered(outcome, _lines(engine.reads), _term(engine.reads))


def _through(node: str, found: Resolved, engine: Engine) -> Answered:
    reads = f"node {found.state} {without_secrets(node)}\n".encode()
    until = engine.now + found.max_age
    return Answered(found.outcome, reads + _lines(engine.reads), _term(engine.reads, until))


def renewed(engine: Engine, held: Answer, request: Request, node: str | None) -> Answer | None:
    """Return the answer with a new term if it still holds; None: it must be found again."""
    lines = [line.split(" ", 3) for line in held.reads.decode().splitlines()]
    until = float("inf")
    for line in lines:
        if line[0] == "node":
            until = _node_term(engine, request, node, state=line[1], url=line[2])
    pages = [line for line in lines if line[0] == "page"]
    if until <= engine.now:
        return None
    urls = {without_secrets(url): url for url in engine.indexes.urls}
    now = engine.check_pages((urls.get(index, index), name) for _, _, name, index in pages)
    if [page[1] for page in pages] != [read and read.digest.hex() for read in now]:
        return None
    return held._replace(fresh_until=_term((read for read in now if read), until))


def _node_term(
    engine: Engine, request: Request, node: str | None, *, state: str, url: str
) -> float:
    """Return until when the node's answer holds; 0 if it holds no more."""
    from dpip.resolve import closure_client

    if node is None or without_secrets(node) != url:
        return 0.0
    try:
        answer = closure_client.ask(engine, node, request, state)
    except DpipError:
        return 0.0
    return engine.now + answer.max_age if answer.same else 0.0


def _lines(reads: Iterable[Read]) -> bytes:
    return "\n".join(f"page {r.digest.hex()} {r.name} {r.index}" for r in reads).encode()


def _term(reads: Iterable[Read], until: float = float("inf")) -> float:
    return min([until, *(read.fresh_until for read in reads)])
