"""Resolve on what a node sends: one round trip, and then all by ourselves.

Nothing in the answer is a verdict. The facts are the node's claims, as an index's pages are
claims; the solver here runs on them and reaches its own answer. What the node did not send,
or could not read, is read from the index as ever. If the answer contradicts a fact that the
store has under the same hash, is malformed, or does not come in time, it is dropped, and the
resolve goes on as if there were none.
"""

from __future__ import annotations

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, NamedTuple

from dpip.resolve import closure
from dpip.resolve.errors import BadAnswer, HttpFailure, Unreachable
from dpip.resolve.transport import Request as HttpRequest
from dpip.resolve.transport import without_secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from dpip.resolve.closure_answer import Answer
    from dpip.resolve.engine import Engine
    from dpip.resolve.request import Request
    from dpip.resolve.resolution import Impossible, Solution


PATIENCE = 30.0
"""Seconds that a node gets: without one, the longest recorded input takes a third of that."""


class Resolved(NamedTuple):
    """An outcome with what it stands on: the node's state, and for how long (seconds)."""

    outcome: Solution | Impossible
    state: str
    max_age: float


def ask(engine: Engine, node: str, request: Request, state: str = "") -> Answer:
    """Put the question to the node. Raises DpipError if no proper answer comes in time."""
    body = closure.encode(closure.question(request, state))
    headers = {"Content-Type": "application/json", "Accept-Encoding": closure.ENCODINGS}
    url = node.rstrip("/") + closure.PATH
    text = _in_time(url, lambda: _posted(engine, HttpRequest(url, headers, "POST", body)))
    from msgspec import DecodeError

    from dpip.resolve import closure_answer

    try:
        return closure_answer.decode(text)
    except (DecodeError, RecursionError) as error:
        raise BadAnswer(f"{without_secrets(url)}: not a closure answer: {error}") from None


def _posted(engine: Engine, question: HttpRequest) -> bytes:
    with engine.transport.send(question) as response:
        if response.status != 200:
            raise HttpFailure(without_secrets(question.url), response.status)
        return response.read(closure.MAX_ANSWER)


def _in_time(url: str, read: Callable[[], bytes]) -> bytes:
    """Return what a thread reads; meanwhile this one imports what comes next."""
    results: SimpleQueue[bytes | BaseException] = SimpleQueue()

    def run() -> None:
        try:
            results.put(read())
        except BaseException as error:  # noqa: BLE001 - handed on to the caller below
            results.put(error)

    threading.Thread(target=run, daemon=True).start()
    _load_solver()
    try:
        found = results.get(timeout=PATIENCE)
    except Empty:
        message = f"{without_secrets(url)} has not answered for {PATIENCE:.0f} s"
        raise Unreachable(message) from None
    if isinstance(found, BaseException):
        raise found
    return found


def _load_solver() -> None:
    """Import what `solve` needs: it is loaded while the question is on its way."""
    from dpip.resolve import closure_facts, lockfile, session

    assert closure_facts
    assert lockfile
    assert session


def resolve(engine: Engine, node: str, request: Request) -> Resolved:
    """Solve on a node's answer. Raises DpipError where its facts lead nowhere.

    Facts are foreign: a version, a specifier or a marker in them that is none surfaces only
    where the solver comes to it.
    """
    answer = ask(engine, node, request)
    try:
        outcome = solve(engine, node, request, answer)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"{without_secrets(node)}: its facts make no sense: {error}") from None
    return Resolved(outcome, answer.state, answer.max_age)


def solve(engine: Engine, node: str, request: Request, answer: Answer) -> Solution | Impossible:
    """Solve on an answer; a project of which too little was sent is read from the index."""
    from dpip.resolve.closure_facts import AnswerFacts, OutsideAnswer
    from dpip.resolve.engine import drive

    whole: set[str] = set()
    while True:
        facts = AnswerFacts(engine, answer, node, frozenset(whole))
        try:
            return _with_files(drive(request, facts, engine.facts.gather))
        except OutsideAnswer as outside:
            whole.add(str(outside))


def _with_files(outcome: Solution | Impossible) -> Solution | Impossible:
    """Return an outcome; raises OutsideAnswer if a choice is one that the node passed over."""
    from dpip.resolve.closure_facts import OutsideAnswer

    for pin in getattr(outcome, "pins", ()):
        if not all(file.url for file in pin.files):
            raise OutsideAnswer(pin.name)
    return outcome
